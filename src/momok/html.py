"""Small tables in HTML, for notebooks: readable on light and dark pages, every text escaped."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from html import escape
from typing import TypeAlias

from momok.console import make_printable


@dataclass(frozen=True)
class Share:
    """A part of a whole, 0 to 1: in percent over a bar, in brackets where it is not its own."""

    value: float
    own: bool = True

    def __str__(self) -> str:
        return f"{self.value:.0%}" if self.own else f"({self.value:.0%})"


Cell: TypeAlias = str | int | float | Share | None

_LINE = "border-bottom: 1px solid rgba(128, 128, 128, 0.4)"
_TABLE = "border-collapse: collapse; color: inherit; margin: 0.4em 0"
_CELL = "padding: 0.15em 0.7em; color: inherit; background: none; border: none"
_BAR = "rgba(128, 128, 128, 0.3)"
_WARNING = "border-left: 0.25em solid #d97706; padding-left: 0.5em; margin: 0.2em 0; color: inherit"


def render_table(
    title: str,
    rows: Iterable[Sequence[Cell]],
    *,
    header: Sequence[str] = (),
    notes: Iterable[str] = (),
    warnings: Iterable[str] = (),
) -> str:
    """Render a table with its title above, warnings and notes below: HTML that needs nothing else.

    Texts are at the left. Numbers are at the right, whole ones with thousands separators, shares
    with four decimals and others with one; None is a dash. Without a ``header`` the first cell of a
    row names it.
    """
    lines = [f'<table style="{_TABLE}">']
    caption = "caption-side: top; text-align: left; white-space: nowrap; color: inherit"
    lines.append(f'<caption style="{caption}"><b>{_escape(title)}</b></caption>')
    rows = [tuple(row) for row in rows]
    if header:
        kinds = rows[0] if rows else header
        cells = (
            _render_cell(name, "th", _align(kind)) for name, kind in zip(header, kinds, strict=True)
        )
        lines.append(f'<tr style="{_LINE}; background: none">{"".join(cells)}</tr>')
    for row in rows:
        first = "td" if header else "th"
        cells = (
            _render_cell(cell, "td" if place else first, _align(cell))
            for place, cell in enumerate(row)
        )
        lines.append(f'<tr style="background: none">{"".join(cells)}</tr>')
    lines.append("</table>")
    lines += [f'<div style="{_WARNING}">{_escape(warning)}</div>' for warning in warnings]
    lines += [f'<div style="color: inherit; opacity: 0.8">{_escape(note)}</div>' for note in notes]
    return "\n".join(lines)


def render_pictures(pictures: Iterable[tuple[str, bytes]]) -> str:
    """Render small pictures beside each other, each a caption and a WebP file; "" for none."""
    figures = [
        f'<figure style="margin: 0"><img alt="" src="data:image/webp;base64,'
        f'{b64encode(content).decode()}"><figcaption>{_escape(caption)}</figcaption></figure>'
        for caption, content in pictures
    ]
    if not figures:
        return ""
    return f'<div style="display: flex; gap: 1.5em; color: inherit">{"".join(figures)}</div>'


def _align(cell: Cell) -> str:
    return "left" if isinstance(cell, str) else "right"


def _render_cell(cell: Cell, tag: str, align: str) -> str:
    style = f"{_CELL}; text-align: {align}"
    if isinstance(cell, Share):
        filled = f"{100 * cell.value:.0f}%"
        bar = f"linear-gradient(to right, {_BAR} {filled}, transparent {filled})"
        style = style.replace("background: none", f"background: {bar}")
    return f'<{tag} style="{style}">{_escape(_format(cell))}</{tag}>'


def _format(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, str | Share):
        return str(cell)
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4f}" if cell <= 1 else f"{cell:,.1f}"


def _escape(text: str) -> str:
    return escape(make_printable(text))
