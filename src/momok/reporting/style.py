"""How figures and pages look: colours in light and dark, fonts, and what all figures share."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import cycle
from typing import Literal

import matplotlib
import numpy as np
from matplotlib import font_manager, ft2font
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullLocator
from numpy.typing import ArrayLike

from momok.console import shorten_middle
from momok.evaluation import ANSWER

# The variables of the report's style sheet: (light, dark). Figures are drawn in the light colours;
# inside a page these are replaced by the variables, so that a figure follows the page into the
# dark. The heads have Okabe and Ito's colours, which people with any colour vision tell apart.
COLOURS: dict[str, tuple[str, str]] = {
    "ink": ("#1f2328", "#e8ecf1"),
    "muted": ("#59636e", "#9aa5b1"),
    "card": ("#ffffff", "#161b22"),
    "page": ("#f6f7f9", "#0e1116"),
    "sunken": ("#f1f3f6", "#1d232c"),
    "line": ("#dfe3e8", "#2e3641"),
    "grid": ("#e3e7eb", "#2a313b"),
    "bar": ("#c9d1d9", "#3d4753"),
    "fill": ("#d6e6f5", "#1e3a56"),
    "accent": ("#0b5cad", "#79b8ff"),
    "accent-soft": ("#e8f1fb", "#15283d"),
    "good": ("#116b3f", "#6fd39b"),
    "good-soft": ("#e3f4ea", "#12301f"),
    "warn": ("#8a4b00", "#f0b95c"),
    "warn-soft": ("#fff3dc", "#33260c"),
    "bad": ("#a8201a", "#ff938a"),
    "bad-soft": ("#fdeae8", "#3a1714"),
    "head-structure": ("#0072b2", "#58a6f0"),
    "head-image": ("#e69f00", "#f0b23c"),
    "head-text": ("#009e73", "#33c796"),
    "head-joint": ("#b5549a", "#e08cc9"),
    "series-1": ("#56b4e9", "#7cc8f5"),
    "series-2": ("#d55e00", "#ff8f4d"),
    "series-3": ("#8c6d46", "#c4a07c"),
    "series-4": ("#7570b3", "#a8a3e6"),
    "series-5": ("#a6a61d", "#cfcf4a"),
    "series-6": ("#999999", "#b5b5b5"),
}
INK, MUTED, GRID, BAR, PAPER = (
    COLOURS[name][0] for name in ("ink", "muted", "grid", "bar", "card")
)
_HEADS = ("structure", "image", "text", "joint")
HEAD_COLOURS = {head: COLOURS[f"head-{head}"][0] for head in _HEADS} | {ANSWER: INK}
FURTHER_COLOURS = tuple(COLOURS[f"series-{number}"][0] for number in range(1, 7))
PLOT_VARIABLES = {"#000000": "ink"} | {
    light: name
    for name, (light, _) in COLOURS.items()
    if light in {MUTED, GRID, BAR, PAPER, *HEAD_COLOURS.values(), *FURTHER_COLOURS}
}
"""The colours of figures, each with its variable."""

LONGEST_RUN_NAME = 34
_BASE_FONT = "DejaVu Sans"  # comes with matplotlib
# Fonts with Chinese, Japanese and Korean that systems have.
_WIDE_FONTS = (
    *("Noto Sans CJK SC", "Noto Sans SC", "Source Han Sans SC", "WenQuanYi Micro Hei"),
    *("WenQuanYi Zen Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans GB"),
    *("Heiti TC", "Microsoft YaHei", "SimHei", "Arial Unicode MS"),
)
_MANY_POWERS = 100.0  # largest over least of a logarithmic axis where powers of ten are enough
_FEW_POINTS = 3  # fewer are marked: a line of one point is invisible


@contextmanager
def plot_style() -> Iterator[None]:
    """Draw and save figures in the house's style within this block."""
    settings = {
        "font.family": list(list_fonts()),
        "font.size": 10,
        "text.color": INK,
        "text.parse_math": False,  # a label may hold dollar signs
        "axes.edgecolor": MUTED,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9.5,
        "axes.titlesize": 10,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.color": GRID,
        "grid.linewidth": 0.8,
        "xtick.color": MUTED,
        "ytick.color": MUTED,
        "xtick.labelsize": 9,
        "ytick.labelsize": 9,
        "legend.frameon": False,
        "legend.fontsize": 9.5,
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "savefig.dpi": 160,
        "svg.hashsalt": "momok",  # the same run gives the same bytes
    }
    with matplotlib.rc_context(settings):  # type: ignore[arg-type]
        yield


def choose_colours(names: Iterable[str]) -> dict[str, str]:
    """Give every decision head, or other name, a colour; known heads keep theirs in every plot."""
    further = cycle(FURTHER_COLOURS)
    return {name: HEAD_COLOURS.get(name) or next(further) for name in dict.fromkeys(names)}


@cache
def list_fonts() -> tuple[str, ...]:
    """The base font and, for letters that it lacks, what is installed of the wide ones."""
    installed = {font.name for font in font_manager.fontManager.ttflist}
    return _BASE_FONT, *(name for name in _WIDE_FONTS if name in installed)


def find_uncovered(text: str) -> set[str]:
    """The characters of ``text`` that none of the fonts in use has."""
    fonts = matplotlib.rcParams["font.family"]
    return {c for c in set(text) if not any(ord(c) in _read_characters(font) for font in fonts)}


def fit_text(text: str, longest: int) -> str:
    """A text of a graph as a figure can show it: one line, shortened in its middle.

    Names of one family differ at the end, so both ends are kept. A character that no font in use
    has, or that has no shape, becomes a box.
    """
    text = shorten_middle(" ".join(text.split()), longest)
    uncovered = find_uncovered(text)
    return "".join("□" if c in uncovered or not c.isprintable() else c for c in text)


def make_figure(width: float = 5.4, height: float = 3.6) -> tuple[Figure, Axes]:
    """Make a figure of one panel; by default of half the width of a page."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.subplots()


def plot_lines(axes: Axes, x: ArrayLike, lines: Mapping[str, ArrayLike]) -> None:
    """Draw one line per decision head, the answer's the thickest."""
    few = np.size(x) < _FEW_POINTS
    for name, colour in choose_colours(lines).items():
        axes.plot(
            x,
            lines[name],
            color=colour,
            linewidth=2.2 if name == ANSWER else 1.6,
            marker="o" if few else None,
            label=name,
        )


def add_legend(figure: Figure) -> None:
    """Name all that is drawn, each once, below the figure."""
    handles = {
        label: handle
        for axes in figure.axes
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    columns = max(int(figure.get_size_inches()[0]), 2)
    figure.legend(
        list(handles.values()), list(handles), loc="outside lower center",
        ncols=min(len(handles), columns),
    )  # fmt: skip


def label_epochs(axes: Axes) -> None:
    """Make the x axis one of epochs."""
    axes.set_xlabel("epoch")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7, min_n_ticks=1))
    axes.grid(axis="x", visible=False)


def label_rows(axes: Axes, names: Sequence[str], places: Sequence[float] | None = None) -> None:
    """Name the rows of a figure, from the top, at 0, 1, 2 and so on or at other places."""
    places = range(len(names)) if places is None else places
    axes.set_yticks(places, list(names))
    axes.tick_params(axis="y", length=0, labelcolor=INK)
    axes.grid(axis="y", visible=False)
    axes.set_ylim(places[-1] + 0.6, places[0] - 0.6)
    axes.spines["left"].set_color(GRID)


def format_ticks(axes: Axes, which: str, unit: str = "%") -> None:
    """Write the ticks of axis "x", "y" or both as short plain numbers: 5%, 12.5%."""
    for axis in which:
        getattr(axes, f"{axis}axis").set_major_formatter(
            FuncFormatter(lambda value, _: f"{value:g}{unit}")
        )


def scale_logarithmically(axes: Axes, which: Literal["x", "y"]) -> None:
    """Give an axis, once its lines are drawn, a logarithmic scale with labels that tell it apart.

    Where it spans few powers of ten, twice and five times a power are labelled too.
    """
    axis, set_scale, read_limits = {
        "x": (axes.xaxis, axes.set_xscale, axes.get_xlim),
        "y": (axes.yaxis, axes.set_yscale, axes.get_ylim),
    }[which]
    set_scale("log")
    low, high = read_limits()
    subs = (1.0, 2.0, 5.0) if high < _MANY_POWERS * low else (1.0,)
    axis.set_major_locator(LogLocator(subs=subs))
    format_ticks(axes, which, "")
    axis.set_minor_locator(NullLocator())


@cache
def _read_characters(font: str) -> frozenset[int]:
    return frozenset(ft2font.FT2Font(font_manager.findfont(font)).get_charmap())
