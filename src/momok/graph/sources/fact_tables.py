"""Facts from tables: CSV, TSV and their kin, Parquet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from momok.errors import DataError, FormatError
from momok.graph.findings import FindingLog
from momok.graph.names import suggest_near_misses
from momok.graph.sources.raw import UNSPLIT, RawGraph, TableOptions
from momok.graph.sources.text_tables import (
    LINE,
    is_parquet,
    name_delimiter,
    read_parquet,
    read_text_table,
)
from momok.graph.triples import Triples

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
        facts, notes = _read_parquet_facts(path, options)
    else:
        facts, notes = _read_text_facts(path, options, log)
    facts = _clean(facts, path, log)
    entities, relations, triples = encode_facts(*(facts[role] for role in _ROLES))
    return RawGraph(
        entities=entities,
        relations=relations,
        triples={UNSPLIT: triples},
        findings=log.findings,
        notes=notes,
    )


def _read_text_facts(
    path: Path, options: TableOptions, log: FindingLog
) -> tuple[pl.DataFrame, list[str]]:
    table = read_text_table(path, log, least=3, delimiter=options.delimiter, quotes=options.quotes)
    frame, first = table.frame, list(table.frame.drop(LINE).row(0))
    columns, has_header = _find_columns(first, options, f"{path}:{frame[LINE][0]}")
    if has_header:
        frame = frame.slice(1)
        named = ", ".join(f"{role}: {first[c]!r}" for role, c in zip(_ROLES, columns, strict=True))
        header = f"the header names the columns ({named})"
    else:
        places = ", ".join(f"{r}: {c + 1}" for r, c in zip(_ROLES, columns, strict=True))
        header = f"no header (columns {places})"
    unused = [first[i] if has_header else str(i + 1) for i in range(len(first)) if i not in columns]
    notes = [
        f"{path.name}: columns separated by {name_delimiter(table.delimiter)}, {header}"
        + (", quotes around fields taken off" if table.is_quoted else "")
        + (f"; columns not used: {', '.join(unused)}" if unused else "")
    ]
    if not has_header and options.header is None:
        told = " | ".join(first[c] for c in columns)
        notes.append(f"{path.name}: the first line is taken as a fact ({told}); if not: --header")
    if not len(frame):
        raise FormatError(f"{path}: has a header and no fact")
    picked = {role: pl.col(str(c)) for role, c in zip(_ROLES, columns, strict=True)}
    return frame.select(**picked, line=pl.col(LINE)), notes


def _read_parquet_facts(path: Path, options: TableOptions) -> tuple[pl.DataFrame, list[str]]:
    frame = read_parquet(path)
    if len(frame.columns) < 3:
        raise FormatError(
            f"{path}: has the columns {', '.join(frame.columns) or 'none'}; expected three for "
            f"head, relation and tail"
        )
    columns, _ = _find_columns(frame.columns, replace(options, header=True), str(path))
    names = [frame.columns[c] for c in columns]
    unused = [name for name in frame.columns if name not in names]
    named = ", ".join(f"{role}: {name!r}" for role, name in zip(_ROLES, names, strict=True))
    notes = [
        f"{path.name}: Parquet ({named})"
        + (f"; columns not used: {', '.join(unused)}" if unused else "")
    ]
    picked = {role: pl.col(name) for role, name in zip(_ROLES, names, strict=True)}
    return frame.select(**picked).with_row_index(LINE, offset=1), notes


def _find_columns(
    first: Sequence[str], options: TableOptions, place: str
) -> tuple[tuple[int, ...], bool]:
    """Find the columns of head, relation and tail, and whether the first row is a header."""
    plain = [_simplify(name) for name in first]
    known = [
        next((i for i, n in enumerate(plain) if n in names), None)
        for names in (_KNOWN_NAMES[role] for role in _ROLES)
    ]
    guessed = tuple(c for c in known if c is not None)
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


def _simplify(name: str) -> str:
    return name.strip().lower().lstrip(":").replace(" ", "_").replace("-", "_").replace(":", "_")


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
    if len(empty):
        places = (
            f"{path.name}:{row[LINE]}: the {_say_blank(row)} is blank"
            for row in empty.head(5).rows(named=True)
        )
        message = f"facts of {path.name} have a blank label and are left out"
        log.reject("blank-label", message, places, len(empty))
        tidy = tidy.filter(~blank)
    if not len(tidy):
        raise FormatError(f"{path}: has no fact: in every line a label is blank")
    return tidy


def _say_blank(row: dict[str, str | None]) -> str:
    return next(role for role in _ROLES if not row[role])


def encode_facts(
    head: pl.Series, relation: pl.Series, tail: pl.Series
) -> tuple[list[str], list[str], Triples]:
    """Number the labels in order of first appearance, those of heads before those of tails.

    Args:
        head: the head labels of n facts, none null.
        relation: their relation labels.
        tail: their tail labels.

    Returns:
        The labels of the entities, those of the relations, and the facts ``[n, 3]``.
    """
    triples = np.empty((len(head), 3), dtype=np.int64)
    ends = pl.concat([head.alias("label"), tail.alias("label")])
    entities, ids = _number(ends)
    triples[:, 0], triples[:, 2] = ids[: len(head)], ids[len(head) :]
    del ends, ids
    relations, triples[:, 1] = _number(relation.alias("label"))
    return entities, relations, triples


def _number(labels: pl.Series) -> tuple[list[str], NDArray[np.uint32]]:
    distinct = labels.unique(maintain_order=True)
    numbered = pl.DataFrame({"label": distinct}).with_row_index("id")
    found = labels.to_frame().join(numbered, on="label", how="left", maintain_order="left")
    ids: NDArray[np.uint32] = found["id"].to_numpy()
    return distinct.to_list(), ids
