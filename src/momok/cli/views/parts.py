"""Bars of weights and the house's colours for tables on a terminal."""

from __future__ import annotations

from rich import box
from rich.table import Table
from rich.text import Text

from momok.console import make_printable

__all__ = ["COLOURS", "draw_bar", "plain_table", "say_percent", "say_probability"]

COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_EIGHTHS = " ▏▎▍▌▋▊▉"


def draw_bar(weight: float, columns: int, colour: str, *, ascii_only: bool = False) -> Text:
    """A bar for a weight from 0 to 1; any weight above 0 shows."""
    eighths = max(round(weight * columns * 8), 1 if weight > 0 else 0)
    if ascii_only:
        drawn = "#" * max(round(eighths / 8), 1 if weight > 0 else 0)
    else:
        drawn = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
    return Text(drawn.ljust(columns), style=colour)


def say_percent(weight: float) -> str:
    """A weight in whole percent."""
    return f"{100 * weight:.0f}%"


def say_probability(probability: float) -> str:
    """A probability in four decimals; one that is not zero does not look like it."""
    return "<0.0001" if 0 < probability < 0.00005 else f"{probability:.4f}"


def plain_table(*columns: str, title: str = "") -> Table:
    """A table without lines but that below its header.

    The first column is text that keeps its line; a column without a name is one of bars; the
    others are numbers.
    """
    heading = Text(make_printable(title), style="bold") if title else None
    table = Table(title=heading, title_justify="left", box=box.SIMPLE_HEAD, pad_edge=False)
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number and column else "left", no_wrap=True)
    return table
