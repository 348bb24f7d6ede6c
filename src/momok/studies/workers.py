"""Several tasks side by side on one machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

from momok.progress import Reporter
from momok.storage import write_file
from momok.studies.worker import Task, run_task

_MEMORY = Path("/proc/meminfo")
_MARGIN = 1 << 30  # bytes that stay free, whatever the runs need


@dataclass(kw_only=True)
class _Worker:
    task: Task
    process: BaseProcess
    pipe: Connection
    note: str = "starting"
    is_stopped: bool = False


class Watch:
    """Hears what becomes of tasks; this one does nothing about it."""

    def validated(self, task: Task, epoch: int, mrr: float) -> bool:  # noqa: ARG002
        """Whether to go on with it after this validation."""
        return True

    def ended(self, task: Task, outcome: str) -> None:
        """Take that it is ``done``, ``stopped`` (``validated`` said so), or why it failed."""


def run_tasks(
    tasks: Iterable[Task],
    total: int,
    *,
    jobs: int,
    reporter: Reporter,
    what: str,
    errors: Path,
    watch: Watch | None = None,
    done: int = 0,
) -> dict[str, str]:
    """Do tasks, at most ``jobs`` at a time, fewer where memory is short.

    Args:
        tasks: each is asked for when there is room for it.
        what: the work in words, for the display: ``training``.
        errors: a folder for the traceback of what was not expected.
        watch: may stop a task.
        done: how many of the total are done already.

    Returns:
        what failed and why, by the name of the cell.
    """
    watch = watch or Watch()
    running, failures = list[_Worker](), dict[str, str]()
    waiting: Iterator[Task | None] = iter(tasks)
    largest = 0  # bytes of the largest process so far
    try:
        while True:
            while len(running) < jobs and (not running or _has_memory(largest)):
                if (task := next(waiting, None)) is None:
                    break
                running.append(_start(task))
            if not running:
                break
            for worker, message in _receive(running):
                outcome = _take(worker, message, watch)
                if not outcome:
                    continue
                running.remove(worker)
                worker.process.join()
                done += 1
                if outcome == "done":
                    largest = max(largest, message[1])
                elif outcome != "stopped":
                    name = worker.task.cell.name
                    failures[name] = outcome
                    reporter.say(f"{name} failed: {outcome}")
                    if message[2]:
                        write_file(errors / f"{name}.txt", message[2].encode())
                watch.ended(worker.task, outcome)
            notes = "; ".join(f"{w.task.cell.name} {w.note}" for w in running)
            reporter.progress(f"{what}: {notes}", done, total)
    finally:
        for worker in running:  # SIGTERM: what is trained so far is saved
            worker.process.terminate()
        for worker in running:
            worker.process.join()
    return failures


def _take(worker: _Worker, message: tuple[Any, ...], watch: Watch) -> str:
    """Take what a worker says; how its task ended, as ``Watch.ended`` has it, or nothing."""
    kind, *about = message
    if kind == "progress":
        worker.note = _describe(*about)
        return ""
    if kind == "validated":
        if not watch.validated(worker.task, *about):
            worker.is_stopped = True
            worker.process.terminate()
        return ""
    if kind == "done":
        return "done"
    return "stopped" if worker.is_stopped else str(about[0])


def _start(task: Task) -> _Worker:
    """Start a process: a copy of one that has PyTorch imported where the system can copy one."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    context.set_forkserver_preload(["momok.studies.worker", "torch._dynamo"])  # optimizers load it
    pipe, theirs = context.Pipe(duplex=False)
    process = context.Process(target=run_task, args=(task, theirs), name=task.cell.name)
    asked = os.environ.get("OMP_NUM_THREADS")
    os.environ["OMP_NUM_THREADS"] = str(task.threads)  # read where PyTorch is imported
    try:
        process.start()
    finally:
        if asked is None:
            del os.environ["OMP_NUM_THREADS"]
        else:
            os.environ["OMP_NUM_THREADS"] = asked
    theirs.close()  # so that the pipe ends with the process
    return _Worker(task=task, process=process, pipe=pipe)


def _receive(running: Sequence[_Worker]) -> Iterator[tuple[_Worker, tuple[Any, ...]]]:
    """What workers say within a second, or that one ended without a word."""
    by_pipe = {worker.pipe: worker for worker in running}
    for pipe in wait(list(by_pipe), timeout=1.0):
        assert isinstance(pipe, Connection)
        worker = by_pipe[pipe]
        try:
            yield worker, pipe.recv()
        except (EOFError, OSError):
            worker.process.join()
            code = worker.process.exitcode or 0
            how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
            hint = "; was there enough memory? (--jobs 1 needs least)" if code == -9 else ""
            yield worker, ("failed", f"its process was ended {how}{hint}", "")


def _has_memory(needed: int) -> bool:
    """Whether there is room for one more process of so many bytes."""
    with suppress(OSError, StopIteration):  # not on every system
        lines = _MEMORY.read_text().splitlines()
        free = 1024 * next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable"))
        return free > needed + _MARGIN
    return True


def _describe(what: str, done: int, total: int) -> str:
    name = what.partition(":")[0]
    return f"{name} {done / total:.0%}" if total else name
