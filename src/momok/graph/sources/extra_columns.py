"""Columns of a table of facts beside head, relation and tail: a weight, and what is kept as text.

Some are known by their names, others are asked for; what they were taken for is reported.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.fact_columns import KEYS, WEIGHT, parse_weights, to_weights
from momok.graph.names import flatten, suggest_near_misses
from momok.graph.sources.columns import KEPT, WEIGHTS, simplify_name
from momok.graph.sources.raw import RawGraph, TableOptions
from momok.graph.sources.text_tables import LINE
from momok.graph.text_files import FindingLog

_UNSURE = "score"  # which may be of anything


@dataclass(frozen=True)
class FactRows:
    """A table of facts.

    Attributes:
        cells: the line of each row, and columns ``0`` to ``width - 1`` of texts, which may be null.
        names: of the columns; None where they have none.
        path: what findings and errors call the table.
    """

    cells: pl.DataFrame
    names: Sequence[str] | None
    path: Path

    @property
    def width(self) -> int:
        """How many columns there are."""
        return self.cells.width - 1

    def show(self, place: int) -> str:
        """Give a column's name, or its position from 1."""
        return repr(self.names[place]) if self.names else str(place + 1)

    def find(self, given: str) -> int | None:
        """Find a column by its name or its position from 1."""
        if self.names is not None and given in self.names:
            return list(self.names).index(given)
        is_position = given.isdecimal() and 0 < int(given) <= self.width
        return int(given) - 1 if is_position else None


@dataclass(frozen=True)
class ExtraColumns:
    """What is taken of a table beside its facts.

    Attributes:
        values: by the name that a column will have: numbers, if it is the weight, or texts.
        places: where each stands in the table.
    """

    values: dict[str, pl.Series]
    places: dict[str, int]


def read_extra_columns(
    table: FactRows, taken: Sequence[int], options: TableOptions, log: FindingLog
) -> ExtraColumns:
    """Read the weight and the columns that are kept.

    Args:
        taken: the columns of head, relation and tail.
        log: told what was taken for the weight.

    Raises:
        DataError: a column that was asked for is not there, or is one of those taken.
        FormatError: a weight is no finite number above 0.
    """
    free = [place for place in range(table.width) if place not in taken]
    known = {place: simplify_name(table.names[place]) for place in free} if table.names else {}
    asked = _find_asked(table, taken, options)
    weight = asked.get(options.weight) if options.weight else None
    if options.weight is None:
        weight = _find_weight(table, known, log)
    places = {} if weight is None else {WEIGHT: weight}
    for place in free:
        if place != weight and (place in asked.values() or known.get(place) in KEPT):
            places[_choose_name(table, place, places)] = place
    values = {name: _tidy(table.cells[str(place)]) for name, place in places.items()}
    if weight is not None:
        asked_for = options.weight is not None
        values[WEIGHT] = _read_weights(table, weight, log, asked_for=asked_for)
    return ExtraColumns(values, places)


def _find_asked(table: FactRows, taken: Sequence[int], options: TableOptions) -> dict[str, int]:
    """Find the columns that were asked for; a table of held-out facts may lack them."""
    wanted = dict.fromkeys(options.kept, "--keep-columns")
    wanted |= {options.weight: "--weight"} if options.weight else {}
    found = {}
    for given, option in wanted.items():
        place = table.find(given)
        if place in taken:
            raise DataError(
                f"{table.path}: {option} {given}: this is the column of the head, relation or tail"
            )
        if place is not None:
            found[given] = place
        elif not options.held_out:
            header = " | ".join(table.names) if table.names else f"it has {table.width} columns"
            near = suggest_near_misses(given, table.names or ())
            raise DataError(
                f"{table.path}: {option}: there is no column {given!r}{near} ({header[:200]})"
            )
    return found


def _find_weight(table: FactRows, known: Mapping[int, str], log: FindingLog) -> int | None:
    """Find a column that is called as weights are."""
    for name in WEIGHTS:
        place = next((place for place, own in known.items() if own == name), None)
        if place is None:
            continue
        odd = to_weights(table.cells[str(place)]).is_null()
        if name != _UNSURE or not odd.any():
            return place
        found = table.cells.filter(odd).select(LINE, str(place))
        log.report(
            "weight",
            f"rows of {table.path.name} have no number above 0 in the column {table.show(place)}, "
            "which is not taken as their weight",
            (f"{table.path.name}:{line}: {text!r}" for line, text in found.iter_rows()),
            len(found),
        )
    return None


def _read_weights(table: FactRows, place: int, log: FindingLog, *, asked_for: bool) -> pl.Series:
    lines, name = table.cells[LINE], table.show(place)
    try:
        weights = parse_weights(
            table.cells[str(place)],
            f"the weight (column {name})",
            lambda row: f"{table.path}:{lines[row]}",
        )
    except FormatError as error:
        hint = "; if the column is no weight: --no-weight (in Python weight=False)"
        raise FormatError(f"{error}{'' if asked_for else hint}") from None
    numbers = weights.to_numpy()
    low, high = numbers.min(), numbers.max()
    message = f"rows of {table.path.name} have a weight, column {name}: {low:g} to {high:g}"
    log.report("weight", message, (), len(weights))
    return weights


def _choose_name(table: FactRows, place: int, others: Mapping[str, int]) -> str:
    """Choose what a column is kept as: its own name, or one that no other has."""
    name = flatten(table.names[place]).strip() if table.names else ""
    name = name or f"column_{place + 1}"
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    while name in (*KEYS, WEIGHT, *others):
        name = next(numbered)
    return name


def _tidy(texts: pl.Series) -> pl.Series:
    tidy = texts.str.strip_chars(" \t\r\n").str.replace_all(r"[\t\r\n]+", " ")
    return tidy.fill_null("")


def settle_weights(raw: RawGraph, path: Path, options: TableOptions) -> RawGraph:
    """Leave out weights that a source other than a table has, where none are wanted.

    Raises:
        DataError: a column is asked for by its name.
    """
    if options.weight or options.kept:
        raise DataError(f"{path}: --weight and --keep-columns are of tables of facts")
    known = raw.fact_columns
    if options.weight is not False or known is None or WEIGHT not in known.columns:
        return raw
    rest = known.drop(WEIGHT)
    return replace(raw, fact_columns=rest if rest.width > len(KEYS) else None)
