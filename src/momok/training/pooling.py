"""The pool of a run: fitted once training has chosen its checkpoint, kept beside it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch

from momok.errors import CheckpointError
from momok.evaluation.pool import Pool
from momok.evaluation.pool_fit import fit_pool
from momok.graph import MultimodalGraph
from momok.model import MoMoK
from momok.progress import Reporter
from momok.rules import Rules, mine_rules
from momok.training.checkpoint import load_model, read_checkpoint, write_checkpoint
from momok.training.run_folder import RunFolder


def fit_run(folder: RunFolder, device: torch.device, reporter: Reporter) -> None:
    """Fit the pool of a run, where its settings want one, and say what came out."""
    settings = folder.config.evaluation
    if settings.pool == "equal":
        return
    graph = folder.load_graph()
    model, state = load_model(folder.best_checkpoint, device, run=folder.identity)
    rules = None
    if settings.pool == "heads+rules":
        rules = mine_rules(graph.train, graph.num_entities, graph.num_relations)
    with torch.no_grad():
        pool = fit_pool(
            model.train(False),
            graph,
            rules,
            seed=folder.config.seed,
            progress=reporter.progress,
        )
    description = {"heads": pool.heads, "about": pool.about, "selected": state.get("selected", {})}
    description |= {"run": folder.identity}
    tensors = {"pool/weights": pool.weights, "pool/absent": pool.absent}
    if pool.rules is not None:
        pool.rules.save(folder.rules_file)
    write_checkpoint(folder.pool_file, tensors, description)
    for line in describe_pool(pool):
        reporter.say(line)


def load_pool(
    folder: RunFolder, model: MoMoK, graph: MultimodalGraph, selected: Mapping[str, Any]
) -> Pool | None:
    """The pool of a run's chosen checkpoint; None while it is trained, or where it wants none.

    Raises:
        CheckpointError: it is missing, damaged, or of another checkpoint.
        RunError: so are the rules.
    """
    settings, progress = folder.config.evaluation, folder.state
    if settings.pool == "equal" or progress in ("training", "interrupted"):
        return None
    remedy = "restore it from a copy or train again"
    if progress == "trained":
        remedy = f"momok resume {folder.path} fits it"
    if not folder.pool_file.is_file():
        raise CheckpointError(f"{folder.pool_file}: the weights of the heads are gone; {remedy}")
    tensors, state = read_checkpoint(folder.pool_file, "pool/", model.device, run=folder.identity)
    if state.get("selected") != selected or tuple(state["heads"]) != model.heads:
        raise CheckpointError(f"{folder.pool_file}: it was fitted to another checkpoint; {remedy}")
    with_rules = settings.pool == "heads+rules"
    return Pool(
        heads=model.heads,
        weights=tensors["weights"],
        absent=tensors["absent"],
        present={h: model.present[h].bool() for h in model.heads if h in model.present},
        rules=Rules.load(folder.rules_file, graph.train) if with_rules else None,
        about=state["about"],
    )


def describe_pool(pool: Pool) -> list[str]:
    """What was chosen and what each part is worth, in lines."""
    about = pool.about
    ranks = ", ".join(f"{kind} {100 * mrr:.2f}" for kind, mrr in about["mrr"].items())
    lines = [f"pool: weights {about['chosen']}; validation MRR, cross-fitted: {ranks}"]
    if about["brings"]:
        brings = ", ".join(f"{name} {100 * x:+.2f}" for name, x in about["brings"].items())
        lines.append(f"  what each part brings: {brings}")
        nothing = [name for name, x in about["brings"].items() if x <= 0]
        if nothing:
            which = nothing[0] if len(nothing) == 1 else f"any one of {', '.join(nothing)}"
            lines.append(f"  without {which} the answer is as good: the other parts know the same")
    return lines
