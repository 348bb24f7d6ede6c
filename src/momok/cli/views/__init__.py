"""Results as they are shown on a terminal, and what all of them are made of.

One layout of tables, one bar, one curve, one list of colours.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, pairwise

from rich import box
from rich.console import RenderableType
from rich.table import Column, Table
from rich.text import Text

from momok.console import make_printable

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_NARROWEST = 9  # columns of text, where there is little room
_HEIGHTS = "▁▂▃▄▅▆▇█"
_SHADES = "█▓▒░"  # so that the parts of a bar differ without colours too


def choose_colour(number: int) -> str:
    """The colour of the modality or head with this number."""
    return _COLOURS[number % len(_COLOURS)]


def colour_name(name: str, number: int) -> Text:
    """The name of the modality or head with this number, in its colour."""
    return Text(make_printable(name), style=choose_colour(number))


def build_table(
    *columns: str | Text | Column,
    rows: Iterable[Iterable[RenderableType]] = (),
    text: int = 1,
    title: str = "",
    caption: str = "",
) -> Table:
    """A table without lines but that below its header.

    Args:
        columns: headers, or columns for what is special. One without a name is for bars.
        text: how many of the first columns hold text; the others hold numbers.
    """
    described = [
        column
        if isinstance(column, Column)
        else Column(column, overflow="fold", min_width=_NARROWEST)
        if number < text
        else Column(column, justify="right" if column else "left", no_wrap=True)
        for number, column in enumerate(columns)
    ]
    table = Table(
        *described,
        title=Text(make_printable(title), style="bold") if title else None,
        caption=caption or None,
        title_justify="left",
        caption_justify="left",
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for row in rows:
        table.add_row(*map(_make_printable_cell, row))
    return table


def build_fields(rows: Iterable[tuple[str, RenderableType]] = (), title: str = "") -> Table:
    """Names and values, one pair a line."""
    table = Table.grid(padding=(0, 2))
    table.title = Text(make_printable(title), style="bold") if title else None
    table.title_justify = "left"
    table.add_column(style="dim", no_wrap=True)
    table.add_column(overflow="fold")
    for row in rows:
        table.add_row(*map(_make_printable_cell, row))
    return table


def _make_printable_cell(cell: RenderableType) -> RenderableType:
    return make_printable(cell) if isinstance(cell, str) else cell


def draw_bar(*weights: float, columns: int, number: int = 0) -> Text:
    """Weights one behind the other, each in its colour and shade; 1 is as long as ``columns``.

    The borders are rounded, not the parts, so that the bar is as long as their sum. Any weight
    above 0 shows.
    """
    borders = [0, *(round(end * columns) for end in accumulate(weights))]
    bar = Text()
    for part, (start, stop) in enumerate(pairwise(borders)):
        bar.append(
            _SHADES[part % len(_SHADES)] * (stop - start), style=choose_colour(number + part)
        )
    if not bar and sum(weights) > 0:
        bar.append("▏", style=choose_colour(number))
    bar.pad_right(columns - len(bar))
    return bar


def draw_curve(values: Sequence[float], top: float) -> str:
    """A character per value, as high as it is between 0 and ``top``."""
    last = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[min(max(round(value / top * last), 0), last)] for value in values)


def format_percent(value: float | None, decimals: int = 0, sign: str = "%") -> str:
    """A share in percent, or a dash where there is none."""
    return "–" if value is None else f"{100 * value:.{decimals}f}{sign}"


def format_probability(probability: float | None) -> str:
    """A probability in four decimals; one that is not zero does not look like it."""
    if probability is None:
        return "–"
    return "<0.0001" if 0 < probability < 0.00005 else f"{probability:.4f}"
