"""Files of facts as ids."""

from __future__ import annotations

from dataclasses import astuple, dataclass
from pathlib import Path

import numpy as np

from momok.errors import FormatError
from momok.graph.fact_reader import FindingLog
from momok.graph.sources.frames import pl
from momok.graph.sources.text_tables import LINE, LINE_TEXT, read_text_lines
from momok.graph.triples import Triples

__all__ = ["Columns", "read_id_triples"]

_TOLERATED = 0.5  # of the lines may be unusable; with more, the file is something else


@dataclass(frozen=True)
class Columns:
    """Where head, relation and tail ids stand in a line, from 0."""

    head: int
    relation: int
    tail: int


def read_id_triples(
    path: Path,
    columns: Columns,
    sizes: tuple[int, int],
    log: FindingLog,
    *,
    header: list[str] | None = None,
) -> Triples:
    """Read facts ``[n, 3]`` from lines of three ids, separated by blanks or tabs.

    Args:
        path: the file, plain or packed.
        columns: their order.
        sizes: N and R; ids at or beyond them are unknown.
        log: told of the lines that are left out.
        header: what the first line holds; None where it holds the number of facts.

    Raises:
        DataError: the file is missing.
        FormatError: there is no fact, or more than half of the lines cannot be used; or reading
            is strict and one cannot.
    """
    lines = read_text_lines(path)
    said = lines[LINE_TEXT][0].strip()
    if said.split() != header if header else not said.isdecimal():
        expected = f"the header {' '.join(header)}" if header else "the number of facts alone"
        raise FormatError(f"{path}:{lines[LINE][0]}: expected {expected}, found {said[:120]!r}")
    lines = lines.slice(1)
    if not len(lines):
        raise FormatError(f"{path}: has no fact")
    ids, good = _parse(lines)
    limits = np.empty(3, dtype=np.int64)
    limits[list(astuple(columns))] = sizes[0], sizes[1], sizes[0]
    _check_order(path, ids[good], columns, sizes)
    usable = good & (ids < limits).all(axis=1)
    _report(path, lines, good, usable, log)
    if header is None and int(said) != len(lines):
        places = (f"{path.name}:1: {said}",)
        message = f"facts are in {path.name}, not as many as its first line says"
        log.reject("count", message, places, len(lines))
    return np.ascontiguousarray(ids[usable][:, astuple(columns)])


def _parse(lines: pl.DataFrame) -> tuple[Triples, np.ndarray[tuple[int], np.dtype[np.bool_]]]:
    even = lines[LINE_TEXT].str.strip_chars(" \t\r").str.replace_all(r"[ \t]+", " ")
    parts = even.str.split_exact(" ", 3).struct.unnest()
    numbers = parts.select(pl.all().cast(pl.Int64, strict=False))
    first = numbers.columns[:3]
    ids = numbers.select(pl.col(first).fill_null(-1)).to_numpy().astype(np.int64)
    good = (ids >= 0).all(axis=1) & parts[parts.columns[3]].is_null().to_numpy()
    return ids, good


def _check_order(path: Path, ids: Triples, columns: Columns, sizes: tuple[int, int]) -> None:
    """Refuse facts whose columns fit another order only."""
    if not len(ids):
        return
    largest = ids.max(axis=0)
    other = next(c for c in (1, 2) if c != columns.relation)
    if largest[columns.relation] >= sizes[1] > largest[other]:
        raise FormatError(
            f"{path}: column {columns.relation + 1} should hold relation ids, but goes up to "
            f"{largest[columns.relation]} where there are {sizes[1]} relations, and column "
            f"{other + 1} does not: the columns are in another order (OpenKE's is head tail "
            f"relation)"
        )


def _report(
    path: Path,
    lines: pl.DataFrame,
    good: np.ndarray[tuple[int], np.dtype[np.bool_]],
    usable: np.ndarray[tuple[int], np.dtype[np.bool_]],
    log: FindingLog,
) -> None:
    for kind, message, rows in (
        ("malformed", "are not three ids; left out", np.flatnonzero(~good)),
        ("unknown-label", "have an id that no label has; left out", np.flatnonzero(good & ~usable)),
    ):
        if not len(rows):
            continue
        shown = lines[rows[:5].tolist()]
        places = [
            f"{path.name}:{line}: {text[:120]!r}"
            for line, text in zip(shown[LINE], shown[LINE_TEXT], strict=True)
        ]
        if len(rows) > _TOLERATED * len(lines):
            raise FormatError(
                f"{path.parent / places[0]}: this and others of the {len(lines):,} lines "
                f"({len(rows):,}) {message.split(';')[0]}; expected ids that the dictionaries list"
            )
        log.reject(kind, f"lines of {path.name} {message}", places, len(rows))
