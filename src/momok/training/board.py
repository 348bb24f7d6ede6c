"""TensorBoard event files, when asked for: an extra that is imported when it is used."""

from __future__ import annotations

from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path

from momok.errors import MissingExtraError

__all__ = ["Board", "require_tensorboard"]


def require_tensorboard() -> None:
    """Make sure that event files can be written.

    Raises:
        MissingExtraError: TensorBoard is not installed.
    """
    if find_spec("tensorboard") is None:
        raise MissingExtraError("tensorboard", "tensorboard", "training.tensorboard")


class Board:
    """Writes numbers to event files, or nowhere when it is not wanted."""

    def __init__(self, folder: Path, *, wanted: bool) -> None:
        self._writer = None
        if wanted:
            require_tensorboard()
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(str(folder))

    def add(self, values: Mapping[str, float | None], epoch: int) -> None:
        """Write the numbers of an epoch; those that do not exist are left out."""
        if self._writer is None:
            return
        for name, value in values.items():
            if value is not None:
                self._writer.add_scalar(name, value, epoch)

    def close(self) -> None:
        """Write out what is buffered."""
        if self._writer is not None:
            self._writer.close()
