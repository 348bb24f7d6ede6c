"""Several tasks side by side on one machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator, Sequence
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


def run_tasks(
    tasks: Sequence[Task], jobs: int, reporter: Reporter, what: str, errors: Path
) -> dict[str, str]:
    """Do tasks, at most ``jobs`` at a time, fewer where memory is short.

    Args:
        what: the work in words, for the display: ``training``.
        errors: a folder for the traceback of what was not expected.

    Returns:
        what failed and why, by the name of the cell.
    """
    waiting, running, failures = list(tasks), list[_Worker](), dict[str, str]()
    largest = 0  # bytes of the largest process so far
    try:
        while waiting or running:
            while waiting and len(running) < jobs and (not running or _has_memory(largest)):
                running.append(_start(waiting.pop(0)))
            for worker, message in _receive(running):
                if message[0] == "progress":
                    worker.note = _describe(*message[1:])
                    continue
                running.remove(worker)
                worker.process.join()
                if message[0] == "done":
                    largest = max(largest, message[1])
                    continue
                name = worker.task.cell.name
                failures[name] = message[1]
                reporter.say(f"{name} failed: {message[1]}")
                if message[2]:
                    write_file(errors / f"{name}.txt", message[2].encode())
            done = len(tasks) - len(waiting) - len(running)
            notes = "; ".join(f"{w.task.cell.name} {w.note}" for w in running)
            reporter.progress(f"{what}: {notes}", done, len(tasks))
    finally:
        for worker in running:  # SIGTERM: what is trained so far is saved
            worker.process.terminate()
        for worker in running:
            worker.process.join()
    return failures


def _start(task: Task) -> _Worker:
    """Start a process: a copy of one that has PyTorch imported where the system can copy one."""
    method = "forkserver" if "forkserver" in multiprocessing.get_all_start_methods() else "spawn"
    context: Any = multiprocessing.get_context(method)
    context.set_forkserver_preload(["momok.studies.worker"])
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
