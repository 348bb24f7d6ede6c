"""The losses of steps, read from the device some steps at a time.

Reading a number from a GPU waits until it has done all that was asked of it.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

from momok.training.step import StepLosses

__all__ = ["LossLedger"]


class LossLedger:
    """Keeps the losses of steps until they are read.

    Args:
        look_every: after how many steps it is ``full``.

    Attributes:
        last_task_loss: the sum over heads of the last step that was read; NaN before.
    """

    def __init__(self, *, look_every: int) -> None:
        self._look_every = look_every
        self._names: list[str] = []
        self._num_heads = 0
        self._kept: list[Tensor] = []
        self.last_task_loss = math.nan

    @property
    def full(self) -> bool:
        """Whether it is time to read; after the first step it is, for something to show."""
        return len(self._kept) >= self._look_every or math.isnan(self.last_task_loss)

    def add(self, losses: StepLosses) -> None:
        """Keep a step's losses where they are."""
        named = {f"loss/{head}": loss for head, loss in losses.per_head.items()}
        self._num_heads = len(named)
        if losses.mutual_information is not None and losses.estimator is not None:
            named["mutual_information"] = losses.mutual_information
            named["estimator"] = losses.estimator
        self._names = list(named)
        self._kept.append(torch.stack([value.double() for value in named.values()]))

    def read(self) -> list[dict[str, float]]:
        """The losses of every step since the last call, by name, in order; they are dropped."""
        if not self._kept:
            return []
        steps = torch.stack(self._kept).tolist()
        self._kept.clear()
        self.last_task_loss = math.fsum(steps[-1][: self._num_heads])
        return [dict(zip(self._names, values, strict=True)) for values in steps]
