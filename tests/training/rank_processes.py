"""Functions run by several processes at once, as ranks of one group."""

from __future__ import annotations

import multiprocessing
import os
import tempfile
import traceback
from collections.abc import Callable
from datetime import timedelta
from multiprocessing.queues import SimpleQueue
from pathlib import Path
from typing import Any

import torch
import torch.distributed as dist

from momok.errors import MomokError


def run_ranks(count: int, function: Callable[..., Any], *given: Any) -> list[Any]:
    """What ``function(rank, count, *given)`` returns on every rank.

    The processes are forks of one that has imported PyTorch already. An exception of the package is
    given in place of a result, any other fails.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["momok.training", __name__])
    found: SimpleQueue[Any] = context.SimpleQueue()
    with tempfile.TemporaryDirectory() as folder:
        processes = [
            context.Process(
                target=_run, args=((rank, count), Path(folder) / "store", found, function, given)
            )
            for rank in range(count)
        ]
        for process in processes:
            process.start()
        results = dict(found.get() for _ in processes)
        for process in processes:
            process.join()
    for result in results.values():
        if isinstance(result, _Failed):
            raise AssertionError(result.text)
    return [results[rank] for rank in range(count)]


class _Failed:
    def __init__(self, text: str) -> None:
        self.text = text


def _run(
    place: tuple[int, int], store: Path, found: Any, function: Callable[..., Any], given: Any
) -> None:
    rank, count = place
    torch.set_num_threads(1)
    os.environ.update(RANK=str(rank), WORLD_SIZE=str(count))  # as torchrun says it
    try:
        dist.init_process_group(
            "gloo",
            init_method=f"file://{store}",
            rank=rank,
            world_size=count,
            timeout=timedelta(seconds=60),
        )
        result = function(rank, count, *given)
        if dist.is_initialized():
            dist.destroy_process_group()
    except MomokError as error:
        result = error
    except BaseException:
        result = _Failed(f"rank {rank}: {traceback.format_exc()}")
    found.put((rank, result))
