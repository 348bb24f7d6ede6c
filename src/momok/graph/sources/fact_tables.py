"""Facts from tables: CSV, TSV and their kin, Parquet, Arrow, JSON."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from momok.errors import FormatError
from momok.graph.fact_columns import WEIGHT, merge_fact_columns
from momok.graph.sources.columns import ROLES, find_columns, find_named_columns
from momok.graph.sources.extra_columns import FactRows, read_extra_columns
from momok.graph.sources.raw import UNSPLIT, RawGraph, TableOptions, number_labels
from momok.graph.sources.records import read_rows
from momok.graph.sources.text_tables import LINE
from momok.graph.text_files import FindingLog


def read_table(path: Path, options: TableOptions | None = None) -> RawGraph:
    """Read facts from a table with columns for head, relation and tail.

    Lines with another number of columns than most and facts with a blank label are left out and
    counted. Blanks around labels are taken off.

    Raises:
        DataError: the file is missing or cannot be read, or a column that was asked for.
        FormatError: it is malformed or no table, its columns cannot be told, or it has no fact.
    """
    options = options or TableOptions()
    log = FindingLog(path.parent, options.strict)
    table = read_rows(path, log, options, least=3 if options.relation is None else 2)
    frame = table.frame
    if table.names is not None:
        options = replace(options, header=True)
        header = {LINE: 0, **{str(i): name for i, name in enumerate(table.names)}}
        frame = pl.concat([pl.DataFrame([header], schema=frame.schema), frame])
    place = f"{path}:{frame[LINE][0]}" if frame[LINE][0] else str(path)
    columns = find_columns(frame.drop(LINE), options, place)
    first = [str(cell) for cell in frame.drop(LINE).row(0)]
    if columns.has_header:
        frame = _drop_header(frame, path, log)
    names = (
        list(map(repr, first)) if columns.has_header else [str(i + 1) for i in range(len(first))]
    )
    roles = ROLES if options.relation is None else ("head", "tail")
    named = ", ".join(f"{r}: {names[c]}" for r, c in zip(roles, columns.places, strict=True))
    named += f", relation: {options.relation!r} for all" if options.relation else ""
    rows = FactRows(frame, first if columns.has_header else None, path)
    extra = read_extra_columns(rows, columns.places, options, log)
    named += "".join(
        f", {'weight' if own == WEIGHT else 'kept'}: {names[c]}" for own, c in extra.places.items()
    )
    used = (*columns.places, *extra.places.values())
    unused = [name for i, name in enumerate(names) if i not in used]
    notes = [
        f"{path.name}: {table.form}, "
        + (
            f"the header names the columns ({named})"
            if columns.has_header
            else f"no header ({named})"
        )
        + (f"; columns not used: {', '.join(unused)}" if unused else "")
    ]
    notes += [f"{path.name}: {columns.doubt}"] if columns.doubt else []
    picked = {role: pl.col(str(c)) for role, c in zip(roles, columns.places, strict=True)}
    if options.relation:
        picked["relation"] = pl.lit(options.relation)
    return number_facts(frame.select(LINE, **picked, **extra.values), path, log, notes)


def read_questions(
    path: Path,
) -> tuple[list[tuple[str | None, str | None, str | None]], list[str]]:
    """Read rows of head, relation and tail, None where a cell is blank or there is no such column.

    Gives them with their places: file and line, or row where the file has no lines. Two or three
    columns are found by their names; without such a header there are three, in this order.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is malformed or no table, has no row, or its columns cannot be told.
    """
    log = FindingLog(path.parent, strict=True)
    table = read_rows(path, log, TableOptions(strict=True), least=2)
    frame, first = table.frame, table.names
    if first is None:
        first = [str(cell) for cell in frame.drop(LINE).row(0)]
    places = find_named_columns(first, frame.drop(LINE).slice(0, 0), ROLES, str(path))
    if len(places) < 2:
        if len(first) != len(ROLES):
            raise FormatError(
                f"{path}: {len(first)} columns, {' | '.join(first)[:200]!r}; expected a header "
                "that calls two or three of them head, relation and tail"
            )
        places = {role: i for i, role in enumerate(ROLES)}
    elif table.names is None:
        frame = frame.slice(1)
    if not len(frame):
        raise FormatError(f"{path}: has a header and no row")
    cells = [
        pl.col(str(places[role])).str.strip_chars(" \t\r\n").replace("", None)
        if role in places
        else pl.lit(None, pl.String)
        for role in ROLES
    ]
    rows = frame.select(cell.alias(role) for cell, role in zip(cells, ROLES, strict=True)).rows()
    return rows, [f"{path.name}:{line}" for line in frame[LINE]]


def number_facts(facts: pl.DataFrame, path: Path, log: FindingLog, notes: list[str]) -> RawGraph:
    """Make a source of columns of labels: the line, and head, relation and tail, which may be null.

    Further columns are a weight and texts about the facts (see ``momok.graph.fact_columns``).

    Args:
        path: what findings and errors call the table.

    Raises:
        FormatError: there is no fact; or reading is strict and a label is blank.
    """
    facts = _clean(facts, path, log)
    entities, ends = number_labels(pl.concat([facts["head"], facts["tail"]]))
    relations, kinds = number_labels(facts["relation"])
    triples = np.stack([ends[: len(facts)], kinds, ends[len(facts) :]], axis=1)
    more = None
    if facts.width > len((LINE, *ROLES)):
        more = merge_fact_columns([facts.drop(LINE)])
    return RawGraph(
        entities=entities,
        relations=relations,
        triples={UNSPLIT: triples},
        fact_columns=more,
        findings=log.findings,
        notes=notes,
    )


def _drop_header(frame: pl.DataFrame, path: Path, log: FindingLog) -> pl.DataFrame:
    """Leave out the first row, and others that repeat it, as files put together have them."""
    again = pl.all_horizontal(pl.exclude(LINE).eq_missing(pl.exclude(LINE).first()))
    repeated = frame.filter(again)[LINE][1:]
    log.report(
        "repeated-header",
        f"lines of {path.name} repeat the header and are left out",
        (f"{path.name}:{line}" for line in repeated),
        len(repeated),
    )
    frame = frame.filter(~again)
    if not len(frame):
        raise FormatError(f"{path}: has a header and no fact")
    return frame


def _clean(facts: pl.DataFrame, path: Path, log: FindingLog) -> pl.DataFrame:
    """Take blanks and line breaks off labels; leave facts out that have a blank one."""
    tidy = facts.with_columns(
        pl.col(role).str.strip_chars(" \t\r\n").str.replace_all(r"[\t\r\n]+", " ") for role in ROLES
    )
    changed = tidy.select(
        pl.any_horizontal(tidy[role] != facts[role] for role in ROLES).fill_null(False)
    ).to_series()
    log.report(
        "blanks",
        f"facts of {path.name} have labels with blanks around them or line breaks, taken off",
        (f"{path.name}:{line}" for line in facts.filter(changed)[LINE].head(5)),
        int(changed.sum()),
    )
    blank = pl.any_horizontal(pl.col(role).is_null() | (pl.col(role) == "") for role in ROLES)
    empty = tidy.filter(blank)
    places = (
        f"{path.name}:{row[LINE]}: the {next(role for role in ROLES if not row[role])} is blank"
        for row in empty.iter_rows(named=True)
    )
    message = f"facts of {path.name} have a blank label and are left out"
    log.reject("blank-label", message, places, len(empty))
    if len(empty) == len(tidy):
        raise FormatError(f"{path}: has no fact: in every line a label is blank")
    return tidy.filter(~blank)
