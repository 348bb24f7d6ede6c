"""Facts from tables: CSV, TSV and their kin, Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.findings import FindingLog
from momok.graph.names import suggest_near_misses
from momok.graph.sources.raw import UNSPLIT, RawGraph, TableOptions, number_labels
from momok.graph.sources.text_tables import (
    LINE,
    is_parquet,
    name_delimiter,
    read_parquet,
    read_text_table,
    simplify_name,
)

_ROLES = ("head", "relation", "tail")
# Names that tools give to the three columns, lower case, "_" for blanks, hyphens and colons.
_KNOWN_NAMES = {
    "head": (
        *("head", "h", "head_entity", "head_id", "subject", "subj", "s", "source", "src"),
        *("from", "start", "start_id", "entity1", "node1", "x_name"),
    ),
    "relation": (
        *("relation", "rel", "r", "relation_type", "predicate", "pred", "p", "property"),
        *("relationship", "edge", "edge_type", "type", "kind", "label", "link"),
    ),
    "tail": (
        *("tail", "t", "tail_entity", "tail_id", "object", "obj", "o", "target", "dst"),
        *("to", "end", "end_id", "entity2", "node2", "y_name"),
    ),
}


def read_table(path: Path, options: TableOptions | None = None) -> RawGraph:
    """Read facts from a table with columns for head, relation and tail.

    Lines with another number of columns than most and facts with a blank label are left out and
    counted. Blanks around labels are taken off.

    Raises:
        DataError: the file is missing or cannot be read, or a column that was asked for.
        FormatError: it is malformed, its columns cannot be told, or it has no fact.
    """
    options = options or TableOptions()
    log = FindingLog(path.parent, options.strict)
    if is_parquet(path):
        frame = read_parquet(path).with_row_index(LINE, offset=1)
        first, place, form = frame.columns[1:], str(path), "Parquet"
        frame.columns = [LINE, *map(str, range(len(first)))]
        columns, has_header = _find_columns(first, replace(options, header=True), place)
    else:
        table = read_text_table(
            path, log, least=3, delimiter=options.delimiter, quotes=options.quotes
        )
        frame, first = table.frame, list(table.frame.drop(LINE).row(0))
        columns, has_header = _find_columns(first, options, f"{path}:{frame[LINE][0]}")
        frame = frame.slice(int(has_header))
        form = f"columns separated by {name_delimiter(table.delimiter)}"
        form += ", quotes around fields taken off" if table.is_quoted else ""
    if not len(frame):
        raise FormatError(f"{path}: has a header and no fact")
    names = (
        [repr(name) for name in first] if has_header else list(map(str, range(1, len(first) + 1)))
    )
    named = ", ".join(f"{role}: {names[c]}" for role, c in zip(_ROLES, columns, strict=True))
    unused = [name for i, name in enumerate(names) if i not in columns]
    notes = [
        f"{path.name}: {form}, "
        + (f"the header names the columns ({named})" if has_header else f"no header ({named})")
        + (f"; columns not used: {', '.join(unused)}" if unused else "")
    ]
    if not has_header and options.header is None:
        fact = " | ".join(first[c] for c in columns)
        notes.append(f"{path.name}: the first line is taken as a fact ({fact}); if not: --header")
    picked = {role: pl.col(str(c)) for role, c in zip(_ROLES, columns, strict=True)}
    facts = _clean(frame.select(LINE, **picked), path, log)
    entities, ends = number_labels(pl.concat([facts["head"], facts["tail"]]))
    relations, kinds = number_labels(facts["relation"])
    triples = np.stack([ends[: len(facts)], kinds, ends[len(facts) :]], axis=1)
    return RawGraph(
        entities=entities,
        relations=relations,
        triples={UNSPLIT: triples},
        findings=log.findings,
        notes=notes,
    )


def _find_columns(
    first: Sequence[str], options: TableOptions, place: str
) -> tuple[tuple[int, ...], bool]:
    """Find the columns of head, relation and tail, and whether the first row is a header."""
    plain = [simplify_name(name) for name in first]
    known = [[i for i, name in enumerate(plain) if name in _KNOWN_NAMES[role]] for role in _ROLES]
    guessed = tuple(found[0] for found in known if found)
    recognised = len(set(guessed)) == 3
    if options.columns is not None:
        return _take_given(first, options.columns, options.header, recognised, place)
    if recognised and options.header is not False:
        return guessed, True
    if len(first) == 3:
        return (0, 1, 2), bool(options.header)
    raise FormatError(
        f"{place}: {len(first)} columns, and none are called head, relation and tail: "
        f"{' | '.join(first)[:200]!r}; say which they are, as in --columns 1,2,3 or by their names"
    )


def _take_given(
    first: Sequence[str],
    given: tuple[str, str, str],
    header: bool | None,
    recognised: bool,
    place: str,
) -> tuple[tuple[int, ...], bool]:
    if len(set(given)) < 3:
        raise DataError(f"--columns {','.join(given)}: expected three different columns")
    if header is not False and all(name in first for name in given):
        return tuple(list(first).index(name) for name in given), True
    if all(name.isdecimal() for name in given):
        columns = tuple(int(name) - 1 for name in given)
        if min(columns) < 0 or max(columns) >= len(first):
            raise DataError(f"{place}: --columns {','.join(given)}: it has {len(first)} columns")
        return columns, recognised if header is None else header
    missing = next(name for name in given if name not in first)
    raise DataError(
        f"{place}: there is no column {missing!r}{suggest_near_misses(missing, first)} "
        f"(its first line: {' | '.join(first)[:200]!r})"
    )


def _clean(facts: pl.DataFrame, path: Path, log: FindingLog) -> pl.DataFrame:
    """Take blanks and line breaks off labels; leave facts out that have a blank one."""
    tidy = facts.with_columns(
        pl.col(role).str.strip_chars(" \t\r\n").str.replace_all(r"[\t\r\n]+", " ")
        for role in _ROLES
    )
    changed = tidy.select(
        pl.any_horizontal(tidy[role] != facts[role] for role in _ROLES).fill_null(False)
    ).to_series()
    log.report(
        "blanks",
        f"facts of {path.name} have labels with blanks around them or line breaks, taken off",
        (f"{path.name}:{line}" for line in facts.filter(changed)[LINE].head(5)),
        int(changed.sum()),
    )
    blank = pl.any_horizontal(pl.col(role).is_null() | (pl.col(role) == "") for role in _ROLES)
    empty = tidy.filter(blank)
    places = (
        f"{path.name}:{row[LINE]}: the {next(role for role in _ROLES if not row[role])} is blank"
        for row in empty.iter_rows(named=True)
    )
    message = f"facts of {path.name} have a blank label and are left out"
    log.reject("blank-label", message, places, len(empty))
    if len(empty) == len(tidy):
        raise FormatError(f"{path}: has no fact: in every line a label is blank")
    return tidy.filter(~blank)
