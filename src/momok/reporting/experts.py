"""What a model has learned of the relations: heat maps of experts, modality weights, CKA.

Shapes: R relations, K experts, M modalities.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from numpy.typing import NDArray

from momok.prediction import ModelExplanation
from momok.prediction.model_explanation import SIDES
from momok.reporting.style import (
    INK,
    PAPER,
    choose_colours,
    find_uncovered,
    fit_text,
    plain_numbers,
)

__all__ = [
    "MOST_RELATIONS",
    "choose_relations",
    "draw_disentanglement",
    "draw_experts",
    "draw_modalities",
]

Floats = NDArray[np.float64]

MOST_RELATIONS = 40
_LONGEST_NAME = 40
_ROW = 0.27  # inches of a relation
_MOST_NUMBERED = 6  # experts; with more the cells are too narrow for a number
_ASKED = {"tail": "(h, r, ?)", "head": "(?, r, t)"}
# Cells keep their colours whatever is around them, and so must the numbers in them; these two are
# no colours of the house, which a dark page replaces.
_ON_LIGHT, _ON_DARK = "#14181c", "#fdfdfd"
_BLUES = LinearSegmentedColormap.from_list(
    "momok", colormaps["Blues"](np.linspace(0.03, 0.92, 64)), N=256
)


def choose_relations(
    explanation: ModelExplanation, fonts: Sequence[str]
) -> tuple[list[int], list[str], str]:
    """Choose the relations with most train queries, and names that can be shown.

    Returns:
        their rows, most frequent first; names with counts; a remark, "" where all is plain.
    """
    counts = np.sum(list(explanation.queries.values()), axis=0)
    order = explanation.list_relations()
    chosen = order[:MOST_RELATIONS]
    names, by_line = [], False
    for row in chosen:
        name = explanation.relations[row].name
        if find_uncovered("".join(name.split()), fonts):
            name, by_line = f"relation of line {row + 2}", True  # the first is a header
        names.append(f"{fit_text(name, fonts, _LONGEST_NAME)}  ({counts[row]:,})")
    remarks = []
    if len(chosen) < len(order):
        remarks.append(f"the {len(chosen)} most frequent of {len(order)} relations")
    if by_line:
        remarks.append("no installed font has some names: see the line in graph/relations.tsv")
    return chosen, names, "; ".join(remarks)


def draw_experts(explanation: ModelExplanation, fonts: Sequence[str], about: str) -> Figure:
    """Draw the average gate of every expert by relation, for both questions of each modality.

    Args:
        explanation: what to draw.
        fonts: families that are installed for its names.
        about: which graph, for the title.
    """
    rows, names, remark = choose_relations(explanation, fonts)
    count, experts = len(explanation.modalities), explanation.num_experts
    width = min(max(0.42 * 2 * experts, 1.5), 4.0)  # inches of a modality
    figure = Figure(figsize=(3.4 + width * count, _ROW * len(rows) + 2.1), layout="constrained")
    axes = figure.subplots(1, count, sharey=True, squeeze=False, gridspec_kw={"wspace": 0.1})[0]
    _write_title(figure, f"Experts by relation: {about}", remark)
    for axis, modality in zip(axes, explanation.modalities, strict=True):
        cells = [explanation.experts[modality][side][rows] for side in SIDES]
        _draw_gates(axis, cells)
        axis.set_title(fit_text(modality, fonts, _LONGEST_NAME), loc="center", pad=16)
    axes[0].set_yticks(np.arange(len(rows)) + 0.5, names)
    axes[0].tick_params(axis="y", labelcolor=INK)
    axes[0].set_ylim(len(rows), 0)
    figure.supxlabel(
        f"average weight of experts 1 to {experts} in %, over the train queries (n) of a relation",
        fontsize=9.5,
    )
    return figure


def draw_modalities(explanation: ModelExplanation, fonts: Sequence[str], about: str) -> Figure:
    """Draw what every modality weighs by relation: its share of answers, and joint attention.

    Args:
        explanation, fonts, about: as for ``draw_experts``.
    """
    rows, names, remark = choose_relations(explanation, fonts)
    panels = {"share of the answer": explanation.average_shares()[rows]}
    fusion = explanation.average_fusion()
    if fusion is not None:
        panels["attention of the joint head"] = fusion[rows]
    figure = Figure(figsize=(3.4 + 3.2 * len(panels), _ROW * len(rows) + 1.9), layout="constrained")
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    _write_title(figure, f"Modalities by relation: {about}", remark)
    colours = choose_colours(explanation.modalities)
    for axis, (title, weights) in zip(axes, panels.items(), strict=True):
        left = np.zeros(len(rows))
        for place, modality in enumerate(explanation.modalities):
            values = 100 * weights[:, place]
            axis.barh(
                range(len(rows)), values, 0.72, left, color=colours[modality], edgecolor=PAPER,
                linewidth=0.6, label=fit_text(modality, fonts, _LONGEST_NAME),
            )  # fmt: skip
            left += values
        axis.set_title(title, loc="center", fontweight="normal")
        axis.set_xlim(0, 100)
        axis.xaxis.set_major_formatter(plain_numbers("%"))
        axis.grid(axis="y", visible=False)
        axis.tick_params(axis="y", length=0)
        axis.spines["left"].set_visible(False)
    axes[0].set_yticks(range(len(rows)), names)
    axes[0].tick_params(axis="y", labelcolor=INK)
    axes[0].set_ylim(len(rows) - 0.4, -0.6)
    handles, labels = axes[0].get_legend_handles_labels()
    figure.legend(
        handles, labels, loc="outside lower center", ncols=min(len(labels), 6), fontsize=9.5
    )
    return figure


def draw_disentanglement(explanation: ModelExplanation, fonts: Sequence[str], about: str) -> Figure:
    """Draw how alike the experts of every modality are, and the CLUB estimate over training.

    Args:
        explanation, fonts, about: as for ``draw_experts``.
    """
    estimates = explanation.mutual_information
    count = len(explanation.modalities)
    ratios = [1.0] * count + ([1.9] if estimates else [])
    figure = Figure(figsize=(2.4 * sum(ratios) + 0.6, 3.2), layout="constrained")
    axes = figure.subplots(
        1, len(ratios), squeeze=False, gridspec_kw={"width_ratios": ratios, "wspace": 0.08}
    )[0]
    _write_title(figure, f"How far the experts differ: {about}", "")
    for axis, modality in zip(axes, explanation.modalities, strict=False):
        matrix, random = explanation.cka[modality], explanation.random_cka[modality]
        _draw_cells(axis, matrix, "{:.2f}")
        axis.set_aspect("equal")
        axis.set_title(f"CKA: {fit_text(modality, fonts, 18)}", loc="center")
        axis.set_xlabel(f"random maps: {random:.2f}")
        ticks = np.arange(len(matrix)) + 0.5
        axis.set_xticks(ticks, range(1, len(matrix) + 1))
        axis.set_yticks(ticks, range(1, len(matrix) + 1))
        axis.set_ylim(len(matrix), 0)
    if estimates:
        axis = axes[-1]
        epochs, values = zip(*estimates, strict=True)
        axis.plot(epochs, values, color=INK, linewidth=1.6, marker="o" if len(epochs) < 8 else None)
        axis.set_title("CLUB estimate in training", loc="center")
        axis.set_xlabel("epoch")
        axis.set_ylabel("nats, mean over modalities")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


def _draw_gates(axis: Axes, cells: Sequence[Floats]) -> None:
    """The gates [R, K] of the two questions side by side, with a gap between them."""
    experts = cells[0].shape[1]
    gap = np.full((len(cells[0]), 1), np.nan)
    joined = np.hstack([cells[0], gap, cells[1]])
    edges = np.concatenate([np.arange(experts + 1), experts + 0.3 + np.arange(experts + 1)])
    _draw_cells(axis, joined, "{:.0f}" if experts <= _MOST_NUMBERED else "", edges, scale=100)
    for start, side in ((0, "tail"), (experts + 0.3, "head")):
        axis.annotate(
            _ASKED[side],
            (start + experts / 2, 1),
            xycoords=("data", "axes fraction"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="center",
            fontsize=8.5,
        )
    centres = (edges[:-1] + edges[1:]) / 2
    numbers = [*range(1, experts + 1), "", *range(1, experts + 1)]
    axis.set_xticks(centres, [str(number) for number in numbers])


def _draw_cells(
    axis: Axes, cells: Floats, form: str, edges: Floats | None = None, scale: float = 1.0
) -> None:
    """Cells of weights from 0 to 1, coloured, each with its number; NaN is left blank."""
    height, width = cells.shape
    x = np.arange(width + 1.0) if edges is None else edges
    axis.pcolormesh(
        x, np.arange(height + 1), np.ma.masked_invalid(cells), cmap=_BLUES, vmin=0, vmax=1,
        edgecolors=PAPER, linewidth=0.8,
    )  # fmt: skip
    axis.grid(visible=False)
    axis.tick_params(length=0)
    for spine in axis.spines.values():
        spine.set_visible(False)
    for (row, column), value in np.ndenumerate(cells):
        if form and not np.isnan(value):
            axis.text(
                (x[column] + x[column + 1]) / 2,
                row + 0.5,
                form.format(scale * value),
                ha="center",
                va="center",
                fontsize=8.5,
                color=_ON_DARK if value > 0.55 else _ON_LIGHT,
            )


def _write_title(figure: Figure, title: str, remark: str) -> None:
    text = f"{title}\n{remark}" if remark else title
    figure.suptitle(text, x=0.01, ha="left", fontsize=11, fontweight="bold")
