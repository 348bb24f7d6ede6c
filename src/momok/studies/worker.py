"""One run of a study, in a process of its own: what happens to it happens to no other run."""

from __future__ import annotations

import shutil
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from resource import RUSAGE_SELF, getrusage
from typing import Any, Literal, TypeAlias

from momok.errors import MomokError
from momok.graph import load_graph
from momok.progress import Reporter
from momok.studies.cells import Cell
from momok.studies.scenarios import damage_graph
from momok.training import RunFolder, evaluate_run, resume, train

_SECONDS_BETWEEN = 0.2  # of progress that is sent


@dataclass(frozen=True, kw_only=True)
class Task:
    """A run to train, or to test when it is trained."""

    kind: Literal["train", "test"]
    cell: Cell
    graph: str
    folder: Path
    threads: int


Message: TypeAlias = tuple[Any, ...]
Send: TypeAlias = Callable[[Message], object]


def run_task(task: Task, send: Send) -> None:
    """Do it, and say how it goes.

    It sends ``("progress", what, done, total)`` and ``("validated", epoch, mrr)``, and in the end
    ``("done", bytes of memory)`` or ``("failed", message, details)``.
    """
    with suppress(BrokenPipeError):  # the parent is gone, and so is the need for this
        _run_task(task, send)


def _run_task(task: Task, send: Send) -> None:
    try:
        if task.kind == "train":
            train_cell(task, _Sender(send))
        else:
            _test_cell(task)
    except MomokError as error:
        send(("failed", str(error), ""))
    except BrokenPipeError:
        raise
    except KeyboardInterrupt:
        send(("failed", "it was stopped", ""))
    except Exception as error:  # it is one run of many: reported, and the others go on
        send(("failed", f"{type(error).__name__}: {error}", traceback.format_exc()))
    else:
        unit = 1 if sys.platform == "darwin" else 1024
        send(("done", unit * getrusage(RUSAGE_SELF).ru_maxrss))


def train_cell(task: Task, reporter: Reporter) -> None:
    """Train a run, or go on with it; one that had saved no checkpoint begins again."""
    cell, folder = task.cell, task.folder
    if (folder / "run.json").is_file():
        run = RunFolder(folder)
        if run.state == "finished":
            return
        if run.last_checkpoint.exists():
            resume(folder, progress=reporter, test=False)
            return
        shutil.rmtree(folder)
    graph = load_graph(task.graph, split=cell.config.data.split)
    if cell.scenario is not None:
        graph = damage_graph(graph, cell.scenario, cell.level, cell.seed)
    runtime = cell.config.runtime.model_copy(update={"threads": task.threads})
    config = cell.config.model_copy(update={"runtime": runtime})
    train(graph, config, run=folder, progress=reporter, test=False)


def _test_cell(task: Task) -> None:
    evaluate_run(task.folder, "test")


class _Sender(Reporter):
    """Sends progress to the process that started this one."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last = 0.0

    def progress(self, what: str, done: int, total: int) -> None:
        if time.monotonic() - self._last >= _SECONDS_BETWEEN:
            self._last = time.monotonic()
            self._send(("progress", what, done, total))

    def validated(self, epoch: int, split: str, mrr: float, **best: float) -> None:  # noqa: ARG002
        self._send(("validated", epoch, mrr))
