"""Vectors in tables: CSV and TSV, and Parquet. A column of labels, and columns of numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import polars as pl
from numpy.typing import NDArray

from momok.errors import DataError, FeatureError
from momok.graph.feature_import.vectors import RowVectors, Vectors, name_rows, to_floats
from momok.graph.findings import FindingLog
from momok.graph.sources.text_tables import LINE, read_text_table

_LABEL_COLUMNS = ("label", "entity", "id", "name", "key", "uri")
_HARMLESS = 16 << 20  # cells
_MOST_UNPACKED = 50  # cells per byte of the file


def read_delimited(path: Path) -> Vectors:
    """Read CSV, or TSV by its suffix: rows of numbers, with a label in front or without one.

    A first row that does not end with a number is a header. The first column are labels where it
    holds what is no number, or where the header calls it so (label, entity, id, ...).

    Raises:
        FeatureError: a row is not as long as the others, or a cell is no number (with its line).
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        log = FindingLog(path, strict=True)
        frame = read_text_table(path, log, least=1, delimiter=delimiter).frame
    except DataError as error:
        raise FeatureError(str(error)) from None
    columns = [name for name in frame.columns if name != LINE]
    head = frame.row(0, named=True)
    is_labelled = False
    if not _is_number(head[columns[-1]]):
        is_labelled = head[columns[0]].strip().casefold() in _LABEL_COLUMNS
        frame = frame.slice(1)
    if not len(frame):
        raise FeatureError("holds no rows")
    is_labelled = is_labelled or not _is_number(frame[columns[0]][0])
    labels = frame[columns[0]].to_list() if is_labelled else None
    cells = frame.select(columns[1:] if is_labelled else columns)
    if not cells.width:
        raise FeatureError("holds labels alone and no numbers")
    numbers = cells.select(pl.all().str.strip_chars().cast(pl.Float64, strict=False))
    for name in numbers.columns:
        if numbers[name].null_count():
            row = numbers[name].is_null().arg_max()
            assert row is not None
            raise FeatureError(f"{path}:{frame[LINE][row]}: {cells[name][row][:40]!r} is no number")
    return _make_vectors(numbers.to_numpy(), labels)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def read_parquet(path: Path) -> Vectors:
    """Read Parquet: one column of labels or none, and columns of numbers or one of lists.

    Raises:
        FeatureError: it is corrupt, or its columns are others.
    """
    try:
        lazy = pl.scan_parquet(path)
        cells = lazy.select(pl.len()).collect().item() * len(lazy.collect_schema())
        if cells > max(_HARMLESS, _MOST_UNPACKED * path.stat().st_size):
            raise FeatureError(f"declares {cells:,} cells in a small file: taken for a bomb")
        frame = pl.read_parquet(path)
    except FeatureError:
        raise
    except Exception as error:  # polars has no common base for what a broken file raises
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeatureError(f"is corrupt or no Parquet file: {reason[:160]}") from error
    label = _find_label_column(frame)
    numbers = frame.drop(label) if label is not None else frame
    labels = frame[label].cast(pl.String).to_list() if label is not None else None
    if not numbers.width or not len(frame):
        raise FeatureError(f"holds columns {', '.join(frame.columns)} and {len(frame)} rows")
    first = numbers.to_series(0)
    if numbers.width == 1 and isinstance(first.dtype, (pl.List, pl.Array)):
        return _make_vectors(_read_lists(first), labels)
    for name, kind in numbers.schema.items():
        if not kind.is_numeric():
            raise FeatureError(f"the column {name!r} is {kind}, expected numbers")
        if numbers[name].null_count():
            raise FeatureError("has blank cells among its numbers")
    return _make_vectors(numbers.to_numpy(), labels)


def _read_lists(column: pl.Series) -> NDArray[Any] | list[Any]:
    """Read a column of lists of one width; a blank one is None."""
    filled = column.drop_nulls()
    widths = [len(row) for row in filled]
    if len(set(widths)) != 1:
        raise FeatureError(f"has rows of {len(set(widths))} widths: {sorted(set(widths))[:3]}")
    numbers = filled.explode()
    if not numbers.dtype.is_numeric():
        raise FeatureError(f"the column {column.name!r} holds other lists than those of numbers")
    matrix = numbers.to_numpy().reshape(len(filled), -1)
    if len(filled) == len(column):
        return matrix
    rows = iter(matrix)
    return [None if blank else next(rows) for blank in column.is_null()]


def _find_label_column(frame: pl.DataFrame) -> str | None:
    """Find the column that names the rows: the only one of texts, or one that is called so."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    called = [name for name in frame.columns if name.casefold() in _LABEL_COLUMNS]
    if len(texts) > 1:
        named = [name for name in called if name in texts]
        if len(named) != 1:
            raise FeatureError(f"has {len(texts)} columns of texts; keep the one of labels")
        return named[0]
    return next(iter(texts or called), None)


def _make_vectors(rows: NDArray[Any] | list[Any], labels: list[str] | None) -> Vectors:
    if labels is not None:
        return name_rows(labels, rows)
    if isinstance(rows, list):
        raise FeatureError("has blank rows and no labels")
    return RowVectors(to_floats(rows))
