"""Values of a run's files, and how numbers, names and texts are written into a page.

A value keeps the place that it was read from, and so does the number that is made of it: every
number of a page can be traced to the file of the run that has it, by people and by tests.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from markupsafe import Markup

from momok.console import shorten_middle
from momok.graph import MultimodalGraph
from momok.reporting.style import PLOT_VARIABLES, choose_colours

LONGEST = 160  # characters of a label or name
_LONGEST_NAME = 72
_NONCHARACTERS = {0xFFFE, 0xFFFF}


@dataclass(frozen=True)
class Value:
    """A part of a JSON file of a run, and where it stands.

    Attributes:
        value: what is there.
        source: file and JSON pointer (RFC 6901) in the run folder, as
            ``results/test.json#/by_side/tail/answer/mrr``.
    """

    value: Any
    source: str

    def __getitem__(self, key: str | int) -> Value:
        step = str(key).replace("~", "~0").replace("/", "~1")
        return Value(self.value[key], f"{self.source}/{step}")

    def find(self, *path: str) -> Value | None:
        """What is at the end of a path of keys, or None."""
        found = self
        for key in path:
            if key not in found.value:
                return None
            found = found[key]
        return found

    def items(self) -> Iterator[tuple[Any, Value]]:
        """The parts, each by its key or place."""
        keys = self.value if isinstance(self.value, dict) else range(len(self.value))
        return ((key, self[key]) for key in keys)


class Number(Markup):
    """A number as it is written: a ``<data>`` element with all its digits and its source."""

    __slots__ = ()


Cell: TypeAlias = str  # plain text or Markup
Notice: TypeAlias = tuple[Cell, str]  # a text and its tone: plain, warn, or bad: doubt the numbers
Quantity: TypeAlias = Value | float | None
NONE = Number("–")


def number(quantity: Quantity, write: Callable[[Any], str]) -> Number:
    """A number in the words of ``write``; a dash where there is none."""
    value, source = (
        (quantity.value, quantity.source) if isinstance(quantity, Value) else (quantity, "")
    )
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return NONE
    where = Markup(' data-source="{}"').format(source) if source else ""
    return Number('<data value="{}"{}>{}</data>').format(repr(value), where, write(value))


def percent(quantity: Quantity, digits: int = 2, *, unit: str = "", bar: bool = False) -> Number:
    """A share in percent, as the field prints metrics; if asked for, with a bar of its length."""
    shown = number(quantity, lambda share: f"{100 * share:.{digits}f}{unit}")
    value = quantity.value if isinstance(quantity, Value) else quantity
    if not bar or shown is NONE or value is None:
        return shown
    length = 100 * min(max(value, 0.0), 1.0)
    return Number('<span class="bar" style="--part: {:.1f}%">{}</span>').format(length, shown)


def signed(value: float) -> Number:
    """A difference of shares, in percentage points with its sign."""
    text = f"{100 * value:+.2f}".replace("-", "−")
    return number(value, lambda _: "0.00" if text in {"+0.00", "−0.00"} else text)


def interval(value: float, low: float, high: float) -> Number:
    """A difference of shares and its interval."""
    parts = signed(value), signed(low), signed(high)
    return Number('{} <span class="deviation">[{}, {}]</span>').format(*parts)


def judge(low: float, high: float) -> Markup:
    """Whether an interval of a difference excludes 0."""
    if low > 0:
        return badge("better", "good")
    return badge("worse", "bad") if high < 0 else badge("undecided")


def name_all(things: Iterable[Any]) -> list[Cell]:
    """The names of runs, or of groups of runs."""
    return [name(thing.name) for thing in things]


def count(quantity: Quantity) -> Number:
    """A whole number with its thousands set apart."""
    return number(quantity, lambda value: f"{value:,.0f}")


def decimal(quantity: Quantity) -> Number:
    """A number with two decimals."""
    return number(quantity, "{:.2f}".format)


def rank(quantity: Quantity) -> Number:
    """A rank, or a mean of ranks."""
    return number(quantity, lambda v: f"{v:,.0f}" if float(v).is_integer() else f"{v:,.1f}")


def seconds(value: float) -> Number:
    """A time: 0.83 s, 12.6 s, 4 min 10 s, 2 h 05 min."""
    whole = round(value)
    if whole >= 3600:
        text = f"{whole // 3600} h {whole % 3600 // 60:02d} min"
    elif whole >= 60:
        text = f"{whole // 60} min {whole % 60:02d} s"
    else:
        text = f"{value:.1f} s" if value >= 1 else f"{value:.2g} s"
    return number(value, lambda _: text)


def spread(quantities: Sequence[Value | float], write: Callable[[Quantity], Number]) -> Number:
    """One value as it is; of several, their mean ± standard deviation (of a sample, n - 1)."""
    if len(quantities) < 2:
        return write(quantities[0]) if quantities else NONE
    values = [each.value if isinstance(each, Value) else each for each in quantities]
    parts = write(float(np.mean(values))), write(float(np.std(values, ddof=1)))
    return Number('{}<span class="deviation"> ± {}</span>').format(*parts)


def write(text: str, *parts: object) -> Markup:
    """Fill parts into the ``{}`` of a text; those that are not Markup are cleaned and escaped."""
    return Markup(text).format(*map(clean, parts))


def clean(text: object) -> Cell:
    """Markup as it is; of all else, its text on one line, without characters that HTML forbids.

    Control characters, lone surrogates and noncharacters are shown escaped, as ``\\x07``. Marks of
    direction stay, because names need them.
    """
    if isinstance(text, Markup):
        return text
    return "".join(c if _is_allowed(c) else _escape(c) for c in " ".join(str(text).split()))


def shorten(text: object, longest: int = LONGEST) -> str:
    """The clean text, shortened in its middle."""
    return shorten_middle(clean(str(text)), longest)


def name(text: object, label: str = "", longest: int = LONGEST) -> Markup:
    """A name that came with the data, isolated; its label is shown when it is pointed at."""
    shown = shorten(text, longest) or shorten(label, longest) or "(no name)"
    title = write(' title="{}"', shorten(label)) if label and clean(label) != shown else ""
    return write("<bdi{}>{}</bdi>", title, shown)


def name_entity(graph: MultimodalGraph, entity: int) -> Markup:
    """The name of an entity."""
    return name(graph.entity_names[entity], graph.entities.labels[entity], _LONGEST_NAME)


def name_relation(graph: MultimodalGraph, relation: int) -> Markup:
    """The name of a relation."""
    return name(graph.relation_names[relation], graph.relations.labels[relation], _LONGEST_NAME)


def name_heads(heads: Iterable[str]) -> dict[str, Markup]:
    """Every decision head with its colour, the same as in the figures."""
    return {
        head: write(
            '<span class="head" style="--tone: var(--{})">{}</span>', PLOT_VARIABLES[colour], head
        )
        for head, colour in choose_colours(heads).items()
    }


def code(text: object) -> Markup:
    """A value as it stands in a file."""
    return write("<code>{}</code>", text)


def badge(text: object, tone: str = "plain") -> Markup:
    """A word set apart; the tone is plain, good, warn or bad."""
    return write('<span class="badge {}">{}</span>', tone, text)


def strong(text: object) -> Markup:
    """A word of weight; the name of a row sets the whole row apart."""
    return write("<strong>{}</strong>", text)


def hint(text: object, explanation: str) -> Markup:
    """A word that is explained when it is pointed at."""
    return write('<span title="{}">{}</span>', explanation, text)


def show_setting(setting: Value) -> Cell:
    """A setting's value as it is written for ``--set``; numbers are traceable."""
    value = setting.value
    if value is None:
        return badge("unset")
    if isinstance(value, bool):
        return code(str(value).lower())
    if isinstance(value, int | float):
        return number(setting, lambda v: f"{v:g}" if isinstance(v, float) else str(v))
    if isinstance(value, list):
        return code(",".join(map(str, value))) if value else badge("all")
    return code(value)


def list_in_words(items: Iterable[object]) -> str:
    """``a``, ``a and b``, ``a, b and c``."""
    *others, last = map(str, items)
    return f"{', '.join(others)} and {last}" if others else last


def _is_allowed(character: str) -> bool:
    point = ord(character)
    if point & 0xFFFF in _NONCHARACTERS or 0xFDD0 <= point <= 0xFDEF:
        return False
    return unicodedata.category(character) not in {"Cc", "Cs"}


def _escape(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
