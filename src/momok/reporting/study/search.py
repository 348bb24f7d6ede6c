"""What a search found: its trials as a table, two figures, the best settings as a file, a page."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from matplotlib.figure import Figure

from momok.reporting import style
from momok.reporting.plots import save_plot
from momok.reporting.report import formatting as fmt
from momok.reporting.report.formatting import Cell
from momok.reporting.report.page import embed_figure, render_page
from momok.reporting.study.tables import save_table
from momok.storage import write_file
from momok.studies import Search

_BEST = 20  # trials on the page


def write_search(search: Search) -> Path:
    """Write ``best.toml`` and ``results/`` of a search and give its page, ``results/report.html``.

    Raises:
        RunError: no trial is complete.
    """
    folder = search.path / "results"
    best, importances = search.best, search.importances()
    trials = search.to_frame().sort("trial")
    write_file(search.path / "best.toml", write_settings(search).encode())
    save_table(folder / "trials", trials)
    charts = {}
    with style.plot_style():
        for name, title, figure in (
            ("history", "Validation MRR of every trial", _draw_history(trials)),
            ("importance", "How much each setting mattered", _draw_importances(importances)),
        ):
            if figure:
                charts[name] = embed_figure(figure, name)
                figure.set_layout_engine("constrained")  # the title takes room
                save_plot(figure, folder / name, title)
    subtitle: list[Cell] = [fmt.name(search.graph), fmt.write("{} trials", fmt.count(len(trials)))]
    name = "for settings" if search.plan.name == "search" else search.plan.name
    page = render_page(
        "search.html",
        f"Search {name}",
        subtitle,
        build_content(search, trials, best, importances) | {"charts": charts},
        source="the search's journal; <code>trials.csv</code> beside this page has every trial",
    )
    write_file(folder / "report.html", page)
    return folder / "report.html"


def write_settings(search: Search) -> str:
    """The best settings as a file for ``momok train --config``."""
    found = search.best_trial
    lines = [
        f"# Trial {found['trial']} of search {search.plan.name}: "
        f"valid MRR {100 * found['valid_mrr']:.2f}",
        *(
            f"{name} = {json.dumps(value, ensure_ascii=False)}"
            for name, value in search.best.items()
        ),
    ]
    return "\n".join(lines) + "\n"


def build_content(
    search: Search, trials: pl.DataFrame, best: Mapping[str, Any], importances: Mapping[str, float]
) -> dict[str, Any]:
    """Everything that ``templates/search.html`` names, but for the charts."""
    space = search.space
    states = trials["state"].to_list()
    order = trials.sort("valid_mrr", descending=True, nulls_last=True)
    return {
        "about": search.plan.about,
        "counts": ", ".join(
            f"{states.count(state)} {words}"
            for state, words in (("complete", "complete"), ("pruned", "given up early"),
                                 ("fail", "failed"), ("running", "under way"))
            if state in states
        ),
        "settings": [
            [fmt.code(name), fmt.code(_show(best[name])), fmt.code(_describe(choice)),
             fmt.percent(importances.get(name), 0, unit="%", bar=True)]
            for name, choice in space.items()
        ],
        "space": [fmt.code(name.rpartition(".")[2]) for name in space],
        "trials": [
            [fmt.number(row["trial"], str), _STATES[row["state"]], fmt.number(row["epoch"], str),
             fmt.percent(row["valid_mrr"]), *(fmt.number(row[name], _show) for name in space)]
            for row in order.head(_BEST).iter_rows(named=True)
        ],
    }  # fmt: skip


_STATES = {
    "complete": "complete", "pruned": "given up", "fail": "failed", "running": "under way",
    "waiting": "waiting",
}  # fmt: skip


def _show(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def _describe(choice: Any) -> str:
    if choice.values:
        return ", ".join(map(str, choice.values))
    return f"{choice.low:g} to {choice.high:g}{', log' if choice.log else ''}"


def _draw_history(trials: pl.DataFrame) -> Figure:
    """A dot per trial, and the best so far as a line."""
    figure, axes = style.make_figure(6.4, 3.6)
    colours = list(style.choose_colours(["complete", "given up"]).values())
    for state, name, colour, mark in (
        ("complete", "complete", colours[0], "o"),
        ("pruned", "given up", colours[1], "x"),
    ):
        part = trials.filter(pl.col("state") == state)
        axes.plot(part["trial"], 100 * part["valid_mrr"].to_numpy(), mark, color=colour,
                  markersize=5, label=name)  # fmt: skip
    complete = trials.filter(pl.col("state") == "complete")
    best = 100 * np.maximum.accumulate(complete["valid_mrr"].to_numpy())
    axes.step(complete["trial"], best, where="post", color=colours[0], linewidth=1.4,
              label="best so far")  # fmt: skip
    axes.set_xlabel("trial")
    axes.set_ylabel("valid MRR")
    style.format_ticks(axes, "y")
    style.add_legend(figure)
    return figure


def _draw_importances(importances: Mapping[str, float]) -> Figure | None:
    """A bar per setting, the most important first."""
    if not importances:
        return None
    names = sorted(importances, key=lambda name: -importances[name])
    figure, axes = style.make_figure(6.4, 0.8 + 0.4 * len(names))
    places = np.arange(len(names))
    axes.barh(places, [100 * importances[name] for name in names], height=0.6)
    style.label_rows(axes, names)
    axes.set_xlabel("share")
    style.format_ticks(axes, "x")
    return figure
