"""Which entities' rows a process has, and how it comes by those of others.

Alone it has all rows, and nothing is sent. Several processes (ranks, as ``torchrun`` starts them)
that train one model have some rows of every table of entities each, and a copy of all else. They
compute the same on the same queries and differ in the candidates that they score; what is summed
over all candidates is then summed over the ranks (Shoeybi et al. 2019, "Megatron-LM",
arXiv:1909.08053, with entities in the place of a vocabulary).

Shapes: N entities, n rows of this rank, B ids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

import torch
import torch.distributed as dist
from torch import Tensor

from momok.errors import ConfigError, RunError

_Ids = TypeVar("_Ids", bound=slice | Tensor)


class Shard:
    """The rows of one rank: of all entities those from ``first`` to before ``stop``.

    Args:
        entities: N.
        rank, count: of the processes; ``torch.distributed`` is running if there are several.

    Raises:
        ConfigError: there are more ranks than entities.
    """

    def __init__(self, entities: int, rank: int = 0, count: int = 1) -> None:
        if count > max(entities, 1):
            raise ConfigError(
                f"{count} processes for {entities} entities: each needs rows of its own; start "
                "fewer"
            )
        self.entities, self.rank, self.count = entities, rank, count
        self.first, self.stop = (r * entities // count for r in (rank, rank + 1))

    @property
    def whole(self) -> bool:
        """Whether all rows are here."""
        return self.count == 1

    def __len__(self) -> int:
        return self.stop - self.first

    # -- rows ------------------------------------------------------------------------------

    def place(self, ids: _Ids) -> _Ids:
        """Where the rows of entities of this rank lie in its tables."""
        if self.whole:
            return ids
        if isinstance(ids, slice):
            start, stop, _ = ids.indices(self.entities)
            return cast(_Ids, slice(start - self.first, stop - self.first))
        return cast(_Ids, ids - self.first)

    def owned(self, ids: Tensor) -> Tensor:
        """Which of the entities ``ids`` [B] are of this rank: their positions."""
        return ((ids >= self.first) & (ids < self.stop)).nonzero().squeeze(1)

    def take(self, rows_of: Callable[[Tensor], Tensor], ids: Tensor) -> Tensor:
        """The rows of any entities ``ids`` [B], which all ranks ask for: [B, f].

        Args:
            rows_of: gives rows of this rank by their places.
        """
        if self.whole:
            return rows_of(ids)
        own = self.owned(ids)
        found = rows_of(self.place(ids[own])).detach()
        rows = found.new_zeros(len(ids), *found.shape[1:])
        rows[own] = found
        self.sum_(rows)
        return rows

    # -- sums over ranks -------------------------------------------------------------------

    def sum_(self, *tensors: Tensor) -> None:
        """Put in place of every tensor its sum over the ranks, the same bits on all of them.

        Raises:
            RunError: another rank is gone.
        """
        if self.whole:
            return
        for some in _by_type(tensors):
            flat = some[0] if len(some) == 1 else torch.cat([x.reshape(-1) for x in some])
            flat = flat.contiguous()
            self._reduce(flat, dist.ReduceOp.SUM)
            if len(some) == 1:
                some[0].copy_(flat)
                continue
            parts = torch.split(flat, [x.numel() for x in some])
            for tensor, total in zip(some, parts, strict=True):
                tensor.copy_(total.view_as(tensor))

    def log_sum_exp(self, values: Tensor) -> Tensor:
        """``log(sum(exp(x)))`` of a value per rank, for each of ``values``."""
        if self.whole:
            return values
        largest = values.clone()
        self._reduce(largest, dist.ReduceOp.MAX)
        total = torch.exp(values - largest)
        self._reduce(total, dist.ReduceOp.SUM)
        return total.log_().add_(largest)

    def mean(self, rows: Tensor) -> Tensor:
        """The mean of rows [n, ...], n of each rank: [...]."""
        if self.whole:
            return rows.mean(dim=0)
        total = rows.sum(dim=0, dtype=torch.float64)
        count = torch.tensor(float(len(rows)), dtype=torch.float64, device=rows.device)
        self.sum_(total, count)
        return (total / count).to(rows.dtype)

    def any(self, flag: bool) -> bool:
        """Whether a flag is set on one rank at least."""
        if self.whole:
            return flag
        flags = torch.tensor(float(flag), device=_device())
        self._reduce(flags, dist.ReduceOp.MAX)
        return bool(flags.item())

    def collect(self, rows: Tensor, dim: int) -> Iterator[Tensor]:
        """The rows of every rank in turn, for rank 0; the others send theirs and get nothing.

        Args:
            rows: of this rank, alike but along ``dim``.
        """
        for rank in range(self.count):
            if rank == self.rank == 0:
                yield rows
            elif rank == self.rank:
                _send(rows)
            elif self.rank == 0:
                size = Shard(self.entities, rank, self.count)
                shape = (*rows.shape[:dim], len(size), *rows.shape[dim + 1 :])
                yield _receive(rows.new_empty(shape), rank)

    def _reduce(self, values: Tensor, how: dist.ReduceOp.RedOpType) -> None:
        placed = values.to(_device())  # the same tensor but for what is on the host of a GPU
        try:
            dist.all_reduce(placed, how)
        except RuntimeError as error:
            raise lost_rank() from error
        if placed is not values:
            values.copy_(placed)


def lost_rank() -> RunError:
    """What a failed exchange means, in one line."""
    return RunError(
        "another process of this run has stopped, or does not answer; what its last checkpoint has "
        "is kept, and momok resume goes on from there"
    )


def _by_type(tensors: Sequence[Tensor]) -> list[list[Tensor]]:
    kinds: dict[torch.dtype, list[Tensor]] = {}
    for tensor in tensors:
        kinds.setdefault(tensor.dtype, []).append(tensor)
    return list(kinds.values())


def _device() -> torch.device:
    """Where the ranks exchange numbers: NCCL knows GPUs alone."""
    if dist.get_backend() == "nccl":
        return torch.device("cuda", torch.cuda.current_device())
    return torch.device("cpu")


def _send(rows: Tensor) -> None:
    try:
        dist.send(rows.contiguous(), 0)
    except RuntimeError as error:
        raise lost_rank() from error


def _receive(into: Tensor, rank: int) -> Tensor:
    try:
        dist.recv(into, rank)
    except RuntimeError as error:
        raise lost_rank() from error
    return into
