"""What a graph's folder has to be encoded: texts, pictures, numbers, and who has none.

Reads the entities alone, not the facts and not the features that are there: these may be what is
to be made anew.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from momok.arrays import Ints
from momok.encoders.encoder import NO_NUMBERS, Kind, NumberTable
from momok.errors import DataError, FeatureError
from momok.graph.benchmark_format import is_benchmark_folder, read_benchmark_folder
from momok.graph.entities_file import (
    NUMBERS_FILE,
    Table,
    list_pictures,
    read_numbers,
    read_pictures,
    read_table,
)
from momok.graph.momok_format import is_momok_folder
from momok.graph.names import make_readable, suggest_near_misses
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture
from momok.graph.text_files import FindingLog

MOST_CHARACTERS = 10_000
"""A longer text is cut: encoders stop reading earlier, and tokenising a book takes minutes."""

MOST_ATTRIBUTES = 128
"""Of more attributes, those that most entities have are kept: every one adds two columns."""

_READERS = 8  # threads that open pictures; decoding runs outside the interpreter's lock
# Of Wikidata, of Freebase, hashes, UUIDs. A year or another number may well be a name.
_IDENTIFIER = re.compile(
    r"[QPL]\d+|/?[mg][./]\w+|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)
_SAYING = "LNS"  # Unicode's letters, numbers and symbols; a dash alone is no text


@dataclass(frozen=True)
class Problem:
    """Something of an entity that cannot be encoded.

    Attributes:
        kind: ``empty``, ``identifier``, ``missing`` or ``unreadable``.
        label: the entity.
        about: which file, and why.
    """

    kind: str
    label: str
    about: str = ""


@dataclass(frozen=True)
class Entities:
    """The N entities of a graph.

    Attributes:
        columns: texts by column, ``name`` and ``description`` among them, blank where there is
            none. A name that is only an identifier is blank too: as a text it would be noise.
        table: the rows of entities.tsv, if the folder is momok's own.
    """

    folder: Path
    labels: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    table: Table | None


def read_entities(folder: Path) -> Entities:
    """Read the entities of a graph's folder, in momok's or a benchmark's format.

    Raises:
        DataError: it is no graph, or a file is malformed.
    """
    table, columns = None, {}
    if is_momok_folder(folder):
        table = read_table(folder / "entities.tsv")
        labels, given = table.labels, table.column("name")
        columns = table.others("name", "picture")
    elif is_benchmark_folder(folder):
        graph = read_benchmark_folder(folder, modalities=False)
        labels, given = graph.entities.labels, graph.entity_names
    else:
        raise DataError(f"{folder}: is no graph: neither graph.json nor entity2id.txt is in it")
    names = tuple(_choose_name(*each) for each in zip(given, labels, strict=True))
    return Entities(
        folder, labels, {"name": names, "description": ("",) * len(labels), **columns}, table
    )


def _choose_name(given: str, label: str) -> str:
    """Give a name, made from the label where none is given; blank if that is an identifier."""
    made, given = make_readable(label), given.strip()
    if given in ("", made):
        return "" if _IDENTIFIER.fullmatch(made.replace(" ", "_")) else made
    return given


Batch: TypeAlias = tuple[Ints, list[Any], list[Problem]]
"""Whose items they are (positions in ``rows``), the items, and what could not be read."""


@dataclass(frozen=True)
class Inputs:
    """The items of those n entities that have any.

    Attributes:
        rows: the n entities with something to encode, ascending ``[n]``.
        items: one or several of each of them: texts, picture files, or rows of numbers.
        fingerprint: sha256 of the labels and of all that is to be encoded.
    """

    kind: Kind
    folder: Path
    labels: tuple[str, ...]
    rows: Ints
    items: Sequence[Sequence[Any]]
    fingerprint: str
    settings: Mapping[str, Any]
    problems: list[Problem]

    def read(self, start: int, stop: int, most: int) -> Iterator[Batch]:
        """Read the items of ``rows[start:stop]``, at most ``most`` at a time, in order.

        No more pictures are in memory than are encoded at once.
        """
        wanted = [(row, item) for row in range(start, stop) for item in self.items[row]]
        for first in range(0, len(wanted), most):
            some = wanted[first : first + most]
            if self.kind == "image":
                yield self._open_pictures(some)
            else:
                owners = np.array([row for row, _ in some], dtype=np.int64)
                yield owners, [item for _, item in some], []

    def _open_pictures(self, some: Sequence[tuple[int, Path]]) -> Batch:
        def open_or_error(named: tuple[int, Path]) -> Any:
            try:
                return open_picture(named[1], self.folder)
            except PictureError as error:
                return error

        owners, pictures, problems = [], [], []
        with ignore_picture_warnings(), ThreadPoolExecutor(_READERS) as readers:
            opened = list(readers.map(open_or_error, some))
        for (row, path), picture in zip(some, opened, strict=True):
            if isinstance(picture, PictureError):
                about = f"{path.relative_to(self.folder)}: {picture}"
                problems.append(Problem("unreadable", self.labels[self.rows[row]], about))
            else:
                owners.append(row)
                pictures.append(picture)
        return np.array(owners, dtype=np.int64), pictures, problems


def read_inputs(folder: Path, kind: Kind, fields: Sequence[str]) -> tuple[Inputs, NumberTable]:
    """Read what a graph's folder has of a kind, and the numbers that a scale is fitted to."""
    entities = read_entities(folder)
    if kind == "numeric":
        return read_numeric_inputs(entities)
    if kind == "text":
        return read_text_inputs(entities, fields), NO_NUMBERS
    return read_picture_inputs(entities), NO_NUMBERS


def read_text_inputs(entities: Entities, fields: Sequence[str]) -> Inputs:
    """Read the texts of a graph's entities, put together from columns.

    Args:
        fields: ``name``, ``description`` or another column of entities.tsv, in this order. A part
            that repeats what stands before it is left out.

    Raises:
        FeatureError: there is no such column, or no entity has a text.
    """
    there = entities.columns
    for name in fields:
        if name not in there:
            near = suggest_near_misses(name, there) or f"; there are {', '.join(there)}"
            raise FeatureError(f"{entities.folder}: the entities have no column {name!r}{near}")
    columns = [there[name] for name in fields]
    rows, texts, problems = [], [], []
    for row, parts in enumerate(zip(*columns, strict=True)):
        text = join_texts(parts)[:MOST_CHARACTERS]
        if not text:
            is_code = "name" in fields and not there["name"][row]
            kind = "identifier" if is_code else "empty"
            problems.append(Problem(kind, entities.labels[row]))
        else:
            rows.append(row)
            texts.append(text)
    if not rows:
        raise FeatureError(
            f"{entities.folder}: none of the {len(entities.labels):,} entities has a text in "
            f"{', '.join(fields)}; give other columns with --fields"
        )
    return Inputs(
        kind="text",
        folder=entities.folder,
        labels=entities.labels,
        rows=np.array(rows, dtype=np.int64),
        items=[(text,) for text in texts],
        fingerprint=_fingerprint((*entities.labels, "", *texts)),
        settings={"fields": list(fields), "most_characters": MOST_CHARACTERS},
        problems=problems,
    )


def join_texts(parts: Iterable[str]) -> str:
    """Join what says something new: ``France``, ``France is a country`` is the second alone."""
    joined = ""
    for part in map(str.strip, parts):
        if not any(unicodedata.category(character)[0] in _SAYING for character in part):
            continue
        joined = part if part.casefold().startswith(joined.casefold()) else f"{joined}. {part}"
    return joined


def read_picture_inputs(entities: Entities) -> Inputs:
    """Find the pictures of a graph's entities; they are opened when they are encoded.

    Raises:
        FeatureError: no entity has a picture.
        FormatError: a picture lies outside the folder.
    """
    pictures: dict[int, tuple[Path, ...]] = {}
    missing: list[Problem] = []
    folder, table = entities.folder, entities.table
    if table is not None:
        pictures = read_pictures(folder, table, FindingLog(folder, strict=False))
        missing = [
            Problem("missing", table.labels[cell.row], f"{cell.text}: there is no such file")
            for cell in list_pictures(folder, table)
            if cell.path is None
        ]
    if not pictures:
        absent = f"; {len(missing):,} are named and not there" if missing else ""
        raise FeatureError(
            f"{entities.folder}: no entity has a picture{absent}; name the files in the column "
            f"picture of entities.tsv, several with | between them"
        )
    rows = sorted(pictures)
    paths = [pictures[row] for row in rows]
    # Told apart by name, size and time: reading all files twice would take too long.
    described = (
        f"{row}\0{path.relative_to(entities.folder).as_posix()}\0{status.st_size}"
        f"\0{status.st_mtime_ns}"
        for row, several in zip(rows, paths, strict=True)
        for path in several
        for status in [path.stat()]
    )
    none = set(entities.labels) - {problem.label for problem in missing}
    none -= {entities.labels[row] for row in rows}
    problems = [Problem("empty", label) for label in entities.labels if label in none]
    return Inputs(
        kind="image",
        folder=entities.folder,
        labels=entities.labels,
        rows=np.array(rows, dtype=np.int64),
        items=paths,
        fingerprint=_fingerprint((*entities.labels, *described)),
        settings={"pictures": "mean of all"},
        problems=[*missing, *problems],
    )


def read_numeric_inputs(entities: Entities) -> tuple[Inputs, NumberTable]:
    """Read the numbers of a graph's entities as items ``[A]``, and the table they come from.

    Raises:
        FeatureError: there are none.
    """
    numbers = read_numbers(entities.folder)
    ids = {label: row for row, label in enumerate(entities.labels)}
    known = {
        attribute: {ids[label]: value for label, value in values.items() if label in ids}
        for attribute, values in numbers.items()
    }
    by_count = sorted((a for a in known if known[a]), key=lambda a: (-len(known[a]), a))
    if not by_count:
        raise FeatureError(
            f"{entities.folder / NUMBERS_FILE}: no entity of the graph has a number; expected "
            f"lines of entity, attribute and value below a header that says so"
        )
    kept = sorted(by_count[:MOST_ATTRIBUTES])
    values = np.full((len(entities.labels), len(kept)), np.nan)
    for column, attribute in enumerate(kept):
        rows = np.fromiter(known[attribute], dtype=np.int64, count=len(known[attribute]))
        values[rows, column] = np.fromiter(known[attribute].values(), dtype=np.float64)
    rows = np.flatnonzero(~np.isnan(values).all(axis=1))
    inputs = Inputs(
        kind="numeric",
        folder=entities.folder,
        labels=entities.labels,
        rows=rows,
        items=list(values[rows, None]),
        fingerprint=_fingerprint((*entities.labels, "", *kept), values.tobytes()),
        settings={"attributes": kept, "attributes_left_out": by_count[MOST_ATTRIBUTES:]},
        problems=[
            Problem("empty", label)
            for row, label in enumerate(entities.labels)
            if np.isnan(values[row]).all()
        ],
    )
    return inputs, NumberTable(tuple(kept), values)


def _fingerprint(texts: Iterable[str], content: bytes = b"") -> str:
    digest = hashlib.sha256()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        digest.update(len(encoded).to_bytes(8, "little"))
        digest.update(encoded)
    digest.update(content)
    return digest.hexdigest()
