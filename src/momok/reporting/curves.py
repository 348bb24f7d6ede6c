"""Losses and validation metrics over the epochs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from momok.evaluation import ANSWER, Metrics
from momok.reporting.style import (
    INK,
    MUTED,
    PAPER,
    choose_colours,
    plain_numbers,
    scale_logarithmically,
)

__all__ = ["choose_epoch", "draw_curves", "draw_loss", "draw_validation"]

_DASHES = (0, (4, 3))
_FEW = 3  # points; fewer are marked, a line of one point is invisible
_Record = Mapping[str, Any]


def draw_curves(
    epochs: Sequence[_Record], validations: Sequence[_Record], split: str, name: str
) -> Figure:
    """Draw the training loss, and MRR and Hits@10 at every validation, by head.

    Args:
        epochs: the records of kind ``epoch``.
        validations: the records of the split that the checkpoint was chosen on; may be empty.
        split: its name.
        name: of the graph, for titles.
    """
    panels = 3 if validations else 1
    figure = Figure(figsize=(4.3 * panels + 0.4, 3.9), layout="constrained")
    axes = figure.subplots(1, panels, squeeze=False)[0]
    _draw_losses(axes[0], epochs, name)
    handles = axes[0].get_legend_handles_labels()
    if validations:
        chosen = choose_epoch(validations)
        for axis, metric in zip(axes[1:], ("MRR", "Hits@10"), strict=True):
            _draw_metric(axis, metric, validations, chosen)
            words = {"valid": f"Validation {metric}", "test": f"TEST {metric} (published)"}
            axis.set_title(f"{words[split]}: {name}")
        axes[0].axvline(chosen, color=MUTED, linewidth=1, linestyle=_DASHES, zorder=1)
        handles = axes[1].get_legend_handles_labels()
    figure.legend(*handles, loc="outside lower center", ncols=len(handles[0]), fontsize=9.5)
    for axis in axes:
        axis.set_xlabel("epoch")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
        axis.grid(axis="x", visible=False)
    return figure


def draw_loss(epochs: Sequence[_Record], chosen: int | None) -> Figure:
    """Draw the training loss alone, with the chosen epoch marked; without a title."""
    figure, axis = _start_panel()
    _draw_losses(axis, epochs, "")
    if chosen is not None:
        axis.axvline(chosen, color=MUTED, linewidth=1, linestyle=_DASHES, zorder=1)
    return _finish_panel(figure, axis)


def draw_validation(validations: Sequence[_Record], metric: str) -> Figure:
    """Draw one metric, ``MRR`` or ``Hits@10``, of every head over the epochs; without a title."""
    figure, axis = _start_panel()
    _draw_metric(axis, metric, validations, choose_epoch(validations))
    return _finish_panel(figure, axis)


def _start_panel() -> tuple[Figure, Axes]:
    figure = Figure(figsize=(5.4, 3.6), layout="constrained")
    return figure, figure.subplots()


def _finish_panel(figure: Figure, axis: Axes) -> Figure:
    axis.set_title("", loc="left")
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=7))
    axis.grid(axis="x", visible=False)
    lines, names = axis.get_legend_handles_labels()
    figure.legend(lines, names, loc="outside lower center", ncols=min(len(names), 5), fontsize=9.5)
    return figure


def choose_epoch(validations: Sequence[_Record]) -> int:
    """The epoch whose checkpoint was kept: the first with the highest MRR of the answer."""
    best = max(validations, key=lambda r: (r["metrics"][ANSWER]["mrr"] or 0.0, -r["epoch"]))
    return int(best["epoch"])


def _draw_losses(axis: Axes, epochs: Sequence[_Record], name: str) -> None:
    heads = [key.removeprefix("loss/") for key in epochs[0] if key.startswith("loss/")]
    colours = choose_colours(heads)
    numbers = [record["epoch"] for record in epochs]
    marker = "o" if len(epochs) < _FEW else None
    total = [record["loss"] for record in epochs]
    (line,) = axis.plot(
        numbers, total, color=MUTED, linewidth=1.6, linestyle=(0, (1, 1)), marker=marker
    )
    axis.legend(  # falling losses leave this corner free
        [line],
        ["sum of the heads"],
        loc="upper right",
        fontsize=9,
        frameon=True,
        edgecolor="none",
        framealpha=0.85,
    )
    for head in heads:
        losses = [record[f"loss/{head}"] for record in epochs]
        axis.plot(numbers, losses, color=colours[head], linewidth=1.6, label=head, marker=marker)
    scale_logarithmically(axis, "y")
    axis.set_ylabel("cross-entropy per query and candidate")
    axis.set_title(f"Training loss: {name}")


def _draw_metric(axis: Axes, metric: str, validations: Sequence[_Record], chosen: int) -> None:
    """Draw one metric of every head over the epochs, with the chosen epoch marked."""
    numbers = [record["epoch"] for record in validations]
    heads = list(validations[0]["metrics"])
    colours = choose_colours(heads)
    marker = "o" if len(numbers) < _FEW else None
    for head in heads:
        values = [_read(record, head, metric) for record in validations]
        width = 2.2 if head == ANSWER else 1.6
        axis.plot(numbers, values, color=colours[head], linewidth=width, label=head, marker=marker)
    value = _read(validations[numbers.index(chosen)], ANSWER, metric)
    axis.axvline(chosen, color=MUTED, linewidth=1, linestyle=_DASHES, zorder=1)
    axis.plot([chosen], [value], "o", color=INK, markersize=6.5, zorder=5)
    right = chosen < (numbers[0] + numbers[-1]) / 2
    # The words are a quarter of the axis wide: low, unless the curve lies there and rises late.
    quarter = (numbers[-1] - numbers[0]) / 4
    beside = [
        _read(record, ANSWER, metric)
        for record in validations
        if 0 < (record["epoch"] - chosen if right else chosen - record["epoch"]) < quarter
    ]
    high = any(other < value / 4 for other in beside)
    axis.annotate(
        f"chosen:\nepoch {chosen}\n{metric} {value:.1f}%",
        (chosen, 1 if high else 0),
        xycoords=("data", "axes fraction"),
        xytext=(6 if right else -6, -8 if high else 8),
        textcoords="offset points",
        ha="left" if right else "right",
        va="top" if high else "bottom",
        fontsize=9,
        bbox={"facecolor": PAPER, "edgecolor": "none", "alpha": 0.85, "pad": 1.5},
        zorder=6,
    )
    axis.margins(y=0.1)
    axis.set_ylim(bottom=0)
    axis.yaxis.set_major_formatter(plain_numbers("%"))


def _read(record: _Record, head: str, metric: str) -> float:
    """A metric in percent."""
    metrics = Metrics.from_json(record["metrics"][head])
    value = metrics.mrr if metric == "MRR" else metrics.hits[10]
    return 100 * (value or 0.0)
