"""Small tables in HTML, for notebooks: readable on light and dark pages, every text escaped."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape
from typing import TypeAlias

from momok.console import make_printable

Cell: TypeAlias = str | int | float | None

_LINE = "border-bottom: 1px solid rgba(128, 128, 128, 0.4)"
_TABLE = "border-collapse: collapse; color: inherit; margin: 0.4em 0"
_CELL = "padding: 0.15em 0.7em; color: inherit; background: none; border: none"


def render_table(
    title: str, rows: Iterable[Sequence[Cell]], *, header: Sequence[str] = (), note: str = ""
) -> str:
    """Render a table with its title above and a note below, as HTML that needs nothing else.

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
    if note:
        lines.append(f'<div style="color: inherit; opacity: 0.8">{_escape(note)}</div>')
    return "\n".join(lines)


def _align(cell: Cell) -> str:
    return "left" if isinstance(cell, str) else "right"


def _render_cell(cell: Cell, tag: str, align: str) -> str:
    return f'<{tag} style="{_CELL}; text-align: {align}">{_escape(_format(cell))}</{tag}>'


def _format(cell: Cell) -> str:
    if cell is None:
        return "–"
    if isinstance(cell, str):
        return cell
    return f"{cell:,}" if isinstance(cell, int) else f"{cell:.4f}" if cell <= 1 else f"{cell:,.1f}"


def _escape(text: str) -> str:
    return escape(make_printable(text))
