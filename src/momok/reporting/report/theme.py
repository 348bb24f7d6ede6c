"""The colours of the report, in light and in dark.

Plots are drawn in the house's light colours (``momok.reporting.style``); inside the page these are
replaced by variables of the style sheet, so that a plot follows the page into the dark.
"""

from __future__ import annotations

from momok.reporting.style import (
    BAR,
    FURTHER_COLOURS,
    GRID,
    HEAD_COLOURS,
    INK,
    MUTED,
    PAPER,
    choose_colours,
)

__all__ = ["DARK", "LIGHT", "PLOT_VARIABLES", "name_head_colours"]

_FURTHER = tuple(f"series-{number}" for number in range(1, len(FURTHER_COLOURS) + 1))
_HEADS = ("structure", "image", "text", "joint")

# Colour in a plot -> variable of the style sheet.
PLOT_VARIABLES: dict[str, str] = {
    INK: "ink",
    MUTED: "muted",
    GRID: "grid",
    BAR: "bar",
    PAPER: "card",
    "#000000": "ink",
    **{HEAD_COLOURS[head]: f"head-{head}" for head in _HEADS},
    **dict(zip(FURTHER_COLOURS, _FURTHER, strict=True)),
}

LIGHT: dict[str, str] = {
    "page": "#f6f7f9",
    "card": PAPER,
    "sunken": "#f1f3f6",
    "ink": INK,
    "muted": "#59636e",
    "line": "#dfe3e8",
    "grid": GRID,
    "bar": BAR,
    "fill": "#d6e6f5",
    "accent": "#0b5cad",
    "accent-soft": "#e8f1fb",
    "good": "#116b3f",
    "good-soft": "#e3f4ea",
    "warn": "#8a4b00",
    "warn-soft": "#fff3dc",
    "bad": "#a8201a",
    "bad-soft": "#fdeae8",
    **{f"head-{head}": HEAD_COLOURS[head] for head in _HEADS},
    "head-answer": INK,
    **dict(zip(_FURTHER, FURTHER_COLOURS, strict=True)),
}

DARK: dict[str, str] = {
    "page": "#0e1116",
    "card": "#161b22",
    "sunken": "#1d232c",
    "ink": "#e8ecf1",
    "muted": "#9aa5b1",
    "line": "#2e3641",
    "grid": "#2a313b",
    "bar": "#3d4753",
    "fill": "#1e3a56",
    "accent": "#79b8ff",
    "accent-soft": "#15283d",
    "good": "#6fd39b",
    "good-soft": "#12301f",
    "warn": "#f0b95c",
    "warn-soft": "#33260c",
    "bad": "#ff938a",
    "bad-soft": "#3a1714",
    "head-structure": "#58a6f0",
    "head-image": "#f0b23c",
    "head-text": "#33c796",
    "head-joint": "#e08cc9",
    "head-answer": "#e8ecf1",
    "series-1": "#7cc8f5",
    "series-2": "#ff8f4d",
    "series-3": "#c4a07c",
    "series-4": "#a8a3e6",
    "series-5": "#cfcf4a",
    "series-6": "#b5b5b5",
}


def name_head_colours(heads: tuple[str, ...]) -> dict[str, str]:
    """The variable of every head's colour: the same as in its plots."""
    variables = {head: f"head-{head}" for head in (*_HEADS, "answer")}
    by_colour = dict(zip(FURTHER_COLOURS, _FURTHER, strict=True))
    return {
        head: variables.get(head) or by_colour[colour]
        for head, colour in choose_colours(heads).items()
    }
