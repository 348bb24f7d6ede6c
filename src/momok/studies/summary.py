"""What the runs of a study come to: means over seeds, as a frame and for notebooks."""

from __future__ import annotations

from collections.abc import Mapping

import polars as pl

from momok.html import Cell, render_table

METRICS = ("valid_mrr", "mrr", "hits@1", "hits@3", "hits@10", "mean_rank")
FEW_SEEDS = 3  # with fewer, differences cannot be told from the luck of the seed

_COLUMNS = {
    **{"variant": "variant", "scenario": "damage", "level": "level", "seeds": "seeds"},
    **{"valid_mrr": "MRR on validation", "mrr": "MRR", "mrr_std": "±", "hits@1": "Hits@1"},
    **{"hits@3": "Hits@3", "hits@10": "Hits@10", "minutes": "minutes"},
}


def summarise(frame: pl.DataFrame) -> pl.DataFrame:
    """Mean and standard deviation (n - 1; null for one seed) over seeds of every metric."""
    return frame.group_by(("variant", "scenario", "level"), maintain_order=True).agg(
        pl.len().alias("seeds"),
        pl.col("minutes").mean(),
        *(pl.col(metric).mean().alias(metric) for metric in METRICS),
        *(pl.col(metric).std().alias(f"{metric}_std") for metric in METRICS),
    )


def render_summary(title: str, frame: pl.DataFrame, failures: Mapping[str, str]) -> str:
    """Show the means of a study's runs as HTML, without columns that say nothing."""
    table = summarise(frame)
    columns = [name for name in _COLUMNS if name == "variant" or _says_something(table[name])]
    rows: list[list[Cell]] = [
        ["as it is" if value == "" else value for value in row]
        for row in table.select(columns).iter_rows()
    ]
    few = len(table) and table["seeds"].min() < FEW_SEEDS  # type: ignore[operator]
    notes = ["means over seeds; ±: standard deviation over seeds"] if "mrr_std" in columns else []
    if few:
        notes.append(f"fewer than {FEW_SEEDS} seeds: differences may be the luck of the seed")
    if "mrr" not in columns:
        notes.append("test is looked at when all runs are trained")
    return render_table(
        title,
        rows,
        header=[_COLUMNS[name] for name in columns],
        notes=notes if len(table) else ["no run is finished"],
        warnings=[f"{name} failed: {why}" for name, why in failures.items()],
    )


def _says_something(column: pl.Series) -> bool:
    return bool((column.is_not_null() & (column.cast(pl.String) != "")).any()) and not (
        column.name == "level" and (column == 0).all()
    )
