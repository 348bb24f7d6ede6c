"""The losses of steps, read from the device some steps at a time"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor


class PendingLosses:
    """Keeps the losses of steps until they are read.

    Reading a number from a GPU waits until it has done all that was asked of it.

    Args:
        read_every: after how many steps it is ``full``.

    Attributes:
        last_task_loss: the sum over heads of the last step that was read; NaN before.
    """

    def __init__(self, *, read_every: int) -> None:
        self._read_every = read_every
        self._names: tuple[str, ...] = ()
        self._kept: list[Tensor] = []
        self.last_task_loss = math.nan

    @property
    def full(self) -> bool:
        """Whether it is time to read; after the first step it is, for something to show."""
        return len(self._kept) >= self._read_every or math.isnan(self.last_task_loss)

    def add(self, losses: Mapping[str, Tensor]) -> None:
        """Keep a step's losses where they are."""
        self._names = tuple(losses)
        self._kept.append(torch.stack([value.double() for value in losses.values()]))

    def read(self) -> list[dict[str, float]]:
        """The losses of every step since the last call, by name, in order; they are dropped."""
        if not self._kept:
            return []
        steps = [
            dict(zip(self._names, values, strict=True))
            for values in torch.stack(self._kept).tolist()
        ]
        self._kept.clear()
        self.last_task_loss = math.fsum(v for k, v in steps[-1].items() if k.startswith("loss/"))
        return steps
