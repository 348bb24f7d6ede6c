"""Numbers of entities in a graph's folder: years, populations, prices.

They stand in ``numbers.tsv``, with a header and one value a line::

    entity <tab> attribute <tab> value

Values are finite decimal numbers; a date is a decimal year (1969-07-20 is about 1969.55). An
entity has at most one value per attribute.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

from momok.errors import DataError, FormatError
from momok.graph.lines import read_lines
from momok.graph.names import flatten
from momok.storage import write_file

__all__ = ["NUMBERS_FILE", "read_numbers", "write_numbers"]

NUMBERS_FILE = "numbers.tsv"
_HEADER = ["entity", "attribute", "value"]


def read_numbers(folder: Path) -> dict[str, dict[str, float]]:
    """Read the numbers of a graph's folder: attribute to entity label to value.

    A folder without ``numbers.tsv`` has none. Labels are not compared with those of the graph.

    Raises:
        FormatError: the header or a line is malformed, a value is no finite number, or an entity
            has two values of an attribute.
    """
    path = folder / NUMBERS_FILE
    if not path.is_file():
        return {}
    lines = read_lines(path)
    if not lines or lines[0].split("\t") != _HEADER:
        raise FormatError(f"{path}:1: expected the header {' <tab> '.join(_HEADER)}")
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
        values[label] = _parse(text, path, number)
    return numbers


def write_numbers(folder: Path, numbers: Mapping[str, Mapping[str, float]]) -> None:
    """Write numbers, attribute to entity label to value, or nothing where there are none.

    Raises:
        DataError: a label or attribute is blank or holds a tab or line break, or a value is not
            finite.
        StorageError: the disk refused.
    """
    rows = [_HEADER]
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


def _parse(text: str, path: Path, number: int) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise FormatError(f"{path}:{number}: expected a finite number, found {text[:120]!r}")
    return value
