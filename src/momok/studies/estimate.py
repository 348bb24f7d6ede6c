"""How long a study will take, from an epoch of each variant."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

from momok.graph import MultimodalGraph
from momok.progress import Progress, no_progress
from momok.runtime import usable_cores
from momok.settings import RunConfig
from momok.studies.cells import list_cells, resolve_variant
from momok.studies.plan import Plan
from momok.training import train


def estimate_hours(
    graph: MultimodalGraph, plan: Plan, jobs: int = 0, progress: Progress = no_progress
) -> float:
    """Train one epoch of every variant, on one core, and multiply.

    Runs that stop early take less; runs side by side on cores that share their memory's bandwidth
    take more.
    """
    seconds = {}
    for number, variant in enumerate(plan.variants):
        progress(f"one epoch of each variant: {variant}", number, len(plan.variants))
        seconds[variant] = _time_run(graph, resolve_variant(plan, variant, plan.seeds[0]))
    progress("one epoch of each variant", len(plan.variants), len(plan.variants))
    runs = [seconds[cell.variant] for cell in list_cells(plan)]
    if plan.search:
        runs = runs[:1] * plan.search.trials
    return sum(runs) / 3600 / min(jobs or usable_cores(), len(runs))


def _time_run(graph: MultimodalGraph, config: RunConfig) -> float:
    """Seconds of a whole run: those of a run of one epoch, and the other epochs."""
    training = config.training.model_copy(update={"epochs": 1, "validate_every": 1, "track": ()})
    runtime = config.runtime.model_copy(update={"threads": 1, "compile": "off"})
    short = config.model_copy(update={"training": training, "runtime": runtime})
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run = train(graph, short, run=Path(folder) / "run", progress=False, test=False)
        whole = time.perf_counter() - started
        spent = {"epoch": 0.0, "validation": 0.0}
        for record in run.records(file="timing.jsonl"):
            spent[record["kind"]] = spent.get(record["kind"], 0.0) + record.get("seconds", 0.0)
    more = config.training.epochs - 1
    return whole + more * (spent["epoch"] + spent["validation"] / config.training.validate_every)
