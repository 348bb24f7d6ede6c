"""The table of entities: names, texts, types, pictures and numbers beside the facts.

Which column is which is told by its name. The key is, of the columns that may be one, that which
matches most entities of the facts. Columns of numbers or of dates become numbers, a date as a
decimal year; columns of other texts become attributes.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.names import suggest_near_misses
from momok.graph.sources.columns import simplify_name
from momok.graph.sources.pictures import split_paths
from momok.graph.sources.raw import RawGraph, TableOptions
from momok.graph.sources.records import read_rows
from momok.graph.sources.text_tables import LINE
from momok.graph.sources.values import NO_VALUES, is_code, parse_values
from momok.graph.text_files import FindingLog

_KEYS = (
    *("label", "id", "entity", "entity_id", "uri", "iri", "url", "qid", "key", "code", "node"),
    *("node_id", "name", "title"),
)
TEXTS = {
    "name": (
        *("name", "title", "display_name", "label", "preflabel", "pref_label", "entity_name"),
        "entity",
    ),
    "description": (
        *("description", "desc", "text", "abstract", "comment", "summary", "definition"),
        *("entity_desc", "entity_description"),
    ),
    "type": ("type", "class", "category", "kind", "entity_type"),
    "picture": (
        *("picture", "pictures", "image", "images", "photo", "photos", "img", "picture_path"),
        *("image_path", "image_url", "picture_url", "thumbnail", "depiction"),
    ),
}
_OPTIONS = {"key": "--key", "name": "--name-column", "description": "--description"}
_NAMELESS = " column "  # and its position: columns that the header does not name
_INDEX = re.compile(r"Unnamed: \d+(\.\d+)?|\.\.\.\d+")  # what pandas and readr call a nameless one


def add_entity_table(
    raw: RawGraph,
    path: Path,
    *,
    chosen: Mapping[str, str] | None = None,
    encoding: str | None = None,
    strict: bool = False,
) -> RawGraph:
    """Add what a table says of the entities.

    A table without a header, whose first line begins with an entity, holds labels, names and, where
    there is a third column, descriptions. Rows of labels that are in no fact are left out and
    counted; of several rows of a label the first counts. Picture paths are taken as relative to the
    table's folder.

    The columns ``chosen`` are the ``key``, ``name`` or ``description``; others are found. Strict,
    lines that cannot be used are errors.

    Raises:
        DataError: the file is missing or cannot be read, or a chosen column is not there.
        FormatError: it is malformed, no column can be the key, or no row names an entity.
    """
    log = FindingLog(path.parent, strict)
    return add_entity_rows(raw, _read(path, raw, log, encoding), path, log, chosen or {})


def add_entity_rows(
    raw: RawGraph, frame: pl.DataFrame, path: Path, log: FindingLog, chosen: Mapping[str, str]
) -> RawGraph:
    """Add what columns of texts without nulls, and the line of each row, say of the entities.

    Args:
        path: what findings and errors call the table; pictures are relative to its folder.

    Raises:
        MomokError: as ``add_entity_table``.
    """
    for role, column in chosen.items():
        if column not in frame.columns:
            near = suggest_near_misses(column, frame.columns)
            raise DataError(f"{path}: {_OPTIONS[role]} {column!r}: there is no such column{near}")
    key, matched = find_key(frame, raw, path, chosen.get("key"))
    of_all = f"{matched:,} of the {len(raw.entities):,} entities of the facts"
    taken = [f"entities by column {key!r}, which names {of_all}"]
    nameless = [name for name in frame.columns if name.startswith(_NAMELESS) and name != key]
    if nameless:
        taken.append(f"without a name and left out: {', '.join(map(str.strip, nameless))}")
    frame = frame.drop(nameless)
    others = [name for name in frame.columns if name not in (LINE, key)]
    roles = _find_roles(others) | {r: name for r, name in chosen.items() if r != "key"}
    frame = _match(frame, key, raw, path, log)
    frame = _blank_no_values(frame, key, path, log)
    texts = {role: _collect(frame, key, column) for role, column in roles.items()}
    pictures = {
        label: [text if "://" in text else str(path.parent / text) for text in split_paths(cell)]
        for label, cell in texts.get("picture", {}).items()
    }
    further = [c for c in others if c not in roles.values() and (frame[c] != "").any()]
    numbers, attributes = _sort_columns(frame, key, further, path, log)
    return replace(
        raw,
        names={**raw.names, **texts.get("name", {})},
        descriptions={**raw.descriptions, **texts.get("description", {})},
        types={**raw.types, **texts.get("type", {})},
        pictures={**raw.pictures, **pictures},
        numbers={**raw.numbers, **numbers},
        attributes={**raw.attributes, **attributes},
        findings=[*raw.findings, *log.findings],
        notes=[*raw.notes, *_describe(path, taken, roles, numbers, attributes)],
    )


def _sort_columns(
    frame: pl.DataFrame, key: str, columns: Sequence[str], path: Path, log: FindingLog
) -> tuple[dict[str, dict[str, float]], dict[str, dict[str, str]]]:
    """Read columns of numbers and of other texts."""
    numbers: dict[str, dict[str, float]] = {}
    texts: dict[str, dict[str, str]] = {}
    for column in columns:
        values = _parse_numbers(frame, key, column, path, log)
        if values is None:
            texts[column] = _collect(frame, key, column)
        else:
            numbers[column] = values
    return numbers, texts


def _describe(
    path: Path,
    taken: Sequence[str],
    roles: Mapping[str, str],
    numbers: Collection[str],
    texts: Collection[str],
) -> Iterator[str]:
    """Say what each column was taken for."""
    parts = [*taken, *(f"{role}: {column!r}" for role, column in roles.items())]
    for what, columns in (("numbers", numbers), ("kept as texts", texts)):
        if columns:
            parts.append(f"{what}: {', '.join(map(repr, columns))}")
    yield f"{path.name}: {'; '.join(parts)}"
    for role in ("name", "description"):
        if role not in roles and texts:
            yield (
                f"{path.name}: NO COLUMN IS TAKEN AS THE {role.upper()} of the entities; if one of "
                f"{', '.join(map(repr, texts))} is: {_OPTIONS[role]} COLUMN"
            )


def _read(path: Path, raw: RawGraph, log: FindingLog, encoding: str | None) -> pl.DataFrame:
    """Read columns of texts by their names in the header; ``line`` has the line of each row.

    Of two columns of one name the second gets a number; those without a name get one that no
    header has.
    """
    table = read_rows(path, log, TableOptions(encoding=encoding), least=2)
    frame = table.frame.with_columns(pl.exclude(LINE).fill_null(""))
    first = [name.strip() for name in frame.drop(LINE).row(0)]
    if table.names:
        header = [name.strip() for name in table.names]
    elif _has_no_header(first, raw):
        header = ["label", "name", "description"][: len(first)]
    else:
        header, frame = first, frame.slice(1)
    if not len(frame):
        raise FormatError(f"{path}: has a header and no row")
    return name_columns(frame, header)


def name_columns(frame: pl.DataFrame, header: Sequence[str]) -> pl.DataFrame:
    """Name columns ``0`` to ``width - 1`` beside that of lines by a header; see ``_read``."""
    names = [LINE]
    for position, given in enumerate(header, 1):
        name = "" if _INDEX.fullmatch(given) else given
        numbered = (f"{name}_{number}" for number in itertools.count(2))
        unique = name or f"{_NAMELESS}{position}"
        while unique in names:
            unique = next(numbered)
        names.append(unique)
    frame = frame.select(LINE, *map(str, range(len(header))))
    frame.columns = names
    return frame


def _has_no_header(first: list[str], raw: RawGraph) -> bool:
    """Tell a list of labels and names, perhaps texts: its first line begins with an entity."""
    known = {*_KEYS, *(name for names in TEXTS.values() for name in names)}
    is_header = any(simplify_name(name) in known for name in first)
    return not is_header and len(first) <= 3 and first[0] in set(raw.entities)


def find_key(
    frame: pl.DataFrame, raw: RawGraph, path: Path, chosen: str | None = None
) -> tuple[str, int]:
    """Find the column that names entities of the facts, and how many of them it names.

    Raises:
        FormatError: there is none.
    """
    known = pl.Series(raw.entities).implode()
    columns = [name for name in frame.columns if name != LINE]
    if chosen is not None:
        columns = [chosen]
    # In the order of _KEYS: of columns that name equally many, the first is taken.
    candidates = sorted(
        (name for name in columns if simplify_name(name) in _KEYS),
        key=lambda name: _KEYS.index(simplify_name(name)),
    )
    counts = {name: _count_entities(frame[name], known) for name in candidates or columns[:1]}
    if not any(counts.values()):  # the labels may be row names, which have no name
        counts |= {
            name: count
            for name in columns
            if name.startswith(_NAMELESS) and (count := _count_entities(frame[name], known))
        }
    key = max(counts, key=lambda name: counts[name])
    if not counts[key]:
        raise FormatError(
            f"{path}: no value of {' or '.join(map(repr, counts))} is an entity of the facts (the "
            f"first is {frame[key][0][:80]!r}, an entity is {raw.entities[0][:80]!r}); one column "
            f"must hold the labels that the facts use"
        )
    return key, counts[key]


def _count_entities(labels: pl.Series, known: pl.Series) -> int:
    return int(labels.str.strip_chars(" \t\r\n").unique().is_in(known).sum())


def _find_roles(columns: Sequence[str]) -> dict[str, str]:
    by_name = {simplify_name(column): column for column in reversed(columns)}
    found = {
        role: next((by_name[name] for name in names if name in by_name), None)
        for role, names in TEXTS.items()
    }
    return {role: column for role, column in found.items() if column is not None}


def _match(
    frame: pl.DataFrame, key: str, raw: RawGraph, path: Path, log: FindingLog
) -> pl.DataFrame:
    """Keep the first row of every entity of the facts."""
    frame = frame.with_columns(
        pl.exclude(LINE).str.strip_chars(" \t\r\n").str.replace_all(r"[\t\r\n]+", " ")
    )
    label = pl.col(key)
    for kind, is_bad, reason in (
        ("blank-label", label == "", "is blank"),
        ("duplicate", ~label.is_first_distinct(), "has a row already"),
        ("unknown-label", ~label.is_in(pl.Series(raw.entities).implode()), "is in no fact"),
    ):
        bad = frame.filter(is_bad)
        places = (
            f"{path.name}:{line}: the label {text[:120]!r} {reason}"
            for line, text in bad.select(LINE, key).iter_rows()
        )
        note = log.report if kind == "unknown-label" else log.reject
        note(kind, f"rows of {path.name} are left out: their label {reason}", places, len(bad))
        frame = frame.filter(~is_bad)
    return frame


def _blank_no_values(frame: pl.DataFrame, key: str, path: Path, log: FindingLog) -> pl.DataFrame:
    """Take cells such as NA, but those of the key, for cells without a value, and count them."""
    is_none = pl.exclude(LINE, key).is_in(NO_VALUES)
    found = frame.select(is_none)
    places = (
        f"{path.name}:{line}: column {name!r}"
        for name in found.columns
        for line in frame.filter(found[name])[LINE].head(2)
    )
    count = sum(int(found[name].sum()) for name in found.columns)
    message = f"cells of {path.name} are NA, null or the like and are taken for blank"
    log.report("no-value", message, places, count)
    blank = pl.when(is_none).then(pl.lit("")).otherwise(pl.exclude(LINE, key))
    return frame.with_columns(blank.name.keep())


def _collect(frame: pl.DataFrame, key: str, column: str) -> dict[str, str]:
    given = frame.filter(pl.col(column) != "")
    return dict(zip(given[key].to_list(), given[column].to_list(), strict=True))


def _parse_numbers(
    frame: pl.DataFrame, key: str, column: str, path: Path, log: FindingLog
) -> dict[str, float] | None:
    """Read a column of numbers, or of dates as decimal years; None where it holds others."""
    given = frame.filter(pl.col(column) != "").select(LINE, key, text=column)
    values = None if is_code(column, given["text"]) else parse_values(given["text"])
    if values is None:
        return None
    is_number = values.is_not_null()
    bad = given.filter(~is_number)
    places = (f"{path.name}:{line}: {text[:80]!r}" for line, _, text in bad.iter_rows())
    log.reject("no-number", f"values of column {column!r} are no numbers", places, len(bad))
    labels = given[key].filter(is_number).to_list()
    return dict(zip(labels, values.filter(is_number).to_list(), strict=True))
