"""The figures that only a report has: ranks, calibration, runs against each other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.figure import Figure

from momok.evaluation import Metrics, QueryRanks
from momok.prediction.calibration.record import ReliabilityBin
from momok.reporting.report.comparing import Interval
from momok.reporting.style import (
    BAR,
    GRID,
    HEAD_COLOURS,
    INK,
    MUTED,
    PAPER,
    add_legend,
    choose_colours,
    fit_text,
    format_ticks,
    label_epochs,
    label_rows,
    make_figure,
    plot_lines,
    scale_logarithmically,
)

_LONGEST_NAME = 34  # of a run


def draw_ranks(ranks: QueryRanks, num_entities: int) -> Figure:
    """Draw the share of queries whose answer is among the first k, over k, for every head."""
    figure, axes = make_figure()
    points = np.unique(np.geomspace(1, max(num_entities, 2), 160).round())
    lines = {}
    for head, of_head in ranks.ranks.items():
        found = np.searchsorted(np.sort(of_head.realistic), points, side="right")
        lines[head] = 100 * found / len(of_head.realistic)
    plot_lines(axes, points, lines)
    for k in (1, 3, 10, 100):
        axes.axvline(k, color=GRID, linewidth=0.8, zorder=0)
    axes.set_xlim(1, max(num_entities, 2))
    axes.set_ylim(0, 100)
    scale_logarithmically(axes, "x")
    format_ticks(axes, "y")
    axes.grid(axis="x", visible=False)
    axes.set_xlabel(f"k, of {num_entities:,} entities")
    axes.set_ylabel("answer among the first k")
    add_legend(figure)
    return figure


def draw_sizes(relations: Sequence[tuple[int, Metrics]]) -> Figure:
    """Draw the MRR of relations over their train facts: (train facts, metrics of the answer)."""
    figure, axes = make_figure()
    most = max(metrics.count for _, metrics in relations)
    axes.scatter(
        [max(facts, 0.5) for facts, _ in relations],  # none: left of one, on a logarithmic axis
        [100 * (metrics.mrr or 0.0) for _, metrics in relations],
        [12 + 180 * metrics.count / most for _, metrics in relations],
        color=HEAD_COLOURS["structure"],
        edgecolor=PAPER,
        linewidth=0.8,
        alpha=0.75,
    )
    scale_logarithmically(axes, "x")
    format_ticks(axes, "y")
    axes.set_ylim(bottom=0)
    axes.set_xlabel("train facts of the relation")
    axes.set_ylabel("MRR of the answer")
    return figure


def draw_epoch_times(seconds: Sequence[float]) -> Figure:
    """Draw how long every epoch took, in the order of the log."""
    figure, axes = make_figure(height=2.6)
    axes.plot(range(1, len(seconds) + 1), seconds, color=MUTED, linewidth=1.4)
    label_epochs(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("seconds")
    return figure


def draw_reliability(raw: Sequence[ReliabilityBin], calibrated: Sequence[ReliabilityBin]) -> Figure:
    """Draw the share of candidates that is true over their probability, both in percent."""
    figure, axes = make_figure(5.0, 4.4)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for bins, label, head in ((raw, "raw", "image"), (calibrated, "calibrated", "structure")):
        filled = [each for each in bins if each.count > 0]
        most = max((each.count for each in filled), default=1)
        predicted = [100 * each.predicted for each in filled]
        observed = [100 * each.observed for each in filled]
        sizes = [14 + 70 * np.log1p(each.count) / np.log1p(most) for each in filled]
        colour = HEAD_COLOURS[head]
        axes.plot(predicted, observed, color=colour, linewidth=1.4)
        axes.scatter(predicted, observed, sizes, color=colour, label=label, zorder=3, clip_on=False)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.set_xlabel("probability that the model gives")
    axes.set_ylabel("candidates that are true")
    format_ticks(axes, "xy")
    add_legend(figure)
    return figure


def draw_runs(groups: Sequence[tuple[str, Sequence[float]]], metric: str) -> Figure:
    """Draw a metric of every run as a dot, and the mean of each group with its deviation.

    Args:
        groups: (name, values of its runs as shares), from above.
        metric: its name.
    """
    figure, axes = make_figure(height=0.42 * len(groups) + 1.1)
    for place, (_, values) in enumerate(groups):
        points = 100 * np.asarray(values)
        if len(points) > 1:
            mean, deviation = points.mean(), points.std(ddof=1)
            axes.barh(place, 2 * deviation, 0.5, left=mean - deviation, color=BAR)
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=2)
        axes.plot(
            points, np.full(len(points), place), "o", color=HEAD_COLOURS["structure"],
            markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6,
        )  # fmt: skip
    label_rows(axes, [fit_text(name, _LONGEST_NAME) for name, _ in groups])
    axes.use_sticky_edges = False
    axes.margins(x=0.08)
    axes.set_xlabel(f"test {metric} of the runs, mean and standard deviation")
    format_ticks(axes, "x")
    return figure


def draw_differences(rows: Sequence[tuple[str, Mapping[str, Interval]]], reference: str) -> Figure:
    """Draw differences to a reference with their intervals, in percentage points.

    Args:
        rows: (name, {metric: (difference, low, high)}) as shares, from above.
        reference: the name of what they are compared with.
    """
    figure, axes = make_figure(height=0.6 * len(rows) + 1.5)
    metrics = list(rows[0][1])
    colours = (INK, HEAD_COLOURS["structure"], HEAD_COLOURS["text"])
    for step, (metric, colour) in enumerate(zip(metrics, colours, strict=True)):
        values, lows, highs = np.array([intervals[metric] for _, intervals in rows]).T * 100
        places = np.arange(len(rows)) + (step - (len(metrics) - 1) / 2) * 0.24
        axes.hlines(places, lows, highs, color=colour, linewidth=1.6)
        axes.plot(values, places, "o", color=colour, markersize=5.5, label=metric)
    axes.axvline(0, color=MUTED, linewidth=1.2, zorder=1)
    label_rows(axes, [fit_text(name, _LONGEST_NAME) for name, _ in rows])
    against = fit_text(reference, _LONGEST_NAME)
    axes.set_xlabel(f"percentage points above {against}; 95% intervals")
    add_legend(figure)
    return figure


def draw_run_curves(
    runs: Mapping[str, Mapping[int, float]], label: str, *, loss: bool = False
) -> Figure:
    """Draw one line per run over the epochs.

    Args:
        runs: by name, the value of every epoch; a run without any is left out.
        label: of the vertical axis.
        loss: whether that axis is logarithmic; else it is in percent and begins at zero.
    """
    figure, axes = make_figure()
    for number, (name, colour) in enumerate(choose_colours(runs).items()):
        if values := runs[name]:
            axes.plot(
                list(values), list(values.values()), ("-", "--", ":", "-.")[number // 6 % 4],
                color=colour, linewidth=1.7, marker="o" if len(values) < 3 else None,
                label=fit_text(name, _LONGEST_NAME),
            )  # fmt: skip
    label_epochs(axes)
    axes.set_ylabel(label)
    if loss:
        scale_logarithmically(axes, "y")
    else:
        axes.set_ylim(bottom=0)
        format_ticks(axes, "y")
    add_legend(figure)
    return figure
