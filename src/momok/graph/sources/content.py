"""The content of a source file that is read whole, plain or packed."""

from __future__ import annotations

from pathlib import Path

from momok.errors import DataError
from momok.graph.sources.compressed import Limits, open_source

__all__ = ["read_content"]

_LIMITS = Limits(total=16 << 30)  # it is all held in memory


def read_content(path: Path) -> bytes:
    """Read a file whole, unpacked.

    Raises:
        DataError, FormatError, MissingExtraError: see ``archives.open_source``.
    """
    with open_source(path, limits=_LIMITS) as file:
        try:
            return file.read()
        except OSError as error:
            raise DataError(f"{path}: cannot be read: {error.strerror}") from error
