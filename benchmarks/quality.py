"""MRR over epochs and minutes: the engine against the plain method, same settings, same seeds.

    python -m benchmarks.quality world --seeds 0,1,2 --out quality.json --plot quality.png

Variants, each trained on the same facts and features, chosen by validation and tested once:

- ``engine``: momok as it is, one dropout mask of a relation's matrix per batch;
- ``engine, a mask per query``: the same, with a mask for every query, as the paper has it: every
  query is made a relation group of its own;
- ``plain``: the plain method (``benchmarks/plain.py``) with the settings of the run, the scores'
  prior included, whose loss is the cross-entropy of float32 probabilities;
- ``engine, the plain loss``: momok with ``training.loss=probabilities``.

The comparison is paired by seed: for every variant the mean difference to the engine in test MRR,
and a 95% interval over seeds (Student's t) and over the test queries (bootstrap, seeds averaged).
"""

from __future__ import annotations

import json
import math
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import click
import numpy as np
import torch
from safetensors.numpy import load_file

from momok.config import resolve_config
from momok.graph import MultimodalGraph, load_graph
from momok.runtime import build_generator, describe_environment, start_runtime
from momok.settings import RunConfig

MASKS = "engine, a mask per query"
PLAIN, PLAIN_LOSS = "plain", "engine, the plain loss"
VARIANTS = {"engine": "#4477aa", MASKS: "#cc6677", PLAIN: "#222222", PLAIN_LOSS: "#228833"}
# Of the preset experts, fitted to a graph of 2,000 entities and to two minutes on two cores.
WORLD_SETTINGS: dict[str, Any] = {
    "preset": "experts",
    "model.structure_width": 64,
    "model.relation_width": 64,
    "model.joint_width": 64,
    "model.input_dropout": 0.1,
    "model.relation_dropout": 0.1,
    "model.query_dropout": 0.2,
    "model.fusion_dropout": 0.1,
    "features.width": 64,
    "training.batch_size": 256,
    "training.learning_rate": 1e-2,
    "training.epochs": 72,
    "training.validate_every": 8,
    "runtime.precision": "float32",  # products this small gain nothing from bfloat16
}
STUDENT = {2: 12.706, 3: 4.303, 4: 3.182, 5: 2.776, 6: 2.571, 8: 2.365, 10: 2.262}  # 97.5%


@contextmanager
def mask_per_query(wanted: bool) -> Iterator[None]:
    """While it is entered, every query is a relation group of its own."""
    import momok.training.step as module
    from momok.model.grouped_product import RelationGroups

    def alone(relations: torch.Tensor) -> RelationGroups:
        rows = len(relations)
        return RelationGroups(
            distinct=relations,
            place=torch.arange(rows),
            slots=torch.arange(rows),
            blocks=((0, rows, 1),),
            rows=rows,
        )

    before = module.group_by_relation  # type: ignore[attr-defined]
    if wanted:
        module.group_by_relation = alone  # type: ignore[attr-defined]
    try:
        yield
    finally:
        module.group_by_relation = before  # type: ignore[attr-defined]


def train_engine(graph: MultimodalGraph, config: RunConfig, variant: str) -> dict[str, Any]:
    """Train a run in a folder that is thrown away."""
    import momok

    with tempfile.TemporaryDirectory() as folder, mask_per_query(variant == MASKS):
        run = momok.train(graph, config, run=Path(folder) / "run", progress=False)
        spent, curve, clock = 0.0, [], {}
        for line in (run.path / "timing.jsonl").read_text(encoding="utf-8").splitlines():
            record = json.loads(line)
            if record["kind"] == "epoch":
                spent += record["seconds"]
                clock[record["epoch"]] = spent
        for record in run.records("valid"):
            mrr = record["metrics"]["answer"]["mrr"]
            curve.append((record["epoch"], clock[record["epoch"]], mrr))
        tensors = load_file(run.path / "results" / "test-ranks.safetensors")
        ranks = (tensors["optimistic/answer"] + tensors["pessimistic/answer"]) / 2.0
        return {"curve": curve, "reciprocal_ranks": (1.0 / ranks).tolist()}


def train_plain(graph: MultimodalGraph, config: RunConfig) -> dict[str, Any]:
    """The plain method with the settings of the run; only training is on the clock."""
    from benchmarks.plain import (
        DropoutRates,
        PlainMoMoK,
        PlainSizes,
        build_clubs,
        build_labels,
        collect_answers,
        plain_train_step,
    )
    from momok.model.tables import EntityTable
    from momok.training.build import build_model

    start_runtime(config.runtime)
    torch.manual_seed(config.seed)
    settings = config.training
    like = build_model(graph, config, build_generator(config.seed, "weights"))
    sizes = PlainSizes(
        num_entities=graph.num_entities,
        num_relations=graph.num_relations,
        widths={m.name: m.width for m in like.spec.modalities},
        joint_width=like.spec.joint_width,
        relation_width=like.spec.relation_width,
        num_experts=like.spec.experts,
        score_offset=like.spec.score_offset,
    )
    head, relation, query = like.spec.decoder_dropouts
    rates = DropoutRates(
        expert=like.spec.expert_dropout,
        fusion=like.spec.fusion_dropout,
        head=head,
        relation=relation,
        query=query,
    )
    features = {
        m.name: cast(EntityTable, table).rows().detach()
        for m, table in zip(like.spec.modalities, like.tables, strict=True)
        if m.name in graph.features
    }
    model, clubs = PlainMoMoK(sizes, features, rates), build_clubs(sizes)
    with torch.no_grad():  # the plain method normalises once more, after the reduction
        for name, rows in features.items():
            cast(torch.nn.Embedding, model.entity_tables[name]).weight.copy_(rows)
    betas = (0.9, settings.beta2)
    optimizers = (
        torch.optim.Adam(model.parameters(), lr=settings.learning_rate, betas=betas),
        torch.optim.Adam(clubs.parameters(), lr=settings.learning_rate, betas=betas),
    )
    relations = graph.num_relations
    answers = collect_answers(graph.train.tolist(), relations)
    everything = np.concatenate([graph.train, graph.valid, graph.test])
    known = collect_answers(everything.tolist(), relations)
    queries = torch.tensor(list(answers))
    curve: list[tuple[int, float, float]] = []
    best, chosen, spent = -1.0, {}, 0.0
    for epoch in range(1, settings.epochs + 1):
        for optimizer in optimizers:
            for group in optimizer.param_groups:
                group["lr"] = settings.learning_rate * settings.learning_rate_decay ** (epoch - 1)
        before = time.perf_counter()
        model.train()
        for rows in torch.randperm(len(queries)).split(settings.batch_size):  # type: ignore[no-untyped-call]
            batch = queries[rows]
            labels = build_labels(answers, batch[:, 0], batch[:, 1], graph.num_entities)
            plain_train_step(
                model,
                clubs,
                optimizers,
                (batch[:, 0], batch[:, 1], labels),
                mi_weight=settings.disentanglement,
            )
        spent += time.perf_counter() - before
        if epoch % settings.validate_every == 0 or epoch == settings.epochs:
            mrr = float(np.mean(1.0 / rank_both_sides(model, graph.valid, relations, known)))
            curve.append((epoch, spent, mrr))
            if mrr > best:
                best = mrr
                chosen = {name: value.clone() for name, value in model.state_dict().items()}
    model.load_state_dict(chosen)
    ranks = rank_both_sides(model, graph.test, relations, known)
    return {"curve": curve, "reciprocal_ranks": (1.0 / ranks).tolist()}


def rank_both_sides(
    model: Any, facts: np.ndarray[Any, Any], relations: int, known: Any
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """Filtered ranks of the tails, then of the heads."""
    from benchmarks.plain import plain_rank

    triples = torch.from_numpy(facts)
    reverse = torch.stack([triples[:, 2], triples[:, 1] + relations], dim=1)
    queries = torch.cat([triples[:, :2], reverse])
    answers = torch.cat([triples[:, 2], triples[:, 0]])
    return plain_rank(model, queries, answers, known)["answer"].numpy().astype(np.float64)


def compare(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Every variant's test MRR by seed, and its paired difference to the engine, in points."""
    ranks = {name: np.array([run["reciprocal_ranks"] for run in of]) for name, of in runs.items()}
    found: dict[str, Any] = {}
    for name, values in ranks.items():
        mrr = 100 * values.mean(axis=1)
        found[name] = {"test_mrr": mrr.tolist(), "mean": float(mrr.mean())}
        if name == "engine" or "engine" not in ranks:
            continue
        difference = 100 * (values.mean(axis=1) - ranks["engine"].mean(axis=1))
        found[name]["difference"] = float(difference.mean())
        if len(difference) in STUDENT:
            half = STUDENT[len(difference)] * statistics.stdev(difference)
            half /= math.sqrt(len(difference))
            found[name]["interval_over_seeds"] = [
                difference.mean() - half,
                difference.mean() + half,
            ]
        per_query = 100 * (values - ranks["engine"]).mean(axis=0)
        generator = np.random.default_rng(0)
        draws = generator.integers(len(per_query), size=(4000, len(per_query)))
        found[name]["interval_over_queries"] = np.quantile(
            per_query[draws].mean(axis=1), [0.025, 0.975]
        ).tolist()
    return found


def draw(runs: dict[str, list[dict[str, Any]]], path: Path) -> None:
    """Validation MRR over epochs and over minutes of training; a thin line for every seed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True)
    for name, of in runs.items():
        for seed, run in enumerate(of):
            epochs, seconds, mrr = np.array(run["curve"]).T
            label = name if seed == 0 else None
            left.plot(epochs, 100 * mrr, color=VARIANTS[name], label=label, lw=1)
            right.plot(seconds / 60, 100 * mrr, color=VARIANTS[name], lw=1)
    left.set(xlabel="epochs", ylabel="MRR on validation, %")
    right.set(xlabel="minutes of training")
    for axes in (left, right):
        axes.grid(alpha=0.3)
    left.legend()
    figure.savefig(path, dpi=130)


@click.command()
@click.argument("graph", default="world")
@click.option("--seeds", default="0,1,2", show_default=True)
@click.option("--variants", default=";".join(VARIANTS), show_default=True)
@click.option("--set", "settings", multiple=True, help="A setting, as training.epochs=40.")
@click.option("--demo/--no-demo", default=True, help="Begin with WORLD_SETTINGS.")
@click.option("--out", type=click.Path(path_type=Path), help="Write the result as JSON.")
@click.option("--plot", type=click.Path(path_type=Path), help="Draw the curves into this file.")
def main(
    graph: str,
    *,
    seeds: str,
    variants: str,
    settings: tuple[str, ...],
    demo: bool,
    out: Path | None,
    plot: Path | None,
) -> None:
    """Train every variant with every seed, in turn."""

    loaded = load_graph(graph)
    given = [f"{name}={value}" for name, value in (WORLD_SETTINGS if demo else {}).items()]
    chosen = variants.split(";")
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in chosen}
    for seed in seeds.split(","):
        for name in chosen:
            loss = "probabilities" if name in {PLAIN, PLAIN_LOSS} else "logits"
            config = resolve_config(
                overrides=[*given, *settings, f"seed={seed}", f"training.loss={loss}"]
            )
            run = (
                train_plain(loaded, config) if name == PLAIN else train_engine(loaded, config, name)
            )
            runs[name].append(run)
            mrr = 100 * float(np.mean(run["reciprocal_ranks"]))
            click.echo(
                f"{name}, seed {seed}: test MRR {mrr:.2f}, {run['curve'][-1][1]:.0f} s", err=True
            )
    result = {
        "graph": loaded.name,
        "seeds": seeds,
        "settings": [*given, *settings],
        "environment": describe_environment(start_runtime(config.runtime)),
        "comparison": compare(runs),
        "curves": {name: [run["curve"] for run in of] for name, of in runs.items()},
    }
    text = json.dumps(result, indent=2)
    if out is not None:
        out.write_text(text + "\n", encoding="utf-8")
    if plot is not None:
        draw(runs, plot)
    click.echo(json.dumps(result["comparison"], indent=2))


if __name__ == "__main__":
    main()
