"""What training logs: losses read from the device some steps at a time, and the file they go to."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from momok.errors import RunError
from momok.storage import parse_json, truncate_file


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


def parse_records(content: bytes, path: Path, kind: str | None = None) -> Iterator[dict[str, Any]]:
    """The records of a log, of one kind or all.

    Raises:
        RunError: it is malformed.
    """
    for number, line in enumerate(content.splitlines(keepends=True), start=1):
        try:
            record = parse_json(line)
            wanted = kind is None or record["kind"] == kind
        except (ValueError, TypeError, KeyError) as error:
            if not line.endswith(b"\n"):
                return  # cut off by a crash while it was written
            raise RunError(f"{path}:{number}: not a JSON record") from error
        if wanted:
            yield record


def rewind_log(path: Path, size: int) -> None:
    """Forget what was logged after a checkpoint.

    Raises:
        RunError: the log is missing or shorter than it was then.
    """
    if not path.is_file() or path.stat().st_size < size:
        raise RunError(
            f"{path}: missing, or shorter than at the last checkpoint; it was changed or cut "
            "after the run, so the run cannot be continued exactly. Restore it from a copy"
        )
    truncate_file(path, size)
