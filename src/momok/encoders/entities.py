"""The entities of a graph's folder, for encoding: labels, columns of texts, pictures."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from momok.errors import DataError, FeatureError
from momok.graph.benchmark_format import is_benchmark_folder, read_benchmark_folder
from momok.graph.entities_file import Table, list_pictures, read_pictures, read_table
from momok.graph.findings import FindingLog
from momok.graph.momok_format import is_momok_folder
from momok.graph.names import make_readable, suggest_near_misses

# Of Wikidata, of Freebase, hashes, UUIDs. A year or another number may well be a name.
_IDENTIFIER = re.compile(
    r"[QPL]\d+|/?[mg][./]\w+|[0-9a-fA-F]{16,}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}"
)


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
        folder: where the graph lies.
        labels: the labels.
        names: display names, made from the label where none is given.
        named: whether a name other than the label is given.
        columns: further columns of texts, ``description`` among them.
        table: the rows of entities.tsv, if the folder is momok's own.
    """

    folder: Path
    labels: tuple[str, ...]
    names: tuple[str, ...]
    named: tuple[bool, ...]
    columns: Mapping[str, tuple[str, ...]]
    table: Table | None = field(default=None, repr=False)

    def column(self, name: str) -> tuple[str, ...]:
        """Give a column of texts; ``description`` is blank where there is none.

        A name that is only an identifier is blank too: as a text it would be noise.

        Raises:
            FeatureError: there is no such column.
        """
        if name == "name":
            return tuple(n if self.has_name(row) else "" for row, n in enumerate(self.names))
        if name in self.columns:
            return self.columns[name]
        if name == "description":
            return ("",) * len(self.labels)
        there = ("name", "description", *self.columns)
        near = suggest_near_misses(name, there) or f"; there are {', '.join(dict.fromkeys(there))}"
        raise FeatureError(f"{self.folder}: the entities have no column {name!r}{near}")

    def has_name(self, row: int) -> bool:
        """Whether an entity has a name that is more than an identifier (Q42, /m/0dgr)."""
        return self.named[row] or not _IDENTIFIER.fullmatch(self.names[row].replace(" ", "_"))

    def find_pictures(self) -> tuple[dict[int, tuple[Path, ...]], list[Problem]]:
        """Find the picture files by entity, and those that are named and not there.

        Raises:
            FormatError: a path leads out of the folder.
        """
        if self.table is None:
            return {}, []
        pictures = read_pictures(self.folder, self.table, FindingLog(self.folder, strict=False))
        missing = [
            Problem("missing", self.labels[cell.row], f"{cell.text}: there is no such file")
            for cell in list_pictures(self.folder, self.table)
            if cell.path is None
        ]
        return pictures, missing


def read_entities(folder: Path) -> Entities:
    """Read the entities of a graph's folder, in momok's or a benchmark's format.

    Raises:
        DataError: it is no graph, or a file is malformed.
    """
    if is_momok_folder(folder):
        table = read_table(folder / "entities.tsv")
        given = tuple(map(str.strip, table.column("name")))
        pairs = list(zip(given, table.labels, strict=True))
        return Entities(
            folder=folder,
            labels=table.labels,
            names=tuple(name or make_readable(label) for name, label in pairs),
            named=tuple(bool(name) and name != make_readable(label) for name, label in pairs),
            columns=table.others("name", "picture"),
            table=table,
        )
    if is_benchmark_folder(folder):
        graph = read_benchmark_folder(folder, modalities=False)
        labels, names = graph.entities.labels, graph.entity_names
        pairs = list(zip(names, labels, strict=True))
        named = tuple(name != make_readable(label) for name, label in pairs)
        return Entities(folder, labels, names, named, {})
    raise DataError(f"{folder}: is no graph: neither graph.json nor entity2id.txt is in it")
