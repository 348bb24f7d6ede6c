"""Geometry of the small pictures that pages draw as SVG. Colours come from the style sheet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import NamedTuple

__all__ = ["BAR_WIDTH", "Arc", "Piece", "arcs", "colour_class", "stack"]

BAR_WIDTH = 100.0
_GAP = 0.8  # of 100, between two arcs
_NAMED = ("structure", "image", "text", "joint")
_FURTHER = 6  # colours of other modalities; experts are numbered


class Arc(NamedTuple):
    """A part of a ring of circumference 100, as ``stroke-dasharray`` and ``-offset``."""

    name: str
    share: float
    dashes: str
    offset: str


class Piece(NamedTuple):
    """A part of a bar."""

    name: str
    share: float
    start: str
    width: str


def arcs(shares: Mapping[str, float]) -> list[Arc]:
    """A ring, from the top and clockwise."""
    total = sum(shares.values()) or 1.0
    drawn = []
    start = 0.0
    for name, share in shares.items():
        part = 100 * share / total
        length = max(part - _GAP, 0.0) if len(shares) > 1 else part
        drawn.append(Arc(name, share, f"{length:.2f} {100 - length:.2f}", f"{25 - start:.2f}"))
        start += part
    return drawn


def stack(shares: Mapping[str, float], filled: float = 1.0) -> list[Piece]:
    """A bar of which ``filled`` is cut into shares."""
    total = sum(shares.values()) or 1.0
    drawn = []
    start = 0.0
    for name, share in shares.items():
        width = BAR_WIDTH * min(filled, 1.0) * share / total
        drawn.append(Piece(name, share, f"{start:.2f}", f"{width:.2f}"))
        start += width
    return drawn


def colour_class(name: str, position: int = 0) -> str:
    """The style class of a modality's or an expert's colour."""
    if name in _NAMED:
        return f"c-{name}"
    number = re.search(r"\d+$", name)
    return f"c-{(int(number[0]) if number else position) % _FURTHER}"
