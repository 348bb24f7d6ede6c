"""Parquet tables, read with suspicion."""

from __future__ import annotations

import io
from pathlib import Path

import polars as pl

from momok.errors import FormatError
from momok.graph.sources.compressed import name_content, read_content

_SUFFIXES = (".parquet", ".pq")
_MAGIC = b"PAR1"  # at both ends of a Parquet file


def is_parquet(path: Path) -> bool:
    """Tell a Parquet file, which may be packed, by its name."""
    return Path(name_content(path)).suffix.lower() in _SUFFIXES


def read_parquet(path: Path) -> pl.DataFrame:
    """Read a Parquet file; every column becomes texts, which may be null.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is no Parquet file or corrupt, has no row, or a column holds lists or
            other things that are no text.
    """
    content = read_content(path)
    if not (content.startswith(_MAGIC) and content.endswith(_MAGIC)):
        raise FormatError(f"{path}: is no Parquet file, or was cut short")
    try:
        frame = pl.read_parquet(io.BytesIO(content))
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException, OSError) as error:
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FormatError(f"{path}: is a corrupt Parquet file: {said[:200]}") from None
    if not len(frame):
        raise FormatError(f"{path}: has columns and no row")
    for name, kind in frame.schema.items():
        if kind.is_nested() or kind in (pl.Binary, pl.Object, pl.Duration):
            raise FormatError(
                f"{path}: the column {name!r} holds {kind}; expected texts or numbers"
            )
    return frame.cast(pl.String)
