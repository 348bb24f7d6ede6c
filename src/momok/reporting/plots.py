"""Plots of losses, metrics and ranks by decision head; and how a figure is saved."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from momok.evaluation import ANSWER, Evaluation, Metrics, QueryRanks
from momok.prediction.calibration_record import ReliabilityBin
from momok.reporting import style
from momok.reporting.style import INK, MUTED
from momok.storage import write_file

_NO_DATES: dict[str, dict[str, Any]] = {"png": {"Software": None}, "svg": {"Date": None}}
_METRICS = ("MRR", "Hits@1", "Hits@3", "Hits@10")
_GROUP = 0.84  # of the room of a metric that its bars take
_MOST_NUMBERED = 9  # bars in a group; over more the numbers would overlap

Record = Mapping[str, Any]


def save_plot(figure: Figure, stem: Path, title: str) -> list[Path]:
    """Give a figure a title and save it as ``stem.png`` and ``stem.svg``."""
    figure.suptitle(title, x=0.01, ha="left", fontsize=10, fontweight="bold")
    paths = []
    for suffix, metadata in _NO_DATES.items():
        buffer = io.BytesIO()
        figure.savefig(buffer, format=suffix, metadata=metadata)
        path = stem.with_name(f"{stem.name}.{suffix}")
        write_file(path, buffer.getvalue())
        paths.append(path)
        figure.set_layout_engine("none")  # everything is in its place by now
    return paths


def draw_curves(
    epochs: Sequence[Record], validations: Sequence[Record], *, published: bool = False
) -> Figure:
    """Draw the training loss, and MRR and Hits@10 at every validation, by head.

    Args:
        validations: the records of the split that the checkpoint was chosen on; may be empty.
        published: whether that split is test.
    """
    metrics = ("MRR", "Hits@10") if validations else ()
    chosen = choose_epoch(validations) if validations else None
    figure = Figure(figsize=(3.9 * (1 + len(metrics)), 3.5), layout="constrained")
    axes = figure.subplots(1, 1 + len(metrics), squeeze=False)[0]
    numbers = [record["epoch"] for record in epochs]
    losses = [key for key in epochs[0] if key.startswith("loss/")]
    axes[0].plot(
        numbers, [record["loss"] for record in epochs], color=MUTED, linewidth=1.6,
        linestyle=(0, (1, 1)), label="sum of the heads",
    )  # fmt: skip
    style.plot_lines(
        axes[0],
        numbers,
        {key.removeprefix("loss/"): [record[key] for record in epochs] for key in losses},
    )
    style.scale_logarithmically(axes[0], "y")
    axes[0].set_title("Training loss")
    axes[0].set_ylabel("loss per query and candidate")
    for panel, metric in zip(axes[1:], metrics, strict=True):
        numbers = [record["epoch"] for record in validations]
        lines = {
            head: [read_percent(Metrics.from_json(r["metrics"][head]), metric) for r in validations]
            for head in validations[0]["metrics"]
        }
        style.plot_lines(panel, numbers, lines)
        best = lines[ANSWER][numbers.index(chosen)]
        panel.plot([chosen], [best], "o", color=INK, markersize=6.5, zorder=5)
        split = "TEST (published)" if published else "Validation"
        panel.set_title(f"{split} {metric}: {best:.1f}% at epoch {chosen}")
        panel.margins(y=0.1)
        panel.set_ylim(bottom=0)
        style.format_ticks(panel, "y")
    for panel in axes:
        style.label_epochs(panel)
        if chosen is not None:
            panel.axvline(chosen, color=MUTED, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    style.add_legend(figure)
    return figure


def choose_epoch(validations: Sequence[Record]) -> int:
    """The epoch whose checkpoint was kept: the first with the highest MRR of the answer."""
    best = max(validations, key=lambda r: (r["metrics"][ANSWER]["mrr"] or 0.0, -r["epoch"]))
    return int(best["epoch"])


def read_percent(metrics: Metrics, name: str) -> float:
    """A metric by its name, ``MRR`` or ``Hits@k``, in percent."""
    value = metrics.mrr if name == "MRR" else metrics.hits[int(name.removeprefix("Hits@"))]
    return 100 * (value or 0.0)


def draw_heads(evaluation: Evaluation) -> Figure:
    """Draw MRR and Hits@1/3/10 as groups of bars, one bar per head, the answer last."""
    heads = evaluation.heads
    figure, axes = style.make_figure(max(5.8, 0.9 * len(heads)))
    width = _GROUP / len(heads)
    for position, (head, colour) in enumerate(style.choose_colours(heads).items()):
        values = [read_percent(evaluation.overall[head], metric) for metric in _METRICS]
        places = [group + (position + 0.5) * width - _GROUP / 2 for group in range(len(_METRICS))]
        bars = axes.bar(places, values, 0.92 * width, color=colour, label=head)
        if len(heads) <= _MOST_NUMBERED:
            axes.bar_label(bars, fmt="%.1f", fontsize=7.5, padding=3, color=INK, rotation=90)
    axes.set_xticks(range(len(_METRICS)), list(_METRICS))
    axes.tick_params(axis="x", length=0, labelsize=10, labelcolor=INK)
    axes.grid(axis="x", visible=False)
    axes.margins(x=0.02, y=0.15)
    style.format_ticks(axes, "y")
    style.add_legend(figure)
    return figure


def draw_run_curves(
    runs: Mapping[str, Mapping[int, float]], label: str, *, loss: bool = False
) -> Figure:
    """Draw one line per run over the epochs.

    Args:
        runs: by name, the value of every epoch; a run without any is left out.
        loss: whether that axis is logarithmic; else it is in percent and begins at zero.
    """
    figure, axes = style.make_figure()
    for number, (name, colour) in enumerate(style.choose_colours(runs).items()):
        if values := runs[name]:
            axes.plot(
                list(values), list(values.values()), ("-", "--", ":", "-.")[number // 6 % 4],
                color=colour, linewidth=1.7, marker="o" if len(values) < 3 else None,
                label=style.fit_text(name, style.LONGEST_RUN_NAME),
            )  # fmt: skip
    style.label_epochs(axes)
    axes.set_ylabel(label)
    if loss:
        style.scale_logarithmically(axes, "y")
    else:
        axes.set_ylim(bottom=0)
        style.format_ticks(axes, "y")
    style.add_legend(figure)
    return figure


def draw_ranks(ranks: QueryRanks, num_entities: int) -> Figure:
    """Draw the share of queries whose answer is among the first k, over k, for every head."""
    figure, axes = style.make_figure()
    points = np.unique(np.geomspace(1, max(num_entities, 2), 160).round())
    lines = {}
    for head, of_head in ranks.ranks.items():
        found = np.searchsorted(np.sort(of_head.realistic), points, side="right")
        lines[head] = 100 * found / len(of_head.realistic)
    style.plot_lines(axes, points, lines)
    for k in (1, 3, 10, 100):
        axes.axvline(k, color=style.GRID, linewidth=0.8, zorder=0)
    axes.set_xlim(1, max(num_entities, 2))
    axes.set_ylim(0, 100)
    style.scale_logarithmically(axes, "x")
    style.format_ticks(axes, "y")
    axes.grid(axis="x", visible=False)
    axes.set_xlabel(f"k, of {num_entities:,} entities")
    axes.set_ylabel("answer among the first k")
    style.add_legend(figure)
    return figure


def draw_epoch_times(seconds: Sequence[float]) -> Figure:
    """Draw how long every epoch took, in the order of the log."""
    figure, axes = style.make_figure(height=2.6)
    axes.plot(range(1, len(seconds) + 1), seconds, color=MUTED, linewidth=1.4)
    style.label_epochs(axes)
    axes.set_ylim(bottom=0)
    axes.set_ylabel("seconds")
    return figure


def draw_reliability(raw: Sequence[ReliabilityBin], calibrated: Sequence[ReliabilityBin]) -> Figure:
    """Draw the share of candidates that is true over their probability, both in percent."""
    figure, axes = style.make_figure(5.0, 4.4)
    axes.plot([0, 100], [0, 100], color=MUTED, linewidth=1, linestyle=(0, (4, 3)))
    for bins, label, head in ((raw, "raw", "image"), (calibrated, "calibrated", "structure")):
        filled = [each for each in bins if each.count > 0]
        most = max((each.count for each in filled), default=1)
        predicted = [100 * each.predicted for each in filled]
        observed = [100 * each.observed for each in filled]
        sizes = [14 + 70 * np.log1p(each.count) / np.log1p(most) for each in filled]
        colour = style.HEAD_COLOURS[head]
        axes.plot(predicted, observed, color=colour, linewidth=1.4)
        axes.scatter(predicted, observed, sizes, color=colour, label=label, zorder=3, clip_on=False)
    axes.set_xlim(0, 100)
    axes.set_ylim(0, 100)
    axes.set_aspect("equal")
    axes.set_xlabel("probability that the model gives")
    axes.set_ylabel("candidates that are true")
    style.format_ticks(axes, "xy")
    style.add_legend(figure)
    return figure
