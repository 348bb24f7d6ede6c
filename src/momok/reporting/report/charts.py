"""The figures that only a report has: ranks, groups of queries, runs against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from momok.evaluation import ANSWER, Metrics, QueryRanks
from momok.prediction.calibration.record import ReliabilityBin
from momok.reporting.style import (
    BAR,
    GRID,
    HEAD_COLOURS,
    INK,
    MUTED,
    PAPER,
    choose_colours,
    plain_numbers,
    scale_logarithmically,
)

__all__ = [
    "Interval",
    "draw_differences",
    "draw_epoch_times",
    "draw_groups",
    "draw_ranks",
    "draw_reliability",
    "draw_runs",
    "draw_scores",
    "draw_sizes",
]

_HEIGHT_OF_ROW = 0.3
_DIFFERENCES = ("MRR", "Hits@1", "Hits@10")

Interval = tuple[float, float, float]  # value, low, high


def draw_ranks(ranks: QueryRanks, num_entities: int) -> Figure:
    """Draw the share of queries whose answer is among the first k, over k, for every head."""
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axis = figure.subplots()
    points = np.unique(np.geomspace(1, max(num_entities, 2), 160).round()).astype(int)
    heads = list(ranks.ranks)
    for head, colour in choose_colours(heads).items():
        of_head = np.sort(ranks.ranks[head].realistic)
        shares = 100 * np.searchsorted(of_head, points, side="right") / len(of_head)
        width = 2.2 if head == ANSWER else 1.6
        axis.plot(points, shares, color=colour, linewidth=width, label=head)
    for k in (1, 3, 10, 100):
        axis.axvline(k, color=GRID, linewidth=0.8, zorder=0)
    axis.set_xlim(1, max(num_entities, 2))
    axis.set_ylim(0, 100)
    scale_logarithmically(axis, "x")
    axis.yaxis.set_major_formatter(plain_numbers("%"))
    axis.grid(axis="x", visible=False)
    axis.set_xlabel(f"k, of {num_entities:,} entities")
    axis.set_ylabel("queries with the answer among the first k")
    figure.legend(loc="outside lower center", ncols=min(len(heads), 5), fontsize=9.5)
    return figure


def draw_groups(
    groups: Sequence[tuple[str, Sequence[tuple[str, Mapping[str, Metrics]]]]],
) -> Figure:
    """Draw the MRR of groups of queries: a bar for the answer, a dot for each head.

    Args:
        groups: (title, [(name, metrics by head)]), from above.
    """
    figure = Figure(layout="constrained")
    axis = figure.subplots()
    places: list[float] = []
    ticks: list[str] = []
    rows: list[Mapping[str, Metrics]] = []
    place = 0.0
    for title, members in groups:
        axis.annotate(
            title,
            (0, place),
            xycoords=("axes fraction", "data"),
            fontsize=9,
            fontweight="bold",
            color=INK,
            va="center",
        )
        place -= 0.9
        for name, heads in members:
            places.append(place)
            ticks.append(f"{name}  ({heads[ANSWER].count:,})")
            rows.append(heads)
            place -= 1
        place -= 0.35
    figure.set_size_inches(5.3, _HEIGHT_OF_ROW * -place + 1.2)
    answers = [100 * (heads[ANSWER].mrr or 0.0) for heads in rows]
    axis.barh(places, answers, 0.68, color=BAR, label=ANSWER)
    others = [head for head in rows[0] if head != ANSWER]
    for head, colour in choose_colours(others).items():
        axis.plot(
            [100 * (row[head].mrr or 0.0) for row in rows],
            places,
            linestyle="none",
            marker="o",
            markersize=5,
            markeredgecolor=PAPER,
            markeredgewidth=0.5,
            color=colour,
            label=head,
            clip_on=False,
        )
    axis.set_yticks(places, ticks)
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.grid(axis="y", visible=False)
    axis.set_ylim(place + 0.6, 0.6)
    axis.set_xlim(left=0)
    axis.xaxis.set_major_formatter(plain_numbers("%"))
    axis.set_xlabel("MRR of the answer (bar) and of each head (dots); (n): queries")
    axis.spines["left"].set_color(GRID)
    figure.legend(loc="outside lower center", ncols=min(len(others) + 1, 5), fontsize=9.5)
    return figure


def draw_runs(groups: Sequence[tuple[str, Sequence[float]]], metric: str) -> Figure:
    """Draw a metric of every run as a dot, and the mean of each group with its deviation.

    Args:
        groups: (name, values of its runs as shares), from above.
        metric: its name.
    """
    figure = Figure(figsize=(5.4, 0.42 * len(groups) + 1.1), layout="constrained")
    axis = figure.subplots()
    for place, (_, values) in enumerate(groups):
        points = 100 * np.asarray(values)
        if len(points) > 1:
            mean, deviation = points.mean(), points.std(ddof=1)
            axis.barh(place, 2 * deviation, 0.5, left=mean - deviation, color=BAR)
            axis.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=2)
        axis.plot(
            points,
            np.full(len(points), place),
            linestyle="none",
            marker="o",
            markersize=6,
            color=choose_colours(["structure"])["structure"],
            markeredgecolor=PAPER,
            markeredgewidth=0.6,
        )
    _finish_rows(figure, [name for name, _ in groups])
    axis.set_xlabel(f"test {metric}: runs (dots), mean (line), standard deviation (band)")
    axis.xaxis.set_major_formatter(plain_numbers("%"))
    return figure


def draw_differences(rows: Sequence[tuple[str, Mapping[str, Interval]]], reference: str) -> Figure:
    """Draw differences to a reference with their intervals, in percentage points.

    Args:
        rows: (name, {metric: (difference, low, high)}) as shares, from above.
        reference: the name of what they are compared with.
    """
    figure = Figure(figsize=(5.4, 0.6 * len(rows) + 1.5), layout="constrained")
    axis = figure.subplots()
    colours = dict(zip(_DIFFERENCES, (INK, "#0072b2", "#009e73"), strict=True))
    for place, (_, metrics) in enumerate(rows):
        for step, (metric, interval) in enumerate(metrics.items()):
            value, low, high = (100 * part for part in interval)
            height = place + (step - (len(metrics) - 1) / 2) * 0.24
            axis.plot([low, high], [height, height], color=colours[metric], linewidth=1.6)
            axis.plot(
                [value],
                [height],
                "o",
                color=colours[metric],
                markersize=5.5,
                label=metric if place == 0 else None,
            )
    axis.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
    _finish_rows(figure, [name for name, _ in rows])
    axis.set_xlabel(f"percentage points above {reference}; 95% intervals")
    figure.legend(loc="outside lower center", ncols=3, fontsize=9.5)
    return figure


def draw_scores(
    runs: Sequence[tuple[str, Sequence[int], Sequence[float]]], label: str, *, log: bool = False
) -> Figure:
    """Draw one line per run over the epochs.

    Args:
        runs: (name, epochs, values); a run without values is left out.
        label: of the vertical axis.
        log: whether that axis is logarithmic; else it is in percent and begins at zero.
    """
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axis = figure.subplots()
    colours = ("#0072b2", "#e69f00", "#009e73", "#b5549a", "#56b4e9", "#d55e00", "#8c6d46", INK)
    for number, (name, epochs, values) in enumerate(runs):
        if len(values):
            dashes = ("-", "--", ":", "-.")[number // len(colours) % 4]
            axis.plot(
                epochs,
                values,
                dashes,
                color=colours[number % len(colours)],
                linewidth=1.7,
                marker="o" if len(values) < 3 else None,
                label=name,
            )
    axis.set_xlabel("epoch")
    axis.set_ylabel(label)
    axis.grid(axis="x", visible=False)
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    if log:
        scale_logarithmically(axis, "y")
    else:
        axis.set_ylim(bottom=0)
        axis.yaxis.set_major_formatter(plain_numbers("%"))
    figure.legend(loc="outside lower center", ncols=3, fontsize=9)
    return figure


def _finish_rows(figure: Figure, names: Sequence[str]) -> None:
    """Names on the left, the first row on top."""
    [axis] = figure.axes
    axis.set_yticks(range(len(names)), list(names))
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.grid(axis="y", visible=False)
    axis.set_ylim(len(names) - 0.4, -0.6)
    axis.use_sticky_edges = False
    axis.margins(x=0.08)
    axis.spines["left"].set_color(GRID)


def draw_reliability(raw: Sequence[ReliabilityBin], calibrated: Sequence[ReliabilityBin]) -> Figure:
    """Draw the share of candidates that is true over their probability, both in percent."""
    figure = Figure(figsize=(5.0, 4.4), layout="constrained")
    axis = figure.subplots()
    axis.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for bins, label, colour in (
        (raw, "raw", HEAD_COLOURS["image"]),
        (calibrated, "calibrated", HEAD_COLOURS["structure"]),
    ):
        filled = [each for each in bins if each.count > 0]
        most = max((each.count for each in filled), default=1)
        predicted = [100 * each.predicted for each in filled]
        observed = [100 * each.observed for each in filled]
        sizes = [14 + 70 * np.log1p(each.count) / np.log1p(most) for each in filled]
        axis.plot(predicted, observed, color=colour, linewidth=1.4)
        axis.scatter(predicted, observed, sizes, color=colour, label=label, zorder=3, clip_on=False)
    axis.set_xlim(0, 100)
    axis.set_ylim(0, 100)
    axis.set_aspect("equal")
    axis.set_xlabel("probability that the model gives")
    axis.set_ylabel("candidates that are true")
    axis.xaxis.set_major_formatter(plain_numbers("%"))
    axis.yaxis.set_major_formatter(plain_numbers("%"))
    figure.legend(loc="outside lower center", ncols=2, fontsize=9.5)
    return figure


def draw_sizes(relations: Sequence[tuple[int, Metrics]]) -> Figure:
    """Draw the MRR of relations over their train facts.

    Args:
        relations: (train facts, metrics of the answer).
    """
    figure = Figure(figsize=(5.4, 3.8), layout="constrained")
    axis = figure.subplots()
    most = max(metrics.count for _, metrics in relations)
    axis.scatter(
        [max(facts, 0.5) for facts, _ in relations],  # none: left of one, on a logarithmic axis
        [100 * (metrics.mrr or 0.0) for _, metrics in relations],
        [12 + 180 * metrics.count / most for _, metrics in relations],
        color=HEAD_COLOURS["structure"],
        edgecolor=PAPER,
        linewidth=0.8,
        alpha=0.75,
    )
    scale_logarithmically(axis, "x")
    axis.yaxis.set_major_formatter(plain_numbers("%"))
    axis.set_ylim(bottom=0)
    axis.set_xlabel("train facts of the relation")
    axis.set_ylabel("MRR of the answer")
    return figure


def draw_epoch_times(seconds: Sequence[float]) -> Figure:
    """Draw how long every epoch took, in the order of the log."""
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    axis = figure.subplots()
    axis.plot(range(1, len(seconds) + 1), seconds, color=MUTED, linewidth=1.4)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("epoch")
    axis.set_ylabel("seconds")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axis.yaxis.set_major_formatter(plain_numbers())
    axis.grid(axis="x", visible=False)
    return figure
