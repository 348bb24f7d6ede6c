"""Tables of momok's own format: a header, one row per entity or relation, tabs, no quoting."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from momok.errors import FormatError
from momok.graph.fact_reader import FindingLog
from momok.graph.lines import read_text

__all__ = [
    "PICTURE_LINKS",
    "PICTURE_SEPARATOR",
    "Table",
    "check_inside",
    "read_pictures",
    "read_table",
]

PICTURE_SEPARATOR = "|"  # between the paths of one entity
PICTURE_LINKS = "picture_urls.tsv"  # where a built graph keeps pictures that are URLs


@dataclass(frozen=True)
class Table:
    """Texts per entity or relation.

    Attributes:
        labels: the labels of the rows.
        columns: the other columns by name.
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
    """Read a table whose header has a column ``label``; missing last columns are blank.

    Raises:
        DataError: the file is missing.
        FormatError: no header, no row, more columns than the header, a blank or repeated label.
    """
    text = read_text(path)
    head, _, body = text.partition("\n")
    header = head.split("\t") if text else []
    if "label" not in header:
        raise FormatError(f"{path}:1: expected a header with a column 'label', found {header}")
    if "" in header or len(set(header)) != len(header):
        raise FormatError(f"{path}:1: a column has no name or the name of another: {header}")
    body = body.removesuffix("\n")
    return _cut_even_rows(body, header) or _split_rows(body.split("\n"), header, path)


def _cut_even_rows(body: str, header: list[str]) -> Table | None:
    """Take a table apart in which all rows have all columns and a label of their own."""
    width, feeds = len(header), body.count("\n")
    # Line feeds become cells: rows are even if one stands behind every so many others.
    cells = body.replace("\n", "\t\n\t").split("\t")
    if len(cells) != feeds * (width + 1) + width or cells[width :: width + 1].count("\n") != feeds:
        return None
    columns = {name: tuple(cells[place :: width + 1]) for place, name in enumerate(header)}
    labels = columns.pop("label")
    if "" in labels or len(set(labels)) < len(labels):
        return None
    return Table(labels, columns, range(2, len(labels) + 2))


def _split_rows(lines: list[str], header: list[str], path: Path) -> Table:
    """Take any table apart, or say what is wrong with it."""
    label_column, width = header.index("label"), len(header)
    rows: dict[str, list[str]] = {}
    line_numbers: list[int] = []
    for number, line in enumerate(lines, 2):
        if not line:
            continue
        row = line.split("\t")
        if len(row) > width:
            raise FormatError(f"{path}:{number}: {len(row)} columns, the header has {width}")
        row += [""] * (width - len(row))
        label = row[label_column]
        if not label:
            raise FormatError(f"{path}:{number}: the label is blank")
        if label in rows:
            first = line_numbers[list(rows).index(label)]
            raise FormatError(f"{path}:{number}: {label!r} is listed already, on line {first}")
        rows[label] = row
        line_numbers.append(number)
    if not rows:
        raise FormatError(f"{path}: has a header and no row")
    values = zip(*rows.values(), strict=True)
    columns = {name: column for name, column in zip(header, values, strict=True) if name != "label"}
    return Table(tuple(rows), columns, line_numbers)


def read_pictures(folder: Path, table: Table, log: FindingLog) -> dict[int, tuple[Path, ...]]:
    """Find the picture files that the column ``picture`` names, by row; ``|`` stands between them.

    Raises:
        FormatError: a path is absolute or leads out of the folder, by ``..`` or by a link; or a
            file is missing and reading is strict.
    """
    root = folder.resolve()
    pictures: dict[int, tuple[Path, ...]] = {}
    missing: list[str] = []
    cells = table.column("picture")
    for row in (row for row, cell in enumerate(cells) if cell):
        place = f"entities.tsv:{table.line_numbers[row]}"
        for text in filter(None, cells[row].split(PICTURE_SEPARATOR)):
            check_inside(root, text, folder / place)
            if _is_file(root / text):
                pictures[row] = (*pictures.get(row, ()), folder / text)
            else:
                missing.append(f"{place}: no file {text!r}")
    log.reject("missing-picture", "pictures are missing", missing, len(missing))
    return pictures


def check_inside(root: Path, text: str, place: Path) -> None:
    """Check that a path which a file names at ``place`` stays inside the resolved folder ``root``.

    Raises:
        FormatError: it is absolute or leads out, by ``..`` or by a link.
    """
    picture = Path(text)
    outside = picture.is_absolute() or ".." in picture.parts or "\0" in text
    # realpath and not Path.resolve, which fails on a loop of links.
    if outside or not Path(os.path.realpath(root / picture)).is_relative_to(root):
        raise FormatError(
            f"{place}: the picture {text!r} is not inside the folder; "
            f"give a path relative to it, as in pictures/flag.png"
        )


def _is_file(path: Path) -> bool:
    try:
        return path.is_file()
    except OSError:  # a name too long for the file system
        return False
