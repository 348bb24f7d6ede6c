"""Several tasks side by side on one machine, each in a process of its own."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, Protocol

from momok.progress import Reporter
from momok.runtime import asked_threads, usable_cores
from momok.storage import write_file
from momok.studies.worker import Message, Task, run_task

_MEMORY = Path("/proc/meminfo")
_MARGIN = 1 << 30  # bytes that stay free, whatever the runs need


class Watch:
    """Hears what becomes of tasks; this one does nothing about it."""

    def validated(self, task: Task, epoch: int, mrr: float) -> bool:  # noqa: ARG002
        """Whether to go on with it after this validation."""
        return True

    def ended(self, task: Task, outcome: str) -> None:
        """Take that it is ``done``, ``stopped`` (``validated`` said so), or why it failed."""


class Pool(Protocol):
    """Where tasks are done."""

    threads: int  # of a task

    def has_room(self) -> bool:
        """Whether one more can begin."""

    def start(self, task: Task) -> None:
        """Begin a task."""

    def receive(self) -> Iterator[tuple[Task, Message]]:
        """What tasks say within a second; after ``done`` or ``failed`` a task is gone."""

    def stop(self, task: Task) -> None:
        """Ask a task to save what it has and to end."""

    def close(self) -> None:
        """Stop what is still under way, and wait for it."""


def run_tasks(
    tasks: Iterable[Task],
    total: int,
    pool: Pool,
    *,
    reporter: Reporter,
    what: str,
    errors: Path,
    watch: Watch | None = None,
    done: int = 0,
) -> dict[str, str]:
    """Do tasks where there is room for them.

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
    notes, stopped, failures = dict[str, str](), set[str](), dict[str, str]()
    waiting: Iterator[Task | None] = iter(tasks)
    while True:
        while pool.has_room():
            if (task := next(waiting, None)) is None:
                break
            pool.start(task)
            notes[task.cell.name] = "starting"
        if not notes:
            break
        for task, (kind, *about) in pool.receive():
            name = task.cell.name
            if kind == "progress":
                notes[name] = _describe(*about)
            elif kind == "validated":
                if not watch.validated(task, *about):
                    stopped.add(name)
                    pool.stop(task)
            else:
                del notes[name]
                done += 1
                outcome = kind if kind == "done" else str(about[0])
                if name in stopped and kind != "done":
                    outcome = "stopped"
                elif kind == "failed":
                    failures[name] = outcome
                    _report(name, *about, reporter=reporter, errors=errors)
                watch.ended(task, outcome)
        shown = "; ".join(f"{name} {note}" for name, note in notes.items())
        reporter.progress(f"{what}: {shown}", done, total)
    return failures


def _report(name: str, why: str, details: str, *, reporter: Reporter, errors: Path) -> None:
    reporter.say(f"{name} failed: {why}")
    if details:
        write_file(errors / f"{name}.txt", details.encode())


def _describe(what: str, done: int, total: int) -> str:
    name = what.partition(":")[0]
    return f"{name} {done / total:.0%}" if total else name


@dataclass(kw_only=True)
class _Worker:
    task: Task
    process: BaseProcess
    pipe: Connection


class LocalPool:
    """Processes on this machine, fewer than ``jobs`` where memory is short.

    Args:
        jobs: side by side, sharing the cores; 0 is one a core.
        tasks: how many there are.
    """

    def __init__(self, jobs: int, tasks: int) -> None:
        cores = usable_cores()
        self.jobs = max(min(jobs or cores, tasks), 1)
        self.threads = asked_threads() or max(cores // self.jobs, 1)
        self._running: list[_Worker] = []
        self._largest = 0  # bytes of the largest process so far

    def has_room(self) -> bool:
        count = len(self._running)
        return count < self.jobs and (not count or _has_memory(self._largest))

    def start(self, task: Task) -> None:
        """Start a process: a copy of one that has PyTorch imported where there can be copies."""
        methods = multiprocessing.get_all_start_methods()
        context: Any = multiprocessing.get_context(
            "forkserver" if "forkserver" in methods else "spawn"
        )
        context.set_forkserver_preload(["momok.studies.worker", "torch._dynamo"])
        pipe, theirs = context.Pipe(duplex=False)
        process = context.Process(target=run_task, args=(task, theirs.send), name=task.cell.name)
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
        self._running.append(_Worker(task=task, process=process, pipe=pipe))

    def receive(self) -> Iterator[tuple[Task, Message]]:
        by_pipe = {worker.pipe: worker for worker in self._running}
        for pipe in wait(list(by_pipe), timeout=1.0):
            assert isinstance(pipe, Connection)
            worker = by_pipe[pipe]
            try:
                message = pipe.recv()
            except (EOFError, OSError):
                message = ("failed", _describe_end(worker.process), "")
            if message[0] in ("done", "failed"):
                self._running.remove(worker)
                worker.process.join()
                if message[0] == "done":
                    self._largest = max(self._largest, message[1])
            yield worker.task, message

    def stop(self, task: Task) -> None:
        """By SIGTERM: what is trained so far is saved."""
        for worker in self._running:
            if worker.task is task:
                worker.process.terminate()

    def close(self) -> None:
        for worker in self._running:
            worker.process.terminate()
        for worker in self._running:
            worker.process.join()


def _describe_end(process: BaseProcess) -> str:
    process.join()
    code = process.exitcode or 0
    how = f"by signal {-code}" if code < 0 else f"with exit code {code}"
    hint = "; was there enough memory? (--jobs 1 needs least)" if code == -9 else ""
    return f"its process was ended {how}{hint}"


def _has_memory(needed: int) -> bool:
    """Whether there is room for one more process of so many bytes."""
    with suppress(OSError, StopIteration):  # not on every system
        lines = _MEMORY.read_text().splitlines()
        free = 1024 * next(int(x.split()[1]) for x in lines if x.startswith("MemAvailable"))
        return free > needed + _MARGIN
    return True
