"""How a text table is written: what separates its columns, and whether fields are quoted.

Guessed from the first lines. Of the delimiters that give at least the columns needed, the one
that gives the same number on most lines wins; blanks are tried only when no other fits.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from momok.errors import FormatError

_SAMPLE_LINES, _SAMPLE_SIZE = 200, 1 << 14
BLANKS = " "  # one or several
_DELIMITERS = ("\t", ",", ";", "|")  # in the order of preference
_NAMES = {"\t": "tabs", ",": "commas", ";": "semicolons", "|": "bars", BLANKS: "blanks"}
_NEEDED_SHARE = 0.5  # of the lines that must have the usual number of columns


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Attributes:
        delimiter: what separates columns.
        width: the columns of most lines.
        quotes: quotes around a field are not part of it.
    """

    delimiter: str
    width: int
    quotes: bool


def name_delimiter(delimiter: str) -> str:
    """Name a delimiter for people."""
    return _NAMES.get(delimiter, repr(delimiter))


def guess_delimiter(sample: Sequence[str], least: int, place: str) -> tuple[str, int]:
    """Guess the delimiter and the number of columns from the first lines, none of them blank.

    Args:
        sample: lines.
        least: how many columns are needed.
        place: the file and line of the first one.

    Raises:
        FormatError: no delimiter gives enough columns.
    """
    best: tuple[float, str, int] | None = None
    for delimiter in _DELIMITERS:
        width, share = measure_width(sample, delimiter)
        if width >= least and share >= _NEEDED_SHARE and (best is None or share > best[0]):
            best = share, delimiter, width
    if best:
        return best[1], best[2]
    width, share = measure_width(sample, BLANKS)
    if width == least and share >= _NEEDED_SHARE:
        return BLANKS, width
    raise FormatError(
        f"{place}: neither tabs, commas, semicolons, bars nor blanks separate it into "
        f"{least} columns or more: {sample[0][:120]!r}; give --delimiter"
    )


def measure_width(sample: Sequence[str], delimiter: str) -> tuple[int, float]:
    """Find the most frequent number of columns, and the share of the lines that have it.

    Quoted fields, which may hold delimiters and line breaks, are looked at as blank.
    """
    lines = list(sample)
    if delimiter != BLANKS:
        edge = re.escape(delimiter)
        # Possessive: hostile text costs no backtracking.
        quoted = re.compile(rf'(?<![^{edge}\n])"(?:[^"]|"")*+"(?=[{edge}\r\n]|$)')
        lines = quoted.sub("", "\n".join(lines)).split("\n")
    widths = Counter(_count_columns(line, delimiter) for line in lines)
    width, count = max(widths.items(), key=lambda item: (item[1], item[0]))
    return width, count / len(lines)


def take_sample(lines: Iterable[str]) -> list[str]:
    """Take the first lines, as many as tell how the rest is written."""
    sample: list[str] = []
    size = 0
    for line in islice(lines, _SAMPLE_LINES):
        sample.append(line[:_SAMPLE_SIZE])
        size += len(line)
        if size > _SAMPLE_SIZE:
            break
    return sample


def _count_columns(line: str, delimiter: str) -> int:
    if delimiter == BLANKS:
        return len(line.removesuffix(" .").split())
    return line.count(delimiter) + 1
