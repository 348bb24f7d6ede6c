"""What is known of single facts: a weight, and texts such as a time or a source.

A frame has the labels of the facts (``head``, ``relation``, ``tail``), each fact once, a column
``weight`` of numbers above 0 where facts have weights, and any columns of texts. A fact that is not
in it has the weight 1 and no texts. Labels are what it is looked up by: it may be of more facts
than a graph has, so that it stays as it is where facts change places or go.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.entities_file import read_columns
from momok.graph.text_files import FindingLog
from momok.graph.triples import Triples

KEYS = ("head", "relation", "tail")
WEIGHT = "weight"
SEPARATOR = "|"  # between the texts of a fact that was there several times


def label_facts(facts: Triples, entities: Sequence[str], relations: Sequence[str]) -> pl.DataFrame:
    """Give facts ``[n, 3]`` as columns of labels."""
    ends, kinds = pl.Series(entities, dtype=pl.String), pl.Series(relations, dtype=pl.String)
    head, relation, tail = facts.T
    return pl.DataFrame({"head": ends[head], "relation": kinds[relation], "tail": ends[tail]})


def check_fact_columns(columns: pl.DataFrame) -> None:
    """Check a frame that was given.

    Raises:
        DataError: it has other columns, or a weight that is none.
    """
    expected = {
        name: pl.Float64 if name == WEIGHT else pl.String for name in (*KEYS, *columns.columns)
    }
    if dict(columns.schema) != expected or columns.width < len(KEYS) + 1:
        raise DataError(
            f"columns of facts: {dict(columns.schema)}; expected texts in head, relation and tail "
            f"and in others, and Float64 in {WEIGHT}"
        )
    if WEIGHT in columns.columns and not _are_weights(columns[WEIGHT]).all():
        raise DataError("columns of facts: expected weights that are finite numbers above 0")


def parse_weights(texts: pl.Series, what: str, place: Callable[[int], str]) -> pl.Series:
    """Parse a column of weights.

    Args:
        texts: the column, which may have nulls.
        what: what errors call it.
        place: where the cell of a row, from 0, is.

    Raises:
        FormatError: one is no finite number above 0.
    """
    numbers = to_weights(texts)
    bad = numbers.is_null().arg_true()
    if len(bad):
        text = (texts[bad[0]] or "").strip()[:60]
        found = f"{what} is {text!r}" if text else f"{what} is blank"
        others = f" ({len(bad):,} rows are like it)" if len(bad) > 1 else ""
        raise FormatError(f"{place(bad[0])}: {found}; expected a finite number above 0{others}")
    return numbers


def to_weights(texts: pl.Series) -> pl.Series:
    """Give texts as weights, null where one is no finite number above 0."""
    numbers = texts.str.strip_chars().cast(pl.Float64, strict=False)
    return pl.select(pl.when(_are_weights(numbers)).then(numbers)).to_series()


def _are_weights(numbers: pl.Series) -> pl.Series:
    return (numbers.is_finite() & (numbers > 0)).fill_null(False)


def read_fact_columns(
    path: Path, facts: Iterable[pl.DataFrame], log: FindingLog
) -> pl.DataFrame | None:
    """Read what a file says of facts; None where there is no file.

    Args:
        facts: all that the graph has, as ``label_facts`` gives them.
        log: told of rows of others.

    Raises:
        FormatError: it is no table of facts, or a weight is no finite number above 0.
    """
    if not path.is_file():
        return None
    columns, lines = read_columns(path, *KEYS)
    if columns.width == len(KEYS):
        return None
    if WEIGHT in columns.columns:
        weights = parse_weights(columns[WEIGHT], "the weight", lambda row: f"{path}:{lines[row]}")
        columns = columns.with_columns(weights.alias(WEIGHT))
    others = columns.join(pl.concat(facts), on=KEYS, how="anti", maintain_order="left")
    log.report(
        "unknown-fact",
        f"rows of {path.name} are of facts that the graph does not have",
        (" | ".join(row) for row in others.select(KEYS).iter_rows()),
        len(others),
    )
    return merge_fact_columns([columns])


def merge_fact_columns(frames: Iterable[pl.DataFrame | None]) -> pl.DataFrame | None:
    """Merge frames whose facts may repeat, within one too: weights may be missing in some.

    A fact has the largest weight, and of every column its different texts with ``|`` between them.
    """
    given = [frame for frame in frames if frame is not None and len(frame)]
    if not given:
        return None
    merged = pl.concat(given, how="diagonal")
    texts = [name for name in merged.columns if name not in (*KEYS, WEIGHT)]
    repeated = merged.select(KEYS).is_duplicated()
    if repeated.any():
        text = pl.col(texts)
        several = merged.filter(repeated).group_by(KEYS, maintain_order=True)
        joined = several.agg(
            pl.col(WEIGHT).max() if WEIGHT in merged.columns else [],
            text.filter(text != "").unique(maintain_order=True).str.join(SEPARATOR),
        )
        merged = pl.concat([merged.filter(~repeated), joined.select(merged.columns)])
    return _fill(merged)


def find_columns_of(facts: pl.DataFrame, columns: pl.DataFrame) -> pl.DataFrame:
    """Give facts, as ``label_facts`` does, with their columns beside them.

    Raises:
        DataError: the columns have a fact twice.
    """
    found = facts.join(columns, on=KEYS, how="left", maintain_order="left")
    if len(found) > len(facts):
        raise DataError("columns of facts: a fact is there twice")
    return _fill(found)


def keep_facts(columns: pl.DataFrame, facts: Iterable[pl.DataFrame]) -> pl.DataFrame | None:
    """Give the part of the columns that is of these facts; None where there is nothing."""
    kept = columns.join(pl.concat(facts), on=KEYS, how="semi", maintain_order="left")
    return kept if len(kept) else None


def _fill(frame: pl.DataFrame) -> pl.DataFrame:
    weights = pl.col(pl.Float64).fill_null(1.0)
    return frame.with_columns(weights, pl.col(pl.String).fill_null(""))
