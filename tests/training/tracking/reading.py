"""What arrived at the trackers, and what should have: the numbers of a run's log and results."""

from __future__ import annotations

import math
import time
from pathlib import Path
from typing import Any

from momok.training import RunFolder
from momok.training.tracking import flatten_metrics
from tests.training.tracking.offline_wandb import read_items, read_records

Numbers = dict[str, dict[int, list[float]]]  # name -> step -> what was logged for it


def _read_tensorboard(run: Path) -> tuple[Numbers, dict[str, float]]:
    """Epochs, and results, of event files."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run / "tensorboard")).Reload()
    numbers: Numbers = {}
    for name in events.Tags()["scalars"]:
        for event in events.Scalars(name):
            numbers.setdefault(name, {}).setdefault(event.step, []).append(event.value)
    results = {name: numbers.pop(name) for name in [*numbers] if name.startswith("result/")}
    return numbers, {name: value for name, steps in results.items() for [value] in steps.values()}


def _wait_for_records(file: Path) -> list[Any]:
    """The records of a session that has ended: wandb's own process may still be writing them."""
    for _ in range(600):  # a minute: tests beside it may take the cores
        records = list(read_records(file))
        if any(record.WhichOneof("record_type") == "exit" for record in records):
            return records
        time.sleep(0.1)
    raise AssertionError(f"{file}: the session has not ended")


def _read_wandb(run: Path) -> tuple[Numbers, dict[str, float]]:
    """History and summary of all folders that wandb left."""
    numbers: Numbers = {}
    results: dict[str, float] = {}
    for file in sorted((run / "wandb").glob("offline-run-*/run-*.wandb")):
        for record in _wait_for_records(file):
            if record.WhichOneof("record_type") == "history":
                for name, value in read_items(record.history.item).items():
                    if not name.startswith("_"):
                        steps = numbers.setdefault(name, {})
                        steps.setdefault(record.history.step.num, []).append(value)
            results |= read_items(record.summary.update)
    return numbers, {k: v for k, v in results.items() if k.startswith("result/")}


READERS = {"tensorboard": _read_tensorboard, "wandb": _read_wandb}


def _read_log(run: RunFolder) -> dict[str, dict[int, float]]:
    """What trackers are to be told of the epochs, from ``metrics.jsonl``."""
    expected: dict[str, dict[int, float]] = {}
    for record in run.records():
        if record["kind"] == "epoch":
            values = {f"train/{k}": v for k, v in record.items() if k not in ("kind", "epoch")}
        else:
            values = {}
            for head, metrics in record["metrics"].items():
                for name in ("mrr", "mean_rank"):
                    values[f"{record['kind']}/{name}/{head}"] = metrics[name]
                for k, share in metrics["hits"].items():
                    values[f"{record['kind']}/hits@{k}/{head}"] = share
        for name, value in values.items():
            expected.setdefault(name, {})[record["epoch"]] = value
    return expected


def check_numbers(name: str, run: RunFolder) -> None:
    """All numbers of the log and the results arrived, each once."""
    numbers, results = READERS[name](run.path)
    rounding = 1e-6 if name == "tensorboard" else 0.0  # its files have float32
    for seconds in ("seconds/epoch", "seconds/validation"):
        assert all(value >= 0 for [value] in numbers.pop(seconds).values())
    expected = _read_log(run)
    assert numbers.keys() == expected.keys()
    for metric, steps in expected.items():
        assert numbers[metric].keys() == steps.keys(), metric
        for step, value in steps.items():
            [arrived] = numbers[metric][step]
            assert math.isclose(arrived, value, rel_tol=rounding), (metric, step)
    chosen: dict[str, float | None] = {}
    for split in ("valid", "test"):
        chosen |= flatten_metrics(f"result/{split}", run.load_evaluation(split).overall)
    assert results.keys() == chosen.keys()
    for metric, best in chosen.items():
        assert best is not None
        assert math.isclose(results[metric], best, rel_tol=rounding), metric
