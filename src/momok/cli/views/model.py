"""What a model has learned of the relations, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from momok.cli.views.parts import build_table, choose_colour, draw_bar, format_percent
from momok.console import make_printable
from momok.prediction import ModelExplanation
from momok.prediction.explanation import leading_expert
from momok.prediction.questions import Side

_ASKED: dict[Side, str] = {"tail": "(h, r, ?)", "head": "(?, r, t)"}
_HEIGHTS = "▁▂▃▄▅▆▇█"
_LONGEST_NAME, _SHORT_NAME = 36, 22
_COUNT = 10  # columns of a count, with its gap
_BAR = 30  # columns of a bar
_CURVE = 30  # columns of a curve
_GAP = 3  # columns between two


def show_model(explanation: ModelExplanation, *, width: int = 120) -> Group:
    """Experts and modalities by relation, and how far the experts of a modality differ.

    Args:
        explanation: what ``explain_model`` gave.
        width: columns there are; where the two questions do not fit side by side, they stand one
            below the other, and bars that do not fit are left out.
    """
    sides = tuple(_ASKED)
    cells = len(explanation.modalities) * (explanation.num_experts + 7 + _GAP)
    together = width >= _LONGEST_NAME + _COUNT + 2 * cells
    tables = [sides] if together else [(side,) for side in sides]
    longest = _LONGEST_NAME if width >= _LONGEST_NAME + _COUNT + cells else _SHORT_NAME
    return Group(
        *(_show_experts(explanation, chosen, longest) for chosen in tables),
        Text(
            f"bars: average gate of experts 1 to {explanation.num_experts}; then the leading "
            "expert and its weight",
            style="dim",
        ),
        Text(),
        _show_modalities(explanation, width),
        Text(
            "share: part of the answer, over train facts; attention: of the joint head", style="dim"
        ),
        Text(),
        *_show_disentanglement(explanation),
    )


def _show_experts(explanation: ModelExplanation, sides: Sequence[Side], longest: int) -> Table:
    """The average gates by relation: a small bar per expert, and the leading one."""
    table = build_table("relation", "queries", title=f"{explanation.graph}: experts by relation")
    for number, modality in enumerate(explanation.modalities):
        colour = choose_colour(number)
        for side in sides:
            first = make_printable(modality) if side == sides[0] else ""
            header = Text(f"{first}\n{_ASKED[side]}", style=colour)
            table.add_column(header, no_wrap=True)
    for row in explanation.list_relations():
        count = sum(int(explanation.queries[side][row]) for side in sides)
        cells = [
            _format_gate(explanation.experts[modality][side][row], number)
            for number, modality in enumerate(explanation.modalities)
            for side in sides
        ]
        table.add_row(_format_relation(explanation, row, longest), f"{count:,}", *cells)
    return table


def _format_relation(explanation: ModelExplanation, row: int, longest: int) -> Text:
    name = Text(make_printable(explanation.relations[row].name))
    name.truncate(longest, overflow="ellipsis")
    return name


def _format_gate(gate: NDArray[np.float64], number: int) -> Text:
    weights = gate.tolist()
    lead = leading_expert(weights)
    text = Text(_draw_curve(weights, 1.0), style=choose_colour(number))
    return text.append(f" {lead + 1} {format_percent(weights[lead]):>4}", style="default")


def _show_modalities(explanation: ModelExplanation, width: int) -> Table:
    """What every modality weighs by relation."""
    shares, fusion = explanation.average_shares(), explanation.average_fusion()
    numbers = sum(max(len(name), 5) + _GAP for name in explanation.modalities)
    bar = width >= _LONGEST_NAME + _BAR + 2 * _GAP + numbers * (1 if fusion is None else 2)
    columns = ("relation", "") if bar else ("relation",)
    table = build_table(*columns, title=f"{explanation.graph}: modalities by relation")
    for what in ("share", *(["attention"] if fusion is not None else [])):
        for number, modality in enumerate(explanation.modalities):
            header = f"{what if not number else ''}\n{make_printable(modality)}"
            colour = choose_colour(number)
            table.add_column(Text(header, style=colour), justify="right", no_wrap=True)
    for row in explanation.list_relations():
        values = [*shares[row], *([] if fusion is None else fusion[row])]
        table.add_row(
            _format_relation(explanation, row, _LONGEST_NAME if bar else _SHORT_NAME),
            *([draw_bar(*shares[row].tolist(), columns=_BAR)] if bar else []),
            *(format_percent(value) for value in values),
        )
    return table


def _show_disentanglement(explanation: ModelExplanation) -> Iterator[Table | Text]:
    """The CKA of the experts of every modality, and the CLUB estimate over training."""
    if explanation.num_experts > 1:
        table = build_table(
            "modality",
            *("mean", "least alike", "most alike", "random maps"),
            title=f"{explanation.graph}: how alike the experts are (linear CKA, 0 to 1)",
        )
        for number, modality in enumerate(explanation.modalities):
            name = Text(make_printable(modality), style=choose_colour(number))
            table.add_row(name, *_format_pairs(explanation, modality))
        yield table
    if explanation.mutual_information:
        epochs, estimates = zip(*explanation.mutual_information, strict=True)
        steps = np.unique(np.linspace(0, len(epochs) - 1, _CURVE).round().astype(int))
        top = max(*estimates, 1e-12)
        curve = _draw_curve([estimates[step] for step in steps], top)
        yield Text.assemble(
            ("CLUB estimate in training  ", "bold"),
            f"{estimates[0]:.3f} ",
            (curve, "cyan"),
            f" {estimates[-1]:.3f} nats",
            (f"  (epochs {epochs[0]} to {epochs[-1]})", "dim"),
        )
    else:
        yield Text("No CLUB estimate: the experts were not kept apart in training", style="dim")


def _format_pairs(explanation: ModelExplanation, modality: str) -> list[str]:
    cka = explanation.cka[modality]
    rows, columns = np.triu_indices(len(cka), k=1)
    values = cka[rows, columns]
    least, most = int(values.argmin()), int(values.argmax())
    extremes = [f"{values[i]:.2f} ({rows[i] + 1}, {columns[i] + 1})" for i in (least, most)]
    return [f"{values.mean():.2f}", *extremes, f"{explanation.random_cka[modality]:.2f}"]


def _draw_curve(values: Sequence[float], top: float) -> str:
    """A character per value, as high as it is between 0 and ``top``."""
    last = len(_HEIGHTS) - 1
    return "".join(_HEIGHTS[min(max(round(value / top * last), 0), last)] for value in values)
