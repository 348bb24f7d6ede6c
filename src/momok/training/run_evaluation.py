"""Evaluate the chosen checkpoint of a run."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Literal

from momok.errors import ConfigError, RunError
from momok.evaluation import Evaluation, Metrics, best_of_each_metric, evaluate
from momok.graph.candidates import Among
from momok.progress import Reporter, open_reporter
from momok.runtime import start_runtime
from momok.training.checkpoint import load_model
from momok.training.pooling import load_pool
from momok.training.run_folder import RunFolder
from momok.training.sharding import Group, join_group
from momok.training.tracking import needs_result, open_tracking


def evaluate_run(
    run: str | Path | RunFolder,
    split: Literal["valid", "test"] = "test",
    *,
    protocol: Literal["clean", "published"] | None = None,
    among: Among | None = None,
    progress: bool | Reporter = False,
) -> Evaluation:
    """Evaluate the chosen checkpoint of a run and write the result into its folder.

    Args:
        protocol: by default the run's own. ``published`` gives the best of each metric over the
            epochs at which a run trained under that protocol ranked the split.
        among: as for ``evaluate``. The result is then kept apart, in ``results/SPLIT-among.json``.

    The trackers of a run get the result as well, if they had none of this split yet.

    Raises:
        RunError: ``published`` for a run that was not trained under it, or
            ``clean`` for one that chose its checkpoint on test.
        MomokError: as ``evaluate``, for ``among``.
    """
    if protocol not in (None, "clean", "published"):
        raise ConfigError(f"protocol = {protocol!r}: expected 'clean' or 'published'")
    folder = run if isinstance(run, RunFolder) else RunFolder(run)
    runtime = start_runtime(folder.config.runtime)
    with join_group(runtime) as group, open_leader(progress, group) as reporter:
        evaluation = evaluate_checkpoint(folder, split, protocol, reporter, group, among=among)
        if group.leads and needs_result(folder, evaluation):
            with open_tracking(folder, reporter) as tracking:
                tracking.log_result(evaluation)
    return evaluation


def evaluate_checkpoint(
    folder: RunFolder,
    split: Literal["valid", "test"],
    protocol: Any,
    reporter: Reporter,
    group: Group,
    *,
    among: Among | None = None,
) -> Evaluation:
    """Evaluate as ``evaluate_run`` does, as one of a group of ranks; the first writes."""
    config = folder.config
    chosen = protocol or config.evaluation.protocol
    if chosen == "published" and among is not None:
        raise ConfigError("among: epochs were ranked among all entities; use protocol 'clean'")
    best = _best_over_epochs(folder, split) if chosen == "published" else None
    runtime, graph = start_runtime(config.runtime), folder.load_graph()
    shard = group.shard(graph.num_entities)
    model, state = load_model(
        folder.best_checkpoint, runtime.device, run=folder.identity, shard=shard
    )
    if chosen == "clean" and state.get("selected", {}).get("split") == "test":
        raise RunError(
            f"{folder.path}: this run chose its checkpoint on test, so it has no clean result; "
            "train with --set evaluation.protocol=clean for one"
        )
    evaluation = evaluate(
        model,
        graph,
        split,
        protocol=chosen,
        among=among,
        pool=load_pool(folder, model, graph, state.get("selected", {})),
        memory_budget=config.evaluation.memory_mb << 20,
        progress=reporter.progress,
        shard=shard,
    )
    if best is not None:
        evaluation = evaluation.with_overall(best)
    if group.leads:
        folder.save_evaluation(evaluation)
    return evaluation


def _best_over_epochs(folder: RunFolder, split: str) -> dict[str, Metrics]:
    """Each metric's best value over the epochs, per head: the published habit."""
    history = [record["metrics"] for record in folder.records(split)]
    if not history or folder.config.evaluation.protocol != "published":
        raise RunError(
            f"{folder.path}: protocol 'published' needs a run that ranked test while it trained, "
            "and this one did not (which is right); train with --set evaluation.protocol=published "
            "to reproduce the published habit"
        )
    return {
        head: best_of_each_metric([Metrics.from_json(epoch[head]) for epoch in history])
        for head in history[0]
    }


def open_leader(progress: bool | Reporter, group: Group) -> AbstractContextManager[Reporter]:
    """Of all ranks the first one speaks."""
    return open_reporter(progress if group.leads else False)
