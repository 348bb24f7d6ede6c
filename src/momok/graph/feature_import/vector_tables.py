"""Vectors in tables: CSV and TSV, and Parquet. A column of labels, and columns of numbers."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from momok.errors import FeatureError
from momok.extras import import_extra
from momok.graph.feature_import.vectors import (
    MOST_NUMBERS,
    RowVectors,
    Vectors,
    name_rows,
    to_floats,
)

_LABEL_COLUMNS = ("label", "entity", "id", "name", "key", "uri")
_LONGEST_CELL = 1 << 20
_HARMLESS = 16 << 20  # cells
_MOST_UNPACKED = 50  # cells per byte of the file


def read_delimited(path: Path) -> Vectors:
    """Read CSV, or TSV by its suffix: rows of numbers, with a label in front or without one.

    A first row that does not end with a number is a header. The first column are labels where it
    holds what is no number, or where the header calls it so (label, entity, id, ...).

    Raises:
        FeatureError: a row is not as long as the first, or a cell is no number (with its line).
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    csv.field_size_limit(_LONGEST_CELL)
    labels: list[str] = []
    rows: list[Any] = []
    labelled = False
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            for row in filter(None, reader := csv.reader(file, delimiter=delimiter)):
                if not rows:
                    labelled = labelled or not _is_number(row[0])
                if reader.line_num == 1 and not _is_number(row[-1]):
                    labelled = row[0].strip().casefold() in _LABEL_COLUMNS
                    continue
                if labelled:
                    labels.append(row[0])
                rows.append(_parse(row[1:] if labelled else row, path, reader.line_num, rows))
    except (UnicodeDecodeError, csv.Error) as error:
        raise FeatureError(f"{path}: is no table in UTF-8: {error}") from error
    return _make(rows, labels if labelled else None)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _parse(cells: Sequence[str], path: Path, line: int, before: Sequence[Any]) -> Any:
    if before and len(cells) != len(before[0]):
        raise FeatureError(
            f"{path}:{line}: {len(cells)} numbers, the rows before have {len(before[0])}"
        )
    if not cells or len(cells) > MOST_NUMBERS:
        raise FeatureError(f"{path}:{line}: {len(cells)} numbers, expected 1 to {MOST_NUMBERS:,}")
    try:
        return to_floats(np.array(cells, dtype=np.float64))
    except ValueError:
        bad = next(cell for cell in cells if not _is_number(cell))
        raise FeatureError(f"{path}:{line}: {bad[:40]!r} is no number") from None


def read_parquet(path: Path) -> Vectors:
    """Read Parquet: one column of labels or none, and columns of numbers or one of lists.

    Raises:
        FeatureError: it is corrupt, or its columns are others.
        MissingExtraError: polars is not installed.
    """
    polars = import_extra("polars", "data", f"reading {path.name}")
    try:
        lazy = polars.scan_parquet(path)
        cells = lazy.select(polars.len()).collect().item() * len(lazy.collect_schema())
        if cells > max(_HARMLESS, _MOST_UNPACKED * path.stat().st_size):
            raise FeatureError(f"declares {cells:,} cells in a small file: taken for a bomb")
        frame = polars.read_parquet(path)
    except FeatureError:
        raise
    except Exception as error:  # polars has no common base for what a broken file raises
        said = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise FeatureError(f"is corrupt or no Parquet file: {said[:160]}") from error
    label = _find_label_column(frame, polars)
    columns = [name for name in frame.columns if name != label]
    if not columns or not len(frame):
        raise FeatureError(f"holds columns {', '.join(frame.columns)} and {len(frame)} rows")
    kinds = {name: frame.schema[name] for name in columns}
    if len(columns) == 1 and isinstance(kinds[columns[0]], (polars.List, polars.Array)):
        rows = [_parse_list(row, columns[0]) for row in frame[columns[0]]]
    else:
        bad = [name for name, kind in kinds.items() if not kind.is_numeric()]
        if bad:
            raise FeatureError(f"the column {bad[0]!r} is {kinds[bad[0]]}, expected numbers")
        if any(frame[name].null_count() for name in columns):
            raise FeatureError("has blank cells among its numbers")
        rows = list(frame.select(columns).to_numpy().astype(np.float32))
    return _make(rows, None if label is None else [str(item) for item in frame[label]])


def _parse_list(row: Any, column: str) -> Any:
    try:
        return None if row is None else to_floats(np.asarray(row.to_list(), dtype=np.float64))
    except (ValueError, TypeError):
        raise FeatureError(
            f"the column {column!r} holds other lists than those of numbers"
        ) from None


def _find_label_column(frame: Any, polars: Any) -> str | None:
    """Find the column that names the rows: the only one of texts, or one that is called so."""
    texts = [name for name, kind in frame.schema.items() if kind == polars.String]
    called = [name for name in frame.columns if name.casefold() in _LABEL_COLUMNS]
    if len(texts) > 1:
        named = [name for name in called if name in texts]
        if len(named) != 1:
            raise FeatureError(f"has {len(texts)} columns of texts; keep the one of labels")
        return str(named[0])
    found = texts or called
    return str(found[0]) if found else None


def _make(rows: list[Any], labels: Sequence[str] | None) -> Vectors:
    if not rows:
        raise FeatureError("holds no rows")
    widths = {len(row) for row in rows if row is not None}
    if len(widths) != 1:
        raise FeatureError(f"has rows of {len(widths)} widths: {sorted(widths)[:3]}")
    if labels is None:
        if any(row is None for row in rows):
            raise FeatureError("has blank rows and no labels")
        return RowVectors(np.stack(rows))
    return name_rows(labels, rows)
