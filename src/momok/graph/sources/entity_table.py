"""The table of entities: names, texts, types, pictures and numbers beside the facts.

Which column is which is told by its name. The key is, of the columns that may be one, that which
matches most entities of the facts. Columns of numbers or of ISO dates become numbers, a date as a
decimal year; columns of other texts become attributes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path

import polars as pl

from momok.errors import FormatError
from momok.graph.entities_file import PICTURE_SEPARATOR
from momok.graph.findings import FindingLog
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.text_tables import LINE, is_parquet, read_parquet, read_text_table

_KEYS = (
    *("label", "id", "entity", "entity_id", "uri", "iri", "url", "qid", "key", "code", "node"),
    *("node_id", "name", "title"),
)
_TEXTS = {
    "name": ("name", "title", "display_name", "label", "preflabel", "pref_label"),
    "description": (
        *("description", "desc", "text", "abstract", "comment", "summary", "definition"),
    ),
    "type": ("type", "class", "category", "kind", "entity_type"),
    "picture": (
        *("picture", "pictures", "image", "images", "photo", "photos", "img", "picture_path"),
        *("image_path", "image_url", "picture_url", "thumbnail", "depiction"),
    ),
}
_NUMERIC_SHARE = 0.95  # of the values that must be numbers for a column of numbers
_DATE = r"^(-?\d{1,4})-(\d{2})-(\d{2})(?:T.*)?$"


@dataclass(frozen=True)
class _Table:
    """Columns of texts by header name; ``line`` has the line of each row."""

    path: Path
    frame: pl.DataFrame

    @property
    def columns(self) -> list[str]:
        return [name for name in self.frame.columns if name != LINE]


def add_entity_table(raw: RawGraph, path: Path, *, strict: bool = False) -> RawGraph:
    """Add what a table says of the entities.

    A table without a header, whose first line begins with an entity, holds labels, names and, where
    there is a third column, descriptions. Rows of labels that are in no fact are left out and
    counted; of several rows of a label the first counts. Picture paths are taken as relative to the
    table's folder.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is malformed, no column can be the key, or no row names an entity.
    """
    log = FindingLog(path.parent, strict)
    table = _read(path, raw, log)
    key, matched = _find_key(table, raw)
    roles = _find_roles(table, key)
    frame = _match(table, key, raw, log)
    texts = {role: _collect(frame, key, column) for role, column in roles.items()}
    pictures = {
        label: [
            _place(path, text) for text in map(str.strip, cell.split(PICTURE_SEPARATOR)) if text
        ]
        for label, cell in texts.get("picture", {}).items()
    }
    numbers, attributes = _split_others(table, frame, key, set(roles.values()), log)
    note = (
        f"{path.name}: entities by column {key!r}, which names {matched:,} of the "
        f"{len(raw.entities):,} entities of the facts"
    ) + _say_taken(roles, numbers, attributes)
    return replace(
        raw,
        names={**raw.names, **texts.get("name", {})},
        descriptions={**raw.descriptions, **texts.get("description", {})},
        types={**raw.types, **texts.get("type", {})},
        pictures={**raw.pictures, **pictures},
        numbers={**raw.numbers, **numbers},
        attributes={**raw.attributes, **attributes},
        findings=[*raw.findings, *log.findings],
        notes=[*raw.notes, note],
    )


def _read(path: Path, raw: RawGraph, log: FindingLog) -> _Table:
    if is_parquet(path):
        frame = read_parquet(path)
        if LINE in frame.columns:
            raise FormatError(f"{path}: has a column {LINE!r}; call it something else")
        return _Table(path, frame.fill_null("").with_row_index(LINE, offset=1))
    read = read_text_table(path, log, least=2).frame
    first = [name.strip() for name in read.drop(LINE).row(0)]
    place = f"{path}:{read[LINE][0]}"
    header = _name_columns(first, raw)
    if header is None:
        header, read = first, read.slice(1)
    if "" in header or len(set(header)) != len(header) or LINE in header:
        raise FormatError(
            f"{place}: the first line must name the columns, each by a name of its own other than "
            f"{LINE!r}: {' | '.join(header)[:200]!r}"
        )
    if not len(read):
        raise FormatError(f"{path}: has a header and no row")
    names = {str(position): name for position, name in enumerate(header)}
    return _Table(path, read.rename(names))


def _name_columns(first: list[str], raw: RawGraph) -> list[str] | None:
    """Name the columns of a table without a header: a label and a name, a text; None if it has one.

    Many published lists are like that. The first line then begins with an entity of the facts.
    """
    known = {*_KEYS, *(name for names in _TEXTS.values() for name in names)}
    if any(_simplify(name) in known for name in first) or first[0] not in set(raw.entities):
        return None
    return ["label", "name", "description"][: len(first)] if len(first) <= 3 else None


def _find_key(table: _Table, raw: RawGraph) -> tuple[str, int]:
    """Find the column that names entities of the facts, and how many of them it names."""
    known = pl.Series("label", raw.entities)
    candidates = [name for name in table.columns if _simplify(name) in _KEYS] or table.columns[:1]
    counts = {
        name: table.frame[name].str.strip_chars(" \t\r\n").unique().is_in(known.implode()).sum()
        for name in candidates
    }
    key = max(candidates, key=lambda name: (counts[name], -_rank(name)))
    if not counts[key]:
        first = table.frame[key][0]
        raise FormatError(
            f"{table.path}: no value of {' or '.join(map(repr, candidates))} is an entity of the "
            f"facts (the first is {str(first)[:80]!r}, an entity is {raw.entities[0][:80]!r}); "
            f"one column must hold the labels that the facts use"
        )
    return key, int(counts[key])


def _rank(name: str) -> int:
    simple = _simplify(name)
    return _KEYS.index(simple) if simple in _KEYS else len(_KEYS)


def _find_roles(table: _Table, key: str) -> dict[str, str]:
    roles: dict[str, str] = {}
    for role, names in _TEXTS.items():
        for name in names:
            found = [c for c in table.columns if _simplify(c) == name and c != key]
            if found:
                roles[role] = found[0]
                break
    return roles


def _match(table: _Table, key: str, raw: RawGraph, log: FindingLog) -> pl.DataFrame:
    """Keep the first row of every entity of the facts."""
    name = table.path.name
    frame = table.frame.with_columns(
        pl.col(c).str.strip_chars(" \t\r\n").str.replace_all(r"[\t\r\n]+", " ")
        for c in table.columns
    )
    blank = frame.filter(pl.col(key) == "")
    places = (f"{name}:{line}: the label is blank" for line in blank[LINE].head(5))
    log.reject("blank-label", f"rows of {name} have a blank label; left out", places, len(blank))
    frame = frame.filter(pl.col(key) != "")
    again = frame.filter(~pl.col(key).is_first_distinct())
    places = (
        f"{name}:{line}: {label!r} has a row already"
        for line, label in again.select(LINE, key).head(5).rows()
    )
    log.reject("duplicate", f"rows of {name} repeat a label; the first counts", places, len(again))
    frame = frame.filter(pl.col(key).is_first_distinct())
    is_known = pl.col(key).is_in(pl.Series(raw.entities).implode())
    others = frame.filter(~is_known)
    places = (
        f"{name}:{line}: {label!r}" for line, label in others.select(LINE, key).head(5).rows()
    )
    log.report(
        "unknown-label",
        f"rows of {name} name no entity of the facts; left out",
        places,
        len(others),
    )
    return frame.filter(is_known)


def _collect(frame: pl.DataFrame, key: str, column: str) -> dict[str, str]:
    given = frame.filter(pl.col(column) != "")
    return dict(zip(given[key].to_list(), given[column].to_list(), strict=True))


def _place(table: Path, text: str) -> str:
    return text if "://" in text else str(table.parent / text)


def _split_others(
    table: _Table, frame: pl.DataFrame, key: str, taken: set[str], log: FindingLog
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
    """Take the other columns as numbers where they are, else as texts."""
    numbers: dict[str, dict[str, float]] = {}
    attributes: dict[str, dict[str, str]] = {}
    for column in table.columns:
        given = frame.filter(pl.col(column) != "")
        if column == key or column in taken or not len(given):
            continue
        values = _parse_numbers(given[column])
        good = values.is_not_null() & values.is_finite().fill_null(value=False)
        if good.sum() < _NUMERIC_SHARE * len(given):
            attributes[column] = _collect(frame, key, column)
            continue
        bad = given.filter(~good)
        places = (
            f"{table.path.name}:{line}: {text[:80]!r}"
            for line, text in bad.select(LINE, column).head(5).rows()
        )
        log.reject("no-number", f"values of column {column!r} are no numbers", places, len(bad))
        labels = given[key].filter(good).to_list()
        numbers[column] = dict(zip(labels, values.filter(good).to_list(), strict=True))
    return numbers, attributes


def _parse_numbers(texts: pl.Series) -> pl.Series:
    """Read numbers, and ISO dates as decimal years; null for others."""
    plain = texts.cast(pl.Float64, strict=False)
    if plain.is_not_null().sum() >= _NUMERIC_SHARE * len(texts):
        return plain
    parts = [texts.str.extract(_DATE, group).cast(pl.Float64, strict=False) for group in (1, 2, 3)]
    year, month, day = parts
    dates = year + (month - 1) / 12 + (day - 1) / 365.25
    return dates if dates.is_not_null().any() else plain


def _say_taken(roles: dict[str, str], numbers: Iterable[str], attributes: Iterable[str]) -> str:
    said = "".join(f"; {role}: {column!r}" for role, column in roles.items())
    for what, columns in (("numbers", numbers), ("kept as texts", attributes)):
        if columns:
            said += f"; {what}: {', '.join(map(repr, columns))}"
    return said


def _simplify(name: str) -> str:
    return name.strip().lower().replace(" ", "_").replace("-", "_")
