"""The files about entities in momok's own format: UTF-8, a header, tabs, no quoting.

``entities.tsv`` has one row per entity (``relations.tsv`` is alike): its label and any texts.

``numbers.tsv`` has one row per number (a year, a population, a price)::

    entity <tab> attribute <tab> value

Values are finite decimal numbers; a date is a decimal year (1969-07-20 is about 1969.55). An
entity has at most one value per attribute.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import polars as pl

from momok.errors import DataError, FormatError
from momok.graph.names import flatten
from momok.graph.text_files import FindingLog, is_ordinary_file, read_line_frame, read_lines
from momok.storage import write_file

PICTURE_SEPARATOR = "|"  # between the paths of one entity
PICTURE_LINKS = "picture_urls.tsv"  # where a built graph keeps pictures that are URLs
NUMBERS_FILE = "numbers.tsv"
_NUMBERS_HEADER = ["entity", "attribute", "value"]


@dataclass(frozen=True)
class Table:
    """Texts per entity or relation.

    Attributes:
        line_numbers: the line of each row, from 1.
    """

    labels: tuple[str, ...]
    columns: Mapping[str, tuple[str, ...]]
    line_numbers: Sequence[int]

    def column(self, name: str) -> tuple[str, ...]:
        """Give a column, blank where the table does not have it."""
        return self.columns.get(name, ("",) * len(self.labels))

    def others(self, *names: str) -> dict[str, tuple[str, ...]]:
        """Give the columns that are none of these."""
        return {name: values for name, values in self.columns.items() if name not in names}


def read_table(path: Path) -> Table:
    """Read a table whose header has a column ``label``; missing last columns are blank."""
    columns, line_numbers = read_columns(path, "label")
    texts = {name: tuple(column.to_list()) for name, column in columns.to_dict().items()}
    labels = texts.pop("label")
    _check_labels(labels, line_numbers, path)
    return Table(labels, texts, line_numbers)


def read_columns(path: Path, *required: str) -> tuple[pl.DataFrame, list[int]]:
    """Read a table with a header as texts, blank where a row ends early, and the lines of its rows.

    Raises:
        FormatError: a column of those required is missing, two share a name, or a row is too long.
    """
    lines = read_line_frame(path)
    header = lines["text"][0].split("\t") if len(lines) else []
    missing = [name for name in required if name not in header]
    if missing:
        raise FormatError(
            f"{path}:1: expected a header with a column {missing[0]!r}, found {header}"
        )
    if "" in header or len(set(header)) != len(header):
        raise FormatError(f"{path}:1: a column has no name or the name of another: {header}")
    rows = lines.slice(1).filter(pl.col("text") != "")
    rows = rows.select("line", cells=pl.col("text").str.split("\t"))
    wide = rows.filter(pl.col("cells").list.len() > len(header))
    if len(wide):
        line, count = wide["line"][0], len(wide["cells"][0])
        raise FormatError(f"{path}:{line}: {count} columns, the header has {len(header)}")
    cells = {
        name: pl.col("cells").list.get(place, null_on_oob=True).fill_null("")
        for place, name in enumerate(header)
    }
    return rows.select(**cells), rows["line"].to_list()


def _check_labels(labels: tuple[str, ...], line_numbers: Sequence[int], path: Path) -> None:
    if not labels:
        raise FormatError(f"{path}: has a header and no row")
    if "" not in labels and len(set(labels)) == len(labels):
        return
    lines: dict[str, int] = {}
    for label, line in zip(labels, line_numbers, strict=True):
        if not label:
            raise FormatError(f"{path}:{line}: the label is blank")
        if label in lines:
            first = lines[label]
            raise FormatError(f"{path}:{line}: {label!r} is listed already, on line {first}")
        lines[label] = line


@dataclass(frozen=True)
class PictureCell:
    """A picture that the column ``picture`` names.

    Attributes:
        path: the file, None where there is none.
        is_outside: the path is absolute or leads out of the folder, by ``..`` or by a link.
    """

    row: int
    place: str
    text: str
    path: Path | None
    is_outside: bool = False


def list_pictures(folder: Path, table: Table) -> Iterator[PictureCell]:
    """List the pictures that the column ``picture`` names; ``|`` stands between several."""
    root = folder.resolve()
    for row, cell in enumerate(table.column("picture")):
        place = f"entities.tsv:{table.line_numbers[row]}"
        for text in filter(None, cell.split(PICTURE_SEPARATOR)):
            if not _is_inside(root, Path(text)):
                yield PictureCell(row, place, text, None, is_outside=True)
            else:
                path = folder / text
                yield PictureCell(row, place, text, path if is_ordinary_file(path) else None)


def read_pictures(folder: Path, table: Table, log: FindingLog) -> dict[int, tuple[Path, ...]]:
    """Find the picture files that the column ``picture`` names, by row.

    Raises:
        FormatError: a path is absolute or leads out of the folder; or a file is missing and reading
            is strict.
    """
    pictures: dict[int, tuple[Path, ...]] = {}
    missing: list[str] = []
    for cell in list_pictures(folder, table):
        if cell.is_outside:
            raise FormatError(
                f"{folder / cell.place}: the picture {cell.text!r} is not inside the folder; "
                f"give a path relative to it, as in pictures/flag.png"
            )
        if cell.path is None:
            missing.append(f"{cell.place}: no file {cell.text!r}")
        else:
            pictures[cell.row] = (*pictures.get(cell.row, ()), cell.path)
    log.reject("missing-picture", "pictures are missing", missing, len(missing))
    return pictures


def _is_inside(root: Path, picture: Path) -> bool:
    if picture.is_absolute() or ".." in picture.parts or "\0" in str(picture):
        return False
    # realpath and not Path.resolve, which fails on a loop of links.
    return Path(os.path.realpath(root / picture)).is_relative_to(root)


def read_numbers(folder: Path) -> dict[str, dict[str, float]]:
    """Read the numbers of a graph's folder: attribute to entity label to value.

    A folder without ``numbers.tsv`` has none. Labels are not compared with those of the graph.
    """
    path = folder / NUMBERS_FILE
    if not path.is_file():
        return {}
    lines = read_lines(path)
    if not lines or lines[0].split("\t") != _NUMBERS_HEADER:
        raise FormatError(f"{path}:1: expected the header {' <tab> '.join(_NUMBERS_HEADER)}")
    numbers: dict[str, dict[str, float]] = {}
    for number, line in enumerate(lines[1:], 2):
        if not line:
            continue
        fields = line.split("\t")
        if len(fields) != 3 or not fields[0] or not fields[1]:
            raise FormatError(
                f"{path}:{number}: expected an entity, an attribute and a value, "
                f"found {line[:120]!r}"
            )
        label, attribute, text = fields
        values = numbers.setdefault(attribute, {})
        if label in values:
            raise FormatError(
                f"{path}:{number}: {label!r} has a value of {attribute!r} already; keep one"
            )
        values[label] = _parse_number(text, path, number)
    return numbers


def write_numbers(folder: Path, numbers: Mapping[str, Mapping[str, float]]) -> None:
    """Write numbers, attribute to entity label to value, or nothing where there are none.

    Raises:
        DataError: a label or attribute is blank or holds a tab or line break, or a value is not
            finite.
    """
    rows = [_NUMBERS_HEADER]
    for attribute, values in numbers.items():
        for label, value in values.items():
            for text in (label, attribute):
                if not text or flatten(text) != text:
                    raise DataError(f"{text!r} cannot be written: it is blank or has a tab or line")
            if not math.isfinite(value):
                raise DataError(f"{attribute!r} of {label!r} is {value}, expected a finite number")
            rows.append([label, attribute, repr(float(value))])
    if len(rows) > 1:
        text = "".join("\t".join(row) + "\n" for row in rows)
        write_file(folder / NUMBERS_FILE, text.encode())


def _parse_number(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{path}:{number}: expected a finite number, found {text[:120]!r}")
    return value
