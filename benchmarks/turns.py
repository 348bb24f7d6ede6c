"""Implementations timed in turns, so that a machine whose speed drifts slows all of them.

Each has a process of its own, whose peak memory is its own.
"""

from __future__ import annotations

import multiprocessing
import resource
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import click

from momok.runtime import start_runtime
from momok.settings import RuntimeSettings

__all__ = ["Measured", "take_turns"]


@dataclass
class Measured:
    """What an implementation took.

    Attributes:
        seconds: of each turn that counts.
        given: what its last turn returned.
        peak_memory_bytes: of its process.
    """

    seconds: list[float] = field(default_factory=list)
    given: Any = None
    peak_memory_bytes: int = 0

    @property
    def median_seconds(self) -> float:
        """The median turn."""
        return statistics.median(self.seconds)

    def speedup_over(self, other: Measured) -> float:
        """The median over turns of how many times as long the other took."""
        return statistics.median(
            theirs / ours for theirs, ours in zip(other.seconds, self.seconds, strict=True)
        )


def take_turns(
    builders: Mapping[str, Callable[[], Callable[[], Any]]], *, turns: int, warm_up: int
) -> dict[str, Measured]:
    """Time implementations in turns.

    Args:
        builders: by name, what makes the function to be timed; it is called in the process of the
            implementation, and must be one that pickles.
        turns: how many turns of each count.
        warm_up: how many turns before that do not.

    Raises:
        ClickException: a process ended early; it has said why.
    """
    context = multiprocessing.get_context("spawn")
    workers: dict[str, Connection] = {}
    processes = []
    for name, build in builders.items():
        workers[name], theirs = context.Pipe()
        processes.append(context.Process(target=_work, args=(theirs, build), daemon=True))
        processes[-1].start()
        theirs.close()
    measured = {name: Measured() for name in builders}
    for turn in range(warm_up + turns):
        for name, connection in workers.items():
            seconds, measured[name].given = _ask(name, connection, more=True)
            if turn >= warm_up:
                measured[name].seconds.append(seconds)
            said = "warm-up " if turn < warm_up else ""
            click.echo(f"{said}{name}: {seconds:.3f} s", err=True)
    for name, connection in workers.items():
        measured[name].peak_memory_bytes = _ask(name, connection, more=False)
    for process in processes:  # giving memory back takes a core a while
        process.join()
    return measured


def _ask(name: str, connection: Connection, *, more: bool) -> Any:
    try:
        connection.send(more)
        return connection.recv()
    except (EOFError, OSError):
        raise click.ClickException(f"the process of {name} ended early") from None


def _work(connection: Connection, build: Callable[[], Callable[[], Any]]) -> None:
    """The process of one implementation: a turn per message, then its peak memory."""
    start_runtime(RuntimeSettings(precision="float32"))
    take_turn = build()
    while connection.recv():
        before = time.perf_counter()
        given = take_turn()
        connection.send((time.perf_counter() - before, given))
    connection.send(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024)
