"""Which runs there are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from momok.errors import RunError
from momok.evaluation import ANSWER
from momok.training.run_folder import RunFolder


def find_runs(folder: Path) -> Iterator[dict[str, Any]]:
    """Find the runs in a folder and below, the earliest first; a damaged one says so.

    Each has: run, graph, preset, seed, state, epoch, epochs, valid_mrr (the best so far, or None),
    created (ISO 8601).
    """
    found = []
    for place, folders, files in os.walk(folder):
        if "run.json" in files or ("config.json" in files and "checkpoints" in folders):
            folders.clear()  # a run holds no runs
            found.append(_describe(Path(place)))
    yield from sorted(found, key=lambda run: (run["created"], run["run"]))


def _describe(path: Path) -> dict[str, Any]:
    about = {"run": str(path), "graph": "", "preset": "", "seed": "", "state": "", "epoch": 0}
    about |= {"epochs": 0, "valid_mrr": None, "created": "1970-01-01T00:00:00+00:00"}
    try:
        run = RunFolder(path)
        config = run.config
        about |= {"graph": run.data["name"], "preset": config.preset, "seed": config.seed}
        about |= {"state": run.state, "epochs": config.training.epochs}
        about["created"] = run.read_about()["created"]
        about["epoch"] = sum(1 for _ in run.records("epoch"))
        if run.state == "finished":
            about["valid_mrr"] = run.load_evaluation("valid").overall[ANSWER].mrr
        else:
            values = [record["metrics"][ANSWER]["mrr"] or 0.0 for record in run.records("valid")]
            about["valid_mrr"] = max(values, default=None)
    except (RunError, KeyError, TypeError):
        about["state"] = "damaged"
    return about
