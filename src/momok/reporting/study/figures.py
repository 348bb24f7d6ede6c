"""The figures of a study: curves over the level of damage, or differences to the baseline."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import polars as pl
from matplotlib.figure import Figure

from momok.reporting import style
from momok.reporting.row_plots import draw_differences, draw_runs
from momok.studies import Study

_TITLES = {
    "noise": "Noise in the features",
    "noise-swap": "Features of another entity",
    "missing": "Features taken away at random",
    "missing-degree": "Features taken away, entities with the fewest facts first",
    "sparse": "Train facts taken away",
}


def draw_study(
    study: Study, tables: Mapping[str, pl.DataFrame]
) -> Iterator[tuple[str, str, Figure]]:
    """Give (name, title, figure) of every figure that there is something for."""
    summary, runs = tables["summary"], tables["runs"]
    metric = find_metric(runs)
    part = "Test" if metric == "mrr" else "Validation"
    for scenario in study.plan.scenarios:
        points = summary.filter(pl.col("scenario").is_in(["", scenario.name]))
        if len(points):
            title = describe_scenario(scenario.name, scenario.modality)
            yield scenario.name, f"{part} MRR: {title}", _draw_curves(points, metric)
    if not study.plan.scenarios:
        groups = [
            (name[0], values[metric].to_list())
            for name, values in runs.group_by(["variant"], maintain_order=True)
        ]
        if groups:
            yield (
                "runs",
                f"{part} MRR of every run",
                draw_runs([(str(n), v) for n, v in groups], "MRR"),
            )
    differences = tables["differences"].filter(pl.col("scenario") == "")
    for (against,), rows in differences.group_by(["against"], maintain_order=True):
        names = {"mrr": "MRR", "hits@1": "Hits@1", "hits@10": "Hits@10"}
        intervals: dict[str, dict[str, tuple[float, float, float]]] = {}
        for row in rows.unique(["variant", "metric"], maintain_order=True).iter_rows(named=True):
            found = (row["difference"], row["low"], row["high"])
            intervals.setdefault(row["variant"], {})[names[row["metric"]]] = found
        figure = draw_differences(list(intervals.items()), str(against))
        yield f"differences-{name_file(str(against))}", f"Differences to {against}", figure


def describe_scenario(name: str, modality: str) -> str:
    """A scenario in words."""
    kind = name if modality == "all" else name.removesuffix(f"-{modality}")
    return _TITLES[kind] + ("" if modality == "all" else f" ({modality})")


def name_file(name: str) -> str:
    """A name as part of a file's."""
    return "".join(c if c.isalnum() else "-" for c in name)


def find_metric(runs: pl.DataFrame) -> str:
    """What is shown: the test MRR, or before test was looked at the validation MRR."""
    return "mrr" if runs["mrr"].is_not_null().any() else "valid_mrr"


def _draw_curves(points: pl.DataFrame, metric: str) -> Figure:
    """A line per variant over the levels, with the deviation over seeds as a band."""
    figure, axes = style.make_figure(6.4, 4.0)
    variants = [str(name) for name in points["variant"].unique(maintain_order=True)]
    for number, (name, colour) in enumerate(style.choose_colours(variants).items()):
        line = points.filter(pl.col("variant") == name).sort("level")
        levels, mean = 100 * line["level"].to_numpy(), 100 * line[metric].to_numpy()
        deviation = 100 * line[f"{metric}_std"].fill_null(0.0).to_numpy()
        axes.plot(
            levels, mean, ("-", "--", ":", "-.")[number // 6 % 4], color=colour, linewidth=1.8,
            marker="o", markersize=4, label=style.fit_text(name, style.LONGEST_RUN_NAME),
        )  # fmt: skip
        axes.fill_between(
            levels, mean - deviation, mean + deviation, color=colour, alpha=0.15, lw=0
        )
    axes.set_xlabel("damaged")
    axes.set_ylabel("MRR")
    axes.set_ylim(bottom=0)
    style.format_ticks(axes, "xy")
    style.add_legend(figure)
    return figure
