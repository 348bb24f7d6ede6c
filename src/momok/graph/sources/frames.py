"""Facts and entities in memory: frames of pandas, polars or Arrow, arrays of NumPy, lists of facts.

They are turned into columns of texts, and then read as tables of files are. Rows count from 1.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.sources.columns import ROLES, count_known_names, find_columns
from momok.graph.sources.entity_table import add_entity_rows, find_key, name_columns
from momok.graph.sources.extra_columns import FactRows, read_extra_columns
from momok.graph.sources.fact_tables import number_facts
from momok.graph.sources.raw import RawGraph, TableOptions
from momok.graph.sources.text_tables import LINE
from momok.graph.text_files import FindingLog

ENTITIES = Path("entities")
"""What errors and findings call the frame of entities."""
_HEADER = TableOptions(header=True)


@dataclass(frozen=True)
class _Cells:
    """A table as texts.

    Attributes:
        names: of the columns; None where they have none.
        texts: columns ``0`` to ``width - 1``, which may be null.
        odd: by column, what it holds that is no label: neither text nor whole number; or "".
    """

    names: list[str] | None
    texts: pl.DataFrame
    odd: list[str]


def is_frame(given: object) -> bool:
    """Tell a frame of pandas, polars or Arrow from everything else, without importing pandas."""
    return _is_pandas(given) or (
        hasattr(given, "__arrow_c_stream__") and hasattr(given, "columns")  # a series has none
    )


def read_fact_frame(given: object, what: str, options: TableOptions = _HEADER) -> RawGraph:
    """Read facts: columns named as those of tables are, or else the first three.

    Args:
        given: a frame; an array ``[n, 3]``, or a list of (head, relation, tail). Labels are texts
            or whole numbers; blanks around them are taken off.
        what: what errors call it.
        options: which columns are read beside the facts.

    Raises:
        DataError: it is something else, has no fact, the columns cannot be told, a label is missing
            or is neither text nor whole number.
    """
    cells = _read_cells(given, what)
    if not len(cells.texts):
        raise DataError(f"{what}: has no row; expected facts")
    places = _find_places(cells, what)
    for role, place in zip(ROLES, places, strict=True):
        if cells.odd[place]:
            raise DataError(
                f"{what}: the column of the {role} holds {cells.odd[place]}; expected labels: "
                f"texts or whole numbers"
            )
    picked = {role: pl.col(str(place)) for role, place in zip(ROLES, places, strict=True)}
    rows, log = cells.texts.with_row_index(LINE, offset=1), FindingLog(Path(), strict=True)
    extra = read_extra_columns(FactRows(rows, cells.names, Path(what)), places, options, log)
    return number_facts(rows.select(LINE, **picked, **extra.values), Path(what), log, [])


def list_rows(frame: object, what: str) -> list[tuple[str | None, str | None, str | None]]:
    """List the rows of a frame of facts, or of questions: (head, relation, tail), None if missing.

    Raises:
        DataError: the columns cannot be told.
    """
    cells = _read_cells(frame, what)
    places = _find_places(cells, what) if len(cells.texts) else ()
    return cells.texts.select(map(str, places)).rows()


def add_entity_frame(raw: RawGraph, given: object) -> tuple[RawGraph, list[str]]:
    """Add what a frame says of the entities, and give the label of each of its rows.

    Its columns are found as those of a table of entities are; pictures are relative to the working
    directory.

    Raises:
        DataError: it is no frame, no column names an entity of the facts, or a label is missing or
            there twice.
    """
    if not is_frame(given):
        raise DataError(
            f"{ENTITIES}: {_describe(given)}; expected a frame with a column of the labels of the "
            f"facts, and others such as name and description"
        )
    cells = _read_cells(given, str(ENTITIES))
    if not len(cells.texts) or cells.names is None:
        raise DataError(f"{ENTITIES}: has no row")
    texts = cells.texts.fill_null("").with_row_index(LINE, offset=1)
    frame = name_columns(texts, [name.strip() for name in cells.names])
    key, _ = find_key(frame, raw, ENTITIES)
    added = add_entity_rows(raw, frame, ENTITIES, FindingLog(Path(), strict=True), {})
    return added, frame[key].str.strip_chars(" \t\r\n").to_list()


def _find_places(cells: _Cells, what: str) -> tuple[int, ...]:
    """Find the columns of head, relation and tail."""
    width, names = cells.texts.width, cells.names
    if width < 3 or (width > 3 and names is None):
        raise DataError(f"{what}: has {width} columns; expected three: head, relation and tail")
    if names is None or count_known_names(names) < 2:
        return (0, 1, 2)
    header = pl.DataFrame([names], schema=cells.texts.schema, orient="row")
    try:
        rows = pl.concat([header, cells.texts])
        return find_columns(rows, _HEADER, what).places
    except FormatError:
        raise DataError(
            f"{what}: cannot tell which columns are head, relation and tail: "
            f"{' | '.join(names)[:200]!r}; call them that, or give these three alone"
        ) from None


def _is_pandas(given: object) -> bool:
    return hasattr(given, "iloc") and hasattr(given, "columns")


def _read_cells(given: Any, what: str) -> _Cells:
    """Read a table of any kind.

    Raises:
        DataError: it is none, or a cell is neither text nor number nor date.
    """
    names: list[str] | None = None
    columns: Sequence[Any]
    if _is_pandas(given):
        names = list(map(str, given.columns))
        columns = [_list_pandas(given.iloc[:, place]) for place in range(len(names))]
    elif is_frame(given):
        frame = pl.DataFrame(given)
        names, columns = frame.columns, frame.get_columns()
    elif isinstance(given, np.ndarray):
        if given.ndim != 2 or given.dtype.kind not in "UOiu":
            raise DataError(
                f"{what}: an array {given.dtype} {list(given.shape)}; expected texts [n, 3]"
            )
        columns = given.T.tolist()
    else:
        columns = _transpose(given, what)
    parts = [_read_column(column, what, names[i] if names else str(i + 1))
             for i, column in enumerate(columns)]  # fmt: skip
    texts = pl.DataFrame({str(i): text for i, (text, _) in enumerate(parts)})
    return _Cells(names, texts, [odd for _, odd in parts])


def _list_pandas(column: Any) -> list[Any]:
    """List the values of a column of pandas, with None for each of its kinds of missing ones."""
    values: list[Any] = column.astype(object).tolist()
    return [None if gone else x for x, gone in zip(values, column.isna(), strict=True)]


def _transpose(given: Any, what: str) -> list[list[Any]]:
    """Turn a list of facts to columns."""
    if not isinstance(given, list | tuple):
        raise DataError(
            f"{what}: {_describe(given)}; expected a frame of pandas or polars, an array [n, 3], "
            f"or a list of (head, relation, tail)"
        )
    for row, fact in enumerate(given, 1):
        if not isinstance(fact, list | tuple) or len(fact) != 3:
            raise DataError(
                f"{what}:{row}: {repr(fact)[:120]}; expected three labels: (head, relation, tail)"
            )
    return [list(column) for column in zip(*given, strict=True)] or [[], [], []]


def _read_column(column: Any, what: str, name: str) -> tuple[pl.Series, str]:
    """Read a column as texts, and say what is in it that is no label, "" where there is nothing."""
    if isinstance(column, pl.Series) and column.dtype != pl.Object:
        dtype = column.dtype
        if dtype.is_nested() or dtype in (pl.Binary, pl.Duration):
            raise DataError(f"{what}: the column {name!r} holds {dtype}; expected texts or numbers")
        texts = dtype.is_integer() or dtype in (pl.String, pl.Categorical, pl.Enum, pl.Null)
        return column.cast(pl.String), "" if texts else str(dtype)
    odd, cells = "", list[str | None]()
    for row, value in enumerate(column, 1):
        if value is None or (isinstance(value, float) and math.isnan(value)):
            cells.append(None)
        elif isinstance(value, str):
            cells.append(value)
        elif isinstance(value, date):
            cells.append(value.isoformat())
            odd = odd or f"{value.isoformat()} (row {row})"
        elif isinstance(value, int | float | np.number) and not isinstance(value, bool):
            cells.append(str(value))
            if not isinstance(value, int | np.integer):
                odd = odd or f"{value} (row {row})"
        else:
            raise DataError(
                f"{what}:{row}: the column {name!r} holds {_describe(value)}; expected texts or "
                f"numbers"
            )
    return pl.Series(cells, dtype=pl.String), odd


def _describe(value: object) -> str:
    kind = type(value).__name__
    return f"{'an' if kind[:1].lower() in 'aeiou' else 'a'} {kind}"
