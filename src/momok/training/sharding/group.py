"""The processes that train one model together: who they are, and what they must agree on."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import torch
import torch.distributed as dist

from momok.errors import ConfigError, RunError
from momok.runtime import Runtime
from momok.shard import Shard, lost_rank

_TIMEOUT = timedelta(minutes=10)  # of one exchange: what the slowest rank may take between two


@dataclass(frozen=True)
class Group:
    """This process among those that train one model; alone, it is the only one."""

    rank: int = 0
    count: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes the run folder and speaks to the user."""
        return self.rank == 0

    def shard(self, entities: int) -> Shard:
        """The entities whose rows this process has."""
        return Shard(entities, self.rank, self.count)

    def share(self, value: Any) -> Any:
        """The value that rank 0 gives."""
        if self.count == 1:
            return value
        values = [value]
        try:
            dist.broadcast_object_list(values, 0)
        except RuntimeError as error:
            raise lost_rank() from error
        return values[0]

    def check_alike(self, value: str, what: str) -> None:
        """Check that all processes have the same value.

        Raises:
            ConfigError: on all of them, where they do not.
        """
        differs = self.share(value) != value
        if Shard(self.count, self.rank, self.count).any(differs):
            raise ConfigError(
                f"the {self.count} processes of this run do not have the same {what}; start all of "
                "them by the same command, with the same files"
            )


def asked_ranks() -> int:
    """How many processes ``torchrun``, or whoever started this one, says there are."""
    return int(os.environ.get("WORLD_SIZE", "1") or 1) if "RANK" in os.environ else 1


def leads() -> bool:
    """Whether this process speaks to the user: rank 0, or the only one."""
    return asked_ranks() == 1 or os.environ["RANK"] == "0"


@contextmanager
def join_group(runtime: Runtime) -> Iterator[Group]:
    """Meet the other processes that were started with this one, and part in the end.

    Raises:
        ConfigError: there is no GPU for each of them, where they compute on GPUs.
        RunError: the others do not come.
    """
    count = asked_ranks()
    if count == 1:
        yield Group()
        return
    backend = "gloo"
    if runtime.device.type == "cuda":
        local, gpus = int(os.environ.get("LOCAL_RANK", "0")), torch.cuda.device_count()
        if local >= gpus:
            raise ConfigError(
                f"process {local + 1} on this machine has no GPU: there are {gpus}; start as many "
                "processes as there are GPUs, or set runtime.device=cpu"
            )
        torch.cuda.set_device(local)
        backend = "nccl"
    if not dist.is_initialized():
        try:
            dist.init_process_group(backend, timeout=_TIMEOUT)
        except (RuntimeError, ValueError) as error:  # no address, nobody there in time
            reason = str(error).splitlines()[0]
            raise RunError(f"the {count} processes of this run did not meet: {reason}") from error
    try:
        yield Group(dist.get_rank(), dist.get_world_size())
    finally:
        if dist.is_initialized():
            dist.destroy_process_group()
