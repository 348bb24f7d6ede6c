"""How plots look: colours of the decision heads, fonts, lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, Literal

from matplotlib import font_manager, ft2font
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from momok.evaluation import ANSWER

__all__ = [
    "BAR",
    "FURTHER_COLOURS",
    "GRID",
    "HEAD_COLOURS",
    "INK",
    "MUTED",
    "PAPER",
    "choose_colours",
    "choose_fonts",
    "find_uncovered",
    "fit_text",
    "plain_numbers",
    "scale_logarithmically",
    "style",
]

INK = "#1f2328"
MUTED = "#667079"
GRID = "#e3e7eb"
BAR = "#c9d1d9"
PAPER = "#ffffff"

# Okabe and Ito's colours, which people with any colour vision tell apart; the answer is ink.
HEAD_COLOURS = {
    "structure": "#0072b2",
    "image": "#e69f00",
    "text": "#009e73",
    "joint": "#b5549a",
    ANSWER: INK,
}
FURTHER_COLOURS = ("#56b4e9", "#d55e00", "#8c6d46", "#7570b3", "#a6a61d", "#999999")

_MANY_POWERS = 100.0  # largest over least of a logarithmic axis where powers of ten are enough
_BASE_FONT = "DejaVu Sans"  # comes with matplotlib
# Fonts with Chinese, Japanese and Korean that systems have; taken only where a label needs one.
_WIDE_FONTS = (
    "Noto Sans CJK SC",
    "Noto Sans SC",
    "Source Han Sans SC",
    "WenQuanYi Micro Hei",
    "WenQuanYi Zen Hei",
    "Droid Sans Fallback",
    "PingFang SC",
    "Hiragino Sans GB",
    "Heiti TC",
    "Microsoft YaHei",
    "SimHei",
    "Arial Unicode MS",
)


def style(fonts: Sequence[str]) -> dict[Any, Any]:
    """Settings for ``matplotlib.rc_context``."""
    return {
        "font.family": list(fonts),
        "font.size": 10,
        "text.color": INK,
        "text.parse_math": False,  # a label may hold dollar signs
        "axes.edgecolor": MUTED,
        "axes.labelcolor": MUTED,
        "axes.labelsize": 9.5,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.titlelocation": "left",
        "axes.titlepad": 10,
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
        "figure.facecolor": PAPER,
        "savefig.facecolor": PAPER,
        "svg.hashsalt": "momok",  # the same run gives the same bytes
    }


def choose_colours(heads: Iterable[str]) -> dict[str, str]:
    """One colour per decision head; known heads have the same one in every plot."""
    further = 0
    colours = {}
    for head in heads:
        if head in HEAD_COLOURS:
            colours[head] = HEAD_COLOURS[head]
        else:
            colours[head] = FURTHER_COLOURS[further % len(FURTHER_COLOURS)]
            further += 1
    return colours


def choose_fonts(texts: Iterable[str]) -> tuple[str, ...]:
    """Font families that cover the texts as well as the installed fonts can."""
    fonts = [_BASE_FONT]
    missing = find_uncovered("".join(texts), fonts)
    installed = {font.name for font in font_manager.fontManager.ttflist} if missing else set()
    for name in _WIDE_FONTS:
        if missing and name in installed:
            left = find_uncovered("".join(missing), [*fonts, name])
            if left < missing:
                fonts.append(name)
                missing = left
    return tuple(fonts)


def find_uncovered(text: str, fonts: Sequence[str]) -> set[str]:
    """The characters of ``text`` that none of the fonts has."""
    return {c for c in set(text) if not any(ord(c) in _read_characters(font) for font in fonts)}


def fit_text(text: str, fonts: Sequence[str], longest: int) -> str:
    """A text of a graph as a picture can show it: one line, shortened in its middle.

    Names of one family differ at the end, so both ends are kept. A character that no font has, or
    that has no shape, becomes a box.
    """
    text = " ".join(text.split())
    if len(text) > longest:
        kept = longest - 1
        text = f"{text[: kept - kept // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"
    uncovered = find_uncovered(text, fonts)
    return "".join("□" if c in uncovered or not c.isprintable() else c for c in text)


def plain_numbers(unit: str = "") -> FuncFormatter:
    """Ticks as short plain numbers: 0.01, 5%, 12.5%."""
    return FuncFormatter(lambda value, _: f"{value:g}{unit}")


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
    axis.set_major_formatter(plain_numbers())
    axis.set_minor_formatter(NullFormatter())


@cache
def _read_characters(font: str) -> frozenset[int]:
    return frozenset(ft2font.FT2Font(font_manager.findfont(font)).get_charmap())
