"""Numbers and texts as the report shows them.

A number keeps its full value and the place that it was read from, so that every number of a page
can be traced to the file of the run that has it, by people and by tests.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from typing import ClassVar

__all__ = [
    "NONE",
    "Number",
    "clean_text",
    "count",
    "list_in_words",
    "percent",
    "point_to",
    "rank",
    "seconds",
    "shorten",
    "signed",
]

LONGEST = 160  # characters of a label or name
_NONCHARACTERS = {0xFFFE, 0xFFFF}


@dataclass(frozen=True, kw_only=True)
class Number:
    """A value, how it is written, and where it comes from.

    Attributes:
        value: None where there is none.
        text: how it is written.
        source: file and JSON pointer (RFC 6901) in the run folder, as
            ``results/test.json#/by_side/tail/answer/mrr``; "" for what the report computed.
        bar: 0 to 1, the length of a bar behind the number; None for no bar.
    """

    kind: ClassVar[str] = "number"

    value: float | int | None
    text: str
    source: str = ""
    bar: float | None = None

    @property
    def machine(self) -> str:
        """The value with all its digits, as a machine reads it."""
        return "" if self.value is None else repr(self.value)


NONE = Number(value=None, text="–")


def point_to(file: str, *path: str | int) -> str:
    """The place of a value: a file of the run folder and a JSON pointer into it."""
    steps = (str(step).replace("~", "~0").replace("/", "~1") for step in path)
    return f"{file}#{''.join(f'/{step}' for step in steps)}"


def percent(value: float | None, source: str = "", *, digits: int = 2, bar: bool = False) -> Number:
    """A share in percent, as the field prints metrics."""
    if value is None:
        return NONE
    length = min(max(value, 0.0), 1.0) if bar else None
    return Number(value=value, text=f"{100 * value:.{digits}f}", source=source, bar=length)


def signed(value: float, source: str = "") -> Number:
    """A difference of shares, in percentage points with its sign."""
    text = f"{100 * value:+.2f}".replace("-", "−")
    return Number(value=value, text="0.00" if text in {"+0.00", "−0.00"} else text, source=source)


def count(value: int, source: str = "") -> Number:
    """A whole number with its thousands set apart."""
    return Number(value=value, text=f"{value:,}", source=source)


def rank(value: float | None, source: str = "") -> Number:
    """A rank, or a mean of ranks."""
    if value is None:
        return NONE
    text = f"{value:,.0f}" if float(value).is_integer() else f"{value:,.1f}"
    return Number(value=value, text=text, source=source)


def seconds(value: float, source: str = "") -> Number:
    """A time: 0.83 s, 12.6 s, 4 min 10 s, 2 h 05 min."""
    whole = round(value)
    if whole >= 3600:
        text = f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    elif whole >= 60:
        text = f"{whole // 60} min {whole % 60:02d} s"
    else:
        text = f"{value:.1f} s" if value >= 1 else f"{value:.2g} s"
    return Number(value=value, text=text, source=source)


def clean_text(text: str) -> str:
    """A text of unknown origin on one line, without characters that HTML does not allow.

    Control characters, lone surrogates and noncharacters are shown escaped, as ``\\x07``. Marks of
    direction stay (names need them): the templates isolate every text.
    """
    return "".join(c if _is_allowed(c) else _escape(c) for c in " ".join(text.split()))


def shorten(text: str, longest: int = LONGEST) -> str:
    """``clean_text``, shortened in its middle: names of one family differ at the end."""
    text = clean_text(text)
    if len(text) <= longest:
        return text
    kept = longest - 1
    return f"{text[: kept - kept // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"


def list_in_words(items: Iterable[str]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    items = list(items)
    return items[0] if len(items) == 1 else f"{', '.join(items[:-1])} and {items[-1]}"


def _is_allowed(character: str) -> bool:
    code = ord(character)
    if code & 0xFFFF in _NONCHARACTERS or 0xFDD0 <= code <= 0xFDEF:
        return False
    return unicodedata.category(character) not in {"Cc", "Cs"}


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
