"""Plots with a row for every relation, group of queries or run; what the experts of a model do.

Shapes: R relations, K experts, M modalities.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.colors import LinearSegmentedColormap
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from momok.arrays import Floats
from momok.evaluation import ANSWER, Evaluation, Metrics
from momok.reporting import style
from momok.reporting.style import INK, PAPER

if TYPE_CHECKING:
    from momok.prediction import ModelExplanation


MOST_RELATIONS = 40
_LONGEST_NAME = 32
_ROW = 0.27  # inches
_MOST_NUMBERED = 6  # experts; with more the cells are too narrow for a number
# Cells keep their colours whatever is around them, and so must the numbers in them; these two are
# no colours of the house, which a dark page replaces.
_ON_LIGHT, _ON_DARK = "#14181c", "#fdfdfd"
_BLUES = LinearSegmentedColormap.from_list(
    "momok", colormaps["Blues"](np.linspace(0.03, 0.92, 64)), N=256
)


def choose_relations(
    names: Sequence[str], counts: Sequence[int]
) -> tuple[list[int], list[str], str]:
    """Choose the relations with most queries, and names that can be shown.

    Args:
        names: of all relations, in the order of ``graph/relations.tsv``; one that no font in use
            covers is given by its line in that file.
        counts: queries of each; a relation without any is left out.

    Returns:
        their places, most frequent first; names with counts; a remark, "" where all is plain.
    """
    present = sorted((row for row, count in enumerate(counts) if count), key=lambda r: -counts[r])
    chosen = present[:MOST_RELATIONS]
    shown, by_line = [], False
    for row in chosen:
        name = names[row]
        if style.find_uncovered("".join(name.split())):
            name, by_line = f"relation of line {row + 2}", True  # the first is a header
        shown.append(f"{style.fit_text(name, _LONGEST_NAME)}  ({counts[row]:,})")
    remarks = []
    if len(chosen) < len(present):
        remarks.append(f"the {len(chosen)} most frequent of {len(present)} relations")
    if by_line:
        remarks.append("no installed font has some names: see the line in graph/relations.tsv")
    return chosen, shown, "; ".join(remarks)


def draw_relations(evaluation: Evaluation, labels: Sequence[str], names: Sequence[str]) -> Figure:
    """Draw the MRR of the most frequent relations, best on top.

    Args:
        labels, names: of all relations, in the order of ``graph/relations.tsv``.
    """
    metrics = [evaluation.by_relation.get(label) for label in labels]
    rows, shown, remark = choose_relations(
        names, [heads[ANSWER].count if heads else 0 for heads in metrics]
    )
    pairs = [(n, heads) for row, n in zip(rows, shown, strict=True) if (heads := metrics[row])]
    pairs.sort(key=lambda pair: -(pair[1][ANSWER].mrr or 0.0))
    return draw_groups([("", pairs)], remark)


def draw_groups(
    groups: Sequence[tuple[str, Sequence[tuple[str, Mapping[str, Metrics]]]]], remark: str = ""
) -> Figure:
    """Draw the MRR of groups of queries: a bar and a number for the answer, a dot for each head.

    Args:
        groups: (title, [(name, metrics by head)]), from above.
    """
    figure, axes = style.make_figure()
    names, rows, places, place = [], [], [], 0.0
    for title, members in groups:
        if title:
            axes.annotate(
                title, (0, place), xycoords=("axes fraction", "data"), fontsize=9,
                fontweight="bold", va="center",
            )  # fmt: skip
            place += 0.9
        for name, heads in members:
            names.append(name)
            rows.append(heads)
            places.append(place)
            place += 1
        place += 0.35
    figure.set_size_inches(5.6, _ROW * place + 1.3)
    answers = [100 * (heads[ANSWER].mrr or 0.0) for heads in rows]
    axes.barh(places, answers, 0.68, color=style.BAR, label=ANSWER)
    for place, answer in zip(places, answers, strict=True):
        axes.annotate(  # in a column of their own: at the end of a bar they would hide the dots
            f"{answer:.1f}", (1, place), xycoords=("axes fraction", "data"), xytext=(30, 0),
            textcoords="offset points", ha="right", va="center", fontsize=9,
        )  # fmt: skip
    others = [head for head in rows[0] if head != ANSWER]
    for head, colour in style.choose_colours(others).items():
        axes.plot(
            [100 * (row[head].mrr or 0.0) for row in rows], places, "o", color=colour,
            markersize=5, markeredgecolor=PAPER, markeredgewidth=0.5, label=head, clip_on=False,
        )  # fmt: skip
    style.label_rows(axes, names, places)
    axes.set_ylim(top=-0.6)
    axes.margins(x=0.03)
    axes.set_xlim(left=0)
    style.format_ticks(axes, "x")
    words = "MRR of the answer (bar) and of each head (dots)"
    axes.set_xlabel(f"{words}\n{remark}" if remark else words)
    style.add_legend(figure)
    return figure


def draw_runs(groups: Sequence[tuple[str, Sequence[float]]], metric: str) -> Figure:
    """Draw a metric of every run as a dot, and the mean of each group with its deviation.

    Args:
        groups: (name, values of its runs as shares), from above.
    """
    figure, axes = style.make_figure(height=0.42 * len(groups) + 1.1)
    for place, (_, values) in enumerate(groups):
        points = 100 * np.asarray(values)
        if len(points) > 1:
            mean, deviation = points.mean(), points.std(ddof=1)
            axes.barh(place, 2 * deviation, 0.5, left=mean - deviation, color=style.BAR)
            axes.plot([mean, mean], [place - 0.3, place + 0.3], color=INK, linewidth=2)
        axes.plot(
            points, np.full(len(points), place), "o", color=style.HEAD_COLOURS["structure"],
            markersize=6, markeredgecolor=PAPER, markeredgewidth=0.6,
        )  # fmt: skip
    style.label_rows(axes, [style.fit_text(name, style.LONGEST_RUN_NAME) for name, _ in groups])
    axes.use_sticky_edges = False
    axes.margins(x=0.08)
    axes.set_xlabel(f"test {metric} of the runs, mean and standard deviation")
    style.format_ticks(axes, "x")
    return figure


def draw_differences(
    rows: Sequence[tuple[str, Mapping[str, tuple[float, float, float]]]], reference: str
) -> Figure:
    """Draw differences to a reference with their intervals, in percentage points.

    Args:
        rows: (name, {metric: (difference, low, high)}) as shares, from above.
    """
    figure, axes = style.make_figure(height=0.6 * len(rows) + 1.5)
    metrics = list(rows[0][1])
    colours = (INK, style.HEAD_COLOURS["structure"], style.HEAD_COLOURS["text"])
    for step, (metric, colour) in enumerate(zip(metrics, colours, strict=True)):
        values, lows, highs = np.array([intervals[metric] for _, intervals in rows]).T * 100
        places = np.arange(len(rows)) + (step - (len(metrics) - 1) / 2) * 0.24
        axes.hlines(places, lows, highs, color=colour, linewidth=1.6)
        axes.plot(values, places, "o", color=colour, markersize=5.5, label=metric)
    axes.axvline(0, color=style.MUTED, linewidth=1.2, zorder=1)
    style.label_rows(axes, [style.fit_text(name, style.LONGEST_RUN_NAME) for name, _ in rows])
    against = style.fit_text(reference, style.LONGEST_RUN_NAME)
    axes.set_xlabel(f"percentage points above {against}; 95% intervals")
    style.add_legend(figure)
    return figure


def draw_experts(explanation: ModelExplanation) -> Figure:
    """Draw the average gate of every expert by relation, for both questions of each modality."""
    rows, names, remark = _choose_explained(explanation)
    count, experts = len(explanation.cka), explanation.num_experts
    width = min(max(0.42 * 2 * experts, 1.5), 4.0)  # inches of a modality
    figure = Figure(figsize=(3.4 + width * count, _ROW * len(rows) + 1.7), layout="constrained")
    panels = figure.subplots(1, count, sharey=True, squeeze=False, gridspec_kw={"wspace": 0.1})[0]
    # Tail and head gates [R, K] side by side, with a gap of 0.3 cells between them.
    edges = np.concatenate([np.arange(experts + 1), experts + 0.3 + np.arange(experts + 1)])
    numbers = [str(number) for number in range(1, experts + 1)]
    for axes, modality in zip(panels, explanation.cka, strict=True):
        gates = explanation.experts[modality]
        gap = np.full((len(rows), 1), np.nan)
        cells = np.hstack([gates["tail"][rows], gap, gates["head"][rows]])
        _draw_cells(axes, cells, "{:.0f}" if experts <= _MOST_NUMBERED else "", edges, scale=100)
        for start, question in ((0, "(h, r, ?)"), (experts + 0.3, "(?, r, t)")):
            axes.annotate(
                question, (start + experts / 2, 1), xycoords=("data", "axes fraction"),
                xytext=(0, 2), textcoords="offset points", ha="center", fontsize=8.5,
            )  # fmt: skip
        axes.set_xticks((edges[:-1] + edges[1:]) / 2, [*numbers, "", *numbers])
        axes.set_title(style.fit_text(modality, _LONGEST_NAME), loc="center", pad=16)
    panels[0].set_yticks(np.arange(len(rows)) + 0.5, names)
    panels[0].tick_params(axis="y", labelcolor=INK)
    panels[0].set_ylim(len(rows), 0)
    words = f"average weight of experts 1 to {experts} in %, over the train queries (n)"
    figure.supxlabel(f"{words}\n{remark}" if remark else words, fontsize=9.5)
    return figure


def draw_modalities(explanation: ModelExplanation) -> Figure:
    """Draw by relation the share of every part in the answers, and the joint head's attention."""
    rows, names, remark = _choose_explained(explanation)
    shown = {"share of the answer": (explanation.parts, explanation.average_shares())}
    fusion = explanation.average_fusion()
    if fusion is not None:
        shown["attention of the joint head"] = (explanation.modalities, fusion)
    size = (3.4 + 3.2 * len(shown), _ROW * len(rows) + 1.5)
    figure = Figure(figsize=size, layout="constrained")
    panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
    colours = style.choose_colours(explanation.parts)
    for axes, (title, (names_of, weights)) in zip(panels, shown.items(), strict=True):
        left = np.zeros(len(rows))
        for place, part in enumerate(names_of):
            values = 100 * weights[rows, place]
            axes.barh(
                range(len(rows)), values, 0.72, left, color=colours[part], edgecolor=PAPER,
                linewidth=0.6, label=style.fit_text(part, _LONGEST_NAME),
            )  # fmt: skip
            left += values
        axes.set_title(title, loc="center", fontweight="normal")
        style.label_rows(axes, names)
        axes.set_xlim(0, 100)
        style.format_ticks(axes, "x")
    if remark:
        figure.supxlabel(remark, fontsize=9.5)
    style.add_legend(figure)
    return figure


def draw_disentanglement(explanation: ModelExplanation) -> Figure:
    """Draw how alike the experts of every modality are, and the CLUB estimate over training."""
    estimates = explanation.mutual_information
    ratios = [1.0] * len(explanation.cka) + ([1.9] if estimates else [])
    figure = Figure(figsize=(2.4 * sum(ratios) + 0.6, 2.9), layout="constrained")
    panels = figure.subplots(
        1, len(ratios), squeeze=False, gridspec_kw={"width_ratios": ratios, "wspace": 0.08}
    )[0]
    for axes, modality in zip(panels, explanation.cka, strict=False):
        matrix = explanation.cka[modality]
        _draw_cells(axes, matrix, "{:.2f}", np.arange(len(matrix) + 1.0))
        axes.set_aspect("equal")
        axes.set_title(f"CKA: {style.fit_text(modality, 18)}", loc="center")
        axes.set_xlabel(f"random maps: {explanation.random_cka[modality]:.2f}")
        axes.set_xticks(np.arange(len(matrix)) + 0.5, range(1, len(matrix) + 1))
        axes.set_yticks(np.arange(len(matrix)) + 0.5, range(1, len(matrix) + 1))
        axes.set_ylim(len(matrix), 0)
    if estimates:
        axes = panels[-1]
        epochs, values = zip(*estimates, strict=True)
        axes.plot(epochs, values, color=INK, linewidth=1.6, marker="o" if len(epochs) < 8 else None)
        axes.set_title("CLUB estimate in training", loc="center")
        axes.set_xlabel("epoch")
        axes.set_ylabel("nats, mean over modalities")
        axes.xaxis.set_major_locator(MaxNLocator(integer=True, nbins=6))
    return figure


def _choose_explained(explanation: ModelExplanation) -> tuple[list[int], list[str], str]:
    counts = np.sum(list(explanation.queries.values()), axis=0)
    return choose_relations([r.name for r in explanation.relations], counts.tolist())


def _draw_cells(axes: Axes, cells: Floats, form: str, edges: Floats, scale: float = 1.0) -> None:
    """Cells of weights from 0 to 1, coloured, each with its number; NaN is left blank."""
    axes.pcolormesh(
        edges, np.arange(len(cells) + 1), np.ma.masked_invalid(cells), cmap=_BLUES,
        vmin=0, vmax=1, edgecolors=PAPER, linewidth=0.8,
    )  # fmt: skip
    axes.grid(visible=False)
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    for (row, column), value in np.ndenumerate(cells):
        if form and not np.isnan(value):
            text = axes.text(
                (edges[column] + edges[column + 1]) / 2, row + 0.5, form.format(scale * value),
                ha="center", va="center", fontsize=8.5,
                color=_ON_DARK if value > 0.55 else _ON_LIGHT,
            )  # fmt: skip
            text.set_in_layout(False)  # it is within its cell: saves a measurement
