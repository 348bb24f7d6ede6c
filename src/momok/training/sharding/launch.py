"""Starting the ranks of a run on this machine, as ``torchrun --nproc-per-node`` does.

Each is this very command with four variables in its environment; the first one speaks.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from momok.errors import ConfigError, RunError
from momok.runtime import asked_threads, usable_cores

_GRACE = 30.0  # seconds in which the others find out that one is gone


def start_ranks(count: int, arguments: Sequence[str]) -> int:
    """Run ``momok`` with these arguments in ``count`` processes that work on one model.

    Returns:
        the exit code of the first one.

    Raises:
        ConfigError: there would be less than one process, or more than this machine has cores.
        RunError: another than the first was killed.
    """
    if count < 1:
        raise ConfigError(f"--ranks {count}: expected a number of processes, at least 1")
    if count > usable_cores():
        raise ConfigError(
            f"--ranks {count}: this machine has {usable_cores()} cores, and more processes would "
            "only wait for each other; give at most as many, or start them on several machines "
            "(docs/scaling.md)"
        )
    threads = max(1, (asked_threads() or usable_cores()) // count)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port), "WORLD_SIZE": str(count)}
    command = [sys.executable, "-m", "momok", *arguments]
    processes = []
    for rank in range(count):
        own = {"RANK": str(rank), "LOCAL_RANK": str(rank), "OMP_NUM_THREADS": str(threads)}
        silent = None if rank == 0 else subprocess.DEVNULL
        processes.append(
            subprocess.Popen(
                command, env={**os.environ, **meeting, **own}, stdout=silent, stderr=silent
            )
        )
    # Ctrl-C reaches all of them on a terminal: here it only means to let them save
    stops = (signal.SIGINT, signal.SIGTERM)
    before = [signal.signal(stop, lambda *_: _tell(processes, signal.SIGTERM)) for stop in stops]
    try:
        return _wait(processes)
    finally:
        for stop, handler in zip(stops, before, strict=True):
            signal.signal(stop, handler)
        _tell(processes, signal.SIGKILL)


def _wait(processes: Sequence[subprocess.Popen[bytes]]) -> int:
    """Wait for the first; a rank that was killed takes the others with it."""
    first, deadline = processes[0], float("inf")
    while first.poll() is None:
        time.sleep(0.05)
        lost = [rank for rank, process in enumerate(processes) if (process.poll() or 0) < 0]
        if lost and deadline == float("inf"):
            deadline = time.monotonic() + _GRACE
        if time.monotonic() > deadline:
            raise RunError(
                f"rank {lost[0]} of {len(processes)} was killed, so all were stopped; what the "
                "last checkpoint has is kept: momok resume goes on from there"
            )
    if first.returncode < 0:
        raise RunError(
            f"rank 0 of {len(processes)} was killed (signal {-first.returncode}); what the last "
            "checkpoint has is kept: momok resume goes on from there"
        )
    return int(first.returncode)


def _tell(processes: Sequence[subprocess.Popen[bytes]], number: int) -> None:
    for process in processes:
        if process.poll() is None:
            process.send_signal(number)
