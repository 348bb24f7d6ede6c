"""What a graph's folder has to be encoded: texts, pictures, numbers, and who has none.

Reads the entities alone, not the facts and not the features that are there: these may be what is
to be made anew.
"""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.encoders.encoder import Kind, NumberTable
from momok.encoders.entities import Entities, Problem
from momok.errors import FeatureError
from momok.graph.entities_file import NUMBERS_FILE, read_numbers
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture

MOST_CHARACTERS = 10_000
"""A longer text is cut: encoders stop reading earlier, and tokenising a book takes minutes."""

MOST_ATTRIBUTES = 128
"""Of more attributes, those that most entities have are kept: every one adds two columns."""

_READERS = 8  # threads that open pictures; decoding runs outside the interpreter's lock
_SAYING = "LNS"  # Unicode's letters, numbers and symbols; a dash alone is no text


Batch: TypeAlias = tuple[NDArray[np.int64], list[Any], list[Problem]]
"""Whose items they are (positions in ``rows``), the items, and what could not be read."""


@dataclass(frozen=True)
class Inputs:
    """The items of those n entities that have any.

    Attributes:
        kind: texts, pictures or numbers.
        folder: the folder of the graph.
        labels: of all entities.
        rows: the n entities with something to encode, ascending ``[n]``.
        items: one or several of each of them: texts, picture files, or rows of numbers.
        fingerprint: sha256 of the labels and of all that is to be encoded.
        settings: what was chosen, for the manifest.
        problems: entities that have nothing to encode.
    """

    kind: Kind
    folder: Path
    labels: tuple[str, ...]
    rows: NDArray[np.int64]
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
            items = [item for _, item in some]
            if self.kind == "image":
                yield self._sort_out(some, self._open_pictures(items))
            else:
                yield np.array([row for row, _ in some], dtype=np.int64), items, []

    def _open_pictures(self, paths: Sequence[Path]) -> list[Any]:
        def open_or_error(path: Path) -> Any:
            try:
                return open_picture(path, self.folder)
            except PictureError as error:
                return error

        with ignore_picture_warnings(), ThreadPoolExecutor(_READERS) as readers:
            return list(readers.map(open_or_error, paths))

    def _sort_out(self, some: Sequence[tuple[int, Path]], opened: Sequence[Any]) -> Batch:
        owners, pictures, problems = [], [], []
        for (row, path), picture in zip(some, opened, strict=True):
            if isinstance(picture, PictureError):
                place = path.relative_to(self.folder)
                label = self.labels[self.rows[row]]
                problems.append(Problem("unreadable", label, f"{place}: {picture}"))
            else:
                owners.append(row)
                pictures.append(picture)
        return np.array(owners, dtype=np.int64), pictures, problems


def read_text_inputs(entities: Entities, fields: Sequence[str]) -> Inputs:
    """Read the texts of a graph's entities, put together from columns.

    Args:
        entities: the entities of the graph.
        fields: ``name``, ``description`` or another column of entities.tsv, in this order. A part
            that repeats what stands before it is left out.

    Raises:
        FeatureError: there is no such column, or no entity has a text.
    """
    columns = [entities.column(name) for name in fields]
    rows, texts, problems = [], [], []
    for row, parts in enumerate(zip(*columns, strict=True)):
        text = join_texts(parts)[:MOST_CHARACTERS]
        label = entities.labels[row]
        if not text:
            identifier = "name" in fields and not entities.has_name(row)
            problems.append(Problem("identifier" if identifier else "empty", label))
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
    pictures, missing = entities.find_pictures()
    if not pictures:
        absent = f"; {len(missing):,} are named and not there" if missing else ""
        raise FeatureError(
            f"{entities.folder}: no entity has a picture{absent}; name the files in the column "
            f"picture of entities.tsv, several with | between them"
        )
    rows = sorted(pictures)
    paths = [pictures[row] for row in rows]
    named = {problem.label for problem in missing}
    problems = [
        Problem("empty", label)
        for row, label in enumerate(entities.labels)
        if row not in pictures and label not in named
    ]
    return Inputs(
        kind="image",
        folder=entities.folder,
        labels=entities.labels,
        rows=np.array(rows, dtype=np.int64),
        items=paths,
        fingerprint=_fingerprint(
            (*entities.labels, *_describe_files(entities.folder, rows, paths))
        ),
        settings={"pictures": "mean of all"},
        problems=[*missing, *problems],
    )


def _describe_files(
    folder: Path, rows: Sequence[int], paths: Sequence[tuple[Path, ...]]
) -> Iterator[str]:
    """Tell files apart by name, size and time: reading them all twice would take too long."""
    for row, several in zip(rows, paths, strict=True):
        for path in several:
            status = path.stat()
            place = path.relative_to(folder).as_posix()
            yield f"{row}\0{place}\0{status.st_size}\0{status.st_mtime_ns}"


def read_numeric_inputs(entities: Entities) -> tuple[Inputs, NumberTable]:
    """Read the numbers of a graph's entities as items ``[A]``, and the table they come from.

    Raises:
        FeatureError: there are none.
        FormatError: numbers.tsv is malformed.
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
    having = set(rows.tolist())
    left_out = by_count[MOST_ATTRIBUTES:]
    inputs = Inputs(
        kind="numeric",
        folder=entities.folder,
        labels=entities.labels,
        rows=rows,
        items=list(values[rows, None]),
        fingerprint=_fingerprint((*entities.labels, "", *kept), values.tobytes()),
        settings={"attributes": kept, "attributes_left_out": left_out},
        problems=[
            Problem("empty", label)
            for row, label in enumerate(entities.labels)
            if row not in having
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
