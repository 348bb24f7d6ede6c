"""The MRR of every relation: a bar for the answer, a dot for each decision head."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from momok.evaluation import ANSWER, Evaluation, Metrics
from momok.reporting.style import (
    BAR,
    GRID,
    INK,
    PAPER,
    choose_colours,
    find_uncovered,
    fit_text,
    plain_numbers,
)

__all__ = ["MOST_RELATIONS", "choose_relations", "draw_relations"]

MOST_RELATIONS = 40
_LONGEST_NAME, _LONGEST_WHEN_NARROW = 46, 30
_AXIS = "MRR of the answer (bar and number) and of each head (dots); (n): queries"

Row = tuple[str, Mapping[str, Metrics]]


def choose_relations(
    evaluation: Evaluation, names: Mapping[str, str], fonts: Sequence[str]
) -> tuple[list[Row], str]:
    """Choose the most frequent relations, worst first, and say what is not as it might seem.

    Args:
        evaluation: metrics by relation label.
        names: of all relations by label, in the order of ``graph/relations.tsv``.
        fonts: a name that they do not cover is given by its line in that file.

    Returns:
        (printable name, metrics by head) per relation; a remark, "" where all is plain.
    """
    present = [(x, heads) for x, heads in evaluation.by_relation.items() if heads[ANSWER].count]
    present.sort(key=lambda row: -row[1][ANSWER].count)
    chosen = sorted(present[:MOST_RELATIONS], key=lambda row: row[1][ANSWER].mrr or 0.0)
    lines = {label: line for line, label in enumerate(names, start=2)}  # the first is a header
    rows, by_line = [], False
    for label, heads in chosen:
        name = names[label]
        if find_uncovered("".join(name.split()), fonts):
            name, by_line = f"relation of line {lines[label]}", True
        rows.append((fit_text(name, fonts, _LONGEST_NAME), heads))
    remarks = []
    if len(chosen) < len(present):
        remarks.append(f"the {len(chosen)} most frequent of {len(present)} relations")
    if by_line:
        remarks.append("no installed font has some names: see the line in graph/relations.tsv")
    return rows, "; ".join(remarks)


def draw_relations(
    evaluation: Evaluation,
    names: Mapping[str, str],
    fonts: Sequence[str],
    about: str,
    *,
    narrow: bool = False,
) -> Figure:
    """Draw the MRR by relation, best on top.

    Args:
        evaluation, names, fonts: as for ``choose_relations``.
        about: graph, split and protocol, for the title; "" for none.
        narrow: for half the width of a page.
    """
    rows, remark = choose_relations(evaluation, names, fonts)
    if narrow:
        rows = [(fit_text(name, fonts, _LONGEST_WHEN_NARROW), heads) for name, heads in rows]
    heads = [head for head in evaluation.heads if head != ANSWER]
    colours = choose_colours(heads)
    width = 5.8 if narrow else 8.4
    figure = Figure(figsize=(width, 0.27 * len(rows) + 1.8), layout="constrained")
    axis = figure.subplots()
    if about:
        title = f"MRR by relation: {about}"
        figure.suptitle(title, x=0.01, ha="left", fontsize=11, fontweight="bold")
    if remark:
        axis.set_title(remark, fontsize=9, fontweight="normal")
    places = range(len(rows))
    answers = [100 * (metrics[ANSWER].mrr or 0.0) for _, metrics in rows]
    axis.barh(places, answers, 0.68, color=BAR, label=ANSWER)
    for place, answer in zip(places, answers, strict=True):
        axis.annotate(  # in a column of their own: at the end of a bar they would hide the dots
            f"{answer:.1f}",
            (1, place),
            xycoords=("axes fraction", "data"),
            xytext=(30, 0),
            textcoords="offset points",
            ha="right",
            va="center",
            fontsize=9,
            color=INK,
        )
    for head in heads:
        axis.plot(
            [100 * (metrics[head].mrr or 0.0) for _, metrics in rows],
            places,
            linestyle="none",
            marker="o",
            markersize=5,
            markeredgecolor=PAPER,
            markeredgewidth=0.5,
            color=colours[head],
            label=head,
            clip_on=False,
        )
    axis.set_yticks(places, [f"{name}  ({m[ANSWER].count:,})" for name, m in rows])
    axis.tick_params(axis="y", length=0, labelcolor=INK)
    axis.grid(axis="y", visible=False)
    axis.set_ylim(-0.6, len(rows) - 0.4)
    axis.margins(x=0.03)
    axis.set_xlim(left=0)
    words = "MRR of the answer (bar, number) and of each head (dots)" if narrow else _AXIS
    axis.set_xlabel(words)
    axis.xaxis.set_major_formatter(plain_numbers("%"))
    axis.spines["left"].set_color(GRID)
    figure.legend(
        loc="outside lower center", ncols=min(len(heads) + 1, 5 if narrow else 8), fontsize=9.5
    )
    return figure
