"""A table as files: CSV, Parquet, Markdown and LaTeX."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl

from momok.storage import write_file

_SHARES = ("mrr", "hits@", "difference", "low", "high", "valid_mrr")
_LATEX = {c: f"\\{c}" for c in "&%$#_{}"} | {
    "~": r"\textasciitilde{}",
    "^": r"\^{}",
    "\\": r"\textbackslash{}",
}


def save_table(stem: Path, table: pl.DataFrame) -> None:
    """Write ``stem.csv``, ``.parquet`` (shares, as computed), ``.md`` and ``.tex`` (percent)."""
    parquet = io.BytesIO()
    table.write_parquet(parquet)
    for suffix, content in (
        ("csv", table.write_csv().encode()),
        ("parquet", parquet.getvalue()),
        ("md", write_markdown(table).encode()),
        ("tex", write_latex(table).encode()),
    ):
        write_file(stem.with_name(f"{stem.name}.{suffix}"), content)


def write_markdown(table: pl.DataFrame) -> str:
    """A table of Markdown, shares in percent."""
    rows = [*list_cells_of(table)]
    lines = [f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |" for row in rows]
    return "\n".join([lines[0], "|---" * len(rows[0]) + "|", *lines[1:]]) + "\n"


def write_latex(table: pl.DataFrame) -> str:
    """A tabular of LaTeX for the package booktabs, shares in percent."""
    head, *rows = ([_escape(cell) for cell in row] for row in list_cells_of(table))

    def line(cells: Iterable[str]) -> str:
        return " & ".join(cells) + r" \\"

    return "\n".join(
        [
            rf"\begin{{tabular}}{{{'l' * len(head)}}}",
            r"\toprule", line(head), r"\midrule", *map(line, rows), r"\bottomrule",
            r"\end{tabular}", "",
        ]
    )  # fmt: skip


def show_number(name: str, value: Any) -> str:
    """A value of a column as people read it; a share in percent."""
    if value is None:
        return ""
    if name == "level":
        return f"{value:.0%}"
    if name.startswith(_SHARES):
        return f"{100 * value:.2f}"
    if name in ("p", "p_holm"):
        return f"{value:.3f}" if value >= 0.001 else "<0.001"
    return f"{value:.1f}" if isinstance(value, float) else str(value)


def list_cells_of(table: pl.DataFrame, names: Sequence[str] = ()) -> Iterator[Sequence[str]]:
    """Rows of cells with the header first; a metric and its deviation are one cell.

    Columns of scenarios are left out where there are none.
    """
    unused = ("scenario", "level") if not any(table.get_column("scenario", default=[])) else ()
    names = [
        name for name in names or table.columns if not name.endswith("_std") and name not in unused
    ]
    yield names
    for row in table.iter_rows(named=True):
        cells = []
        for name in names:
            cell, deviation = show_number(name, row[name]), row.get(f"{name}_std")
            if cell and deviation is not None:
                cell += f" ± {show_number(name, deviation)}"
            cells.append(cell)
        yield cells


def _escape(text: str) -> str:
    return "".join(_LATEX.get(c, c) for c in text).replace("±", r"$\pm$").replace("<", "$<$")
