"""What a model has learned of the relations, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import accumulate, pairwise

import numpy as np
from numpy.typing import NDArray
from rich.console import Group
from rich.table import Table
from rich.text import Text

from momok.cli.views.parts import COLOURS, plain_table, say_percent
from momok.console import make_printable
from momok.prediction import ModelExplanation
from momok.prediction.explanation import leading_expert
from momok.prediction.questions import Side

__all__ = ["model_view"]

_ASKED: dict[Side, str] = {"tail": "(h, r, ?)", "head": "(?, r, t)"}
_HEIGHTS, _ASCII_HEIGHTS = "▁▂▃▄▅▆▇█", "0123456789"
_SHADES = "█▓▒░"  # so that the parts of a bar differ without colours too
_LONGEST_NAME, _SHORT_NAME = 36, 22
_COUNT = 10  # columns of a count, with its gap
_BAR = 30  # columns of a bar
_CURVE = 30  # columns of a curve
_GAP = 3  # columns between two


def model_view(
    explanation: ModelExplanation, *, width: int = 120, ascii_only: bool = False
) -> Group:
    """Experts and modalities by relation, and how far the experts of a modality differ.

    Args:
        explanation: what ``explain_model`` gave.
        width: columns there are; where the two questions do not fit side by side, they stand one
            below the other, and bars that do not fit are left out.
        ascii_only: draw without block characters.
    """
    sides = tuple(_ASKED)
    cells = len(explanation.modalities) * (explanation.num_experts + 7 + _GAP)
    together = width >= _LONGEST_NAME + _COUNT + 2 * cells
    tables = [sides] if together else [(side,) for side in sides]
    longest = _LONGEST_NAME if width >= _LONGEST_NAME + _COUNT + cells else _SHORT_NAME
    return Group(
        *(_experts(explanation, chosen, longest, ascii_only) for chosen in tables),
        Text(
            f"bars: average gate of experts 1 to {explanation.num_experts}; then the leading "
            "expert and its weight",
            style="dim",
        ),
        Text(),
        _modalities(explanation, width, ascii_only),
        Text(
            "share: part of the answer, over train facts; attention: of the joint head",
            style="dim",
        ),
        Text(),
        *_disentanglement(explanation, ascii_only),
    )


def _experts(
    explanation: ModelExplanation, sides: Sequence[Side], longest: int, ascii_only: bool
) -> Table:
    """The average gates by relation: a small bar per expert, and the leading one."""
    table = plain_table("relation", "queries", title=f"{explanation.graph}: experts by relation")
    for number, modality in enumerate(explanation.modalities):
        colour = COLOURS[number % len(COLOURS)]
        for side in sides:
            first = make_printable(modality) if side == sides[0] else ""
            header = Text(f"{first}\n{_ASKED[side]}", style=colour)
            table.add_column(header, no_wrap=True)
    for row in explanation.list_relations():
        count = sum(int(explanation.queries[side][row]) for side in sides)
        cells = [
            _say_gate(explanation.experts[modality][side][row], number, ascii_only)
            for number, modality in enumerate(explanation.modalities)
            for side in sides
        ]
        table.add_row(_name_relation(explanation, row, longest), f"{count:,}", *cells)
    return table


def _name_relation(explanation: ModelExplanation, row: int, longest: int) -> Text:
    name = Text(make_printable(explanation.relations[row].name))
    name.truncate(longest, overflow="ellipsis")
    return name


def _say_gate(gate: NDArray[np.float64], number: int, ascii_only: bool) -> Text:
    weights = gate.tolist()
    lead = leading_expert(weights)
    text = Text(_draw_curve(weights, 1.0, ascii_only), style=COLOURS[number % len(COLOURS)])
    return text.append(f" {lead + 1} {say_percent(weights[lead]):>4}", style="default")


def _modalities(explanation: ModelExplanation, width: int, ascii_only: bool) -> Table:
    """What every modality weighs by relation."""
    shares, fusion = explanation.average_shares(), explanation.average_fusion()
    numbers = sum(max(len(name), 5) + _GAP for name in explanation.modalities)
    bar = width >= _LONGEST_NAME + _BAR + 2 * _GAP + numbers * (1 if fusion is None else 2)
    columns = ("relation", "") if bar else ("relation",)
    table = plain_table(*columns, title=f"{explanation.graph}: modalities by relation")
    for what in ("share", *(["attention"] if fusion is not None else [])):
        for number, modality in enumerate(explanation.modalities):
            header = f"{what if not number else ''}\n{make_printable(modality)}"
            colour = COLOURS[number % len(COLOURS)]
            table.add_column(Text(header, style=colour), justify="right", no_wrap=True)
    for row in explanation.list_relations():
        values = [*shares[row], *([] if fusion is None else fusion[row])]
        table.add_row(
            _name_relation(explanation, row, _LONGEST_NAME if bar else _SHORT_NAME),
            *([_stack(shares[row].tolist(), ascii_only)] if bar else []),
            *(say_percent(value) for value in values),
        )
    return table


def _stack(weights: Sequence[float], ascii_only: bool) -> Text:
    """Weights that sum to one, one behind the other in a bar."""
    shades = "#=-." if ascii_only else _SHADES
    borders = [0, *(round(end * _BAR) for end in accumulate(weights))]
    bar = Text()
    for number, (start, stop) in enumerate(pairwise(borders)):
        colour = COLOURS[number % len(COLOURS)]
        bar.append(shades[number % len(shades)] * (stop - start), style=colour)
    return bar


def _disentanglement(explanation: ModelExplanation, ascii_only: bool) -> Iterator[Table | Text]:
    """The CKA of the experts of every modality, and the CLUB estimate over training."""
    if explanation.num_experts > 1:
        table = plain_table(
            "modality",
            *("mean", "least alike", "most alike", "random maps"),
            title=f"{explanation.graph}: how alike the experts are (linear CKA, 0 to 1)",
        )
        for number, modality in enumerate(explanation.modalities):
            name = Text(make_printable(modality), style=COLOURS[number % len(COLOURS)])
            table.add_row(name, *_say_pairs(explanation, modality))
        yield table
    if explanation.mutual_information:
        epochs, estimates = zip(*explanation.mutual_information, strict=True)
        steps = np.unique(np.linspace(0, len(epochs) - 1, _CURVE).round().astype(int))
        top = max(*estimates, 1e-12)
        curve = _draw_curve([estimates[step] for step in steps], top, ascii_only)
        yield Text.assemble(
            ("CLUB estimate in training  ", "bold"),
            f"{estimates[0]:.3f} ",
            (curve, "cyan"),
            f" {estimates[-1]:.3f} nats",
            (f"  (epochs {epochs[0]} to {epochs[-1]})", "dim"),
        )
    else:
        yield Text("No CLUB estimate: the experts were not kept apart in training", style="dim")


def _say_pairs(explanation: ModelExplanation, modality: str) -> list[str]:
    cka = explanation.cka[modality]
    rows, columns = np.triu_indices(len(cka), k=1)
    values = cka[rows, columns]
    least, most = int(values.argmin()), int(values.argmax())
    extremes = [f"{values[i]:.2f} ({rows[i] + 1}, {columns[i] + 1})" for i in (least, most)]
    return [f"{values.mean():.2f}", *extremes, f"{explanation.random_cka[modality]:.2f}"]


def _draw_curve(values: Sequence[float], top: float, ascii_only: bool) -> str:
    """A character per value, as high as it is between 0 and ``top``."""
    heights = _ASCII_HEIGHTS if ascii_only else _HEIGHTS
    last = len(heights) - 1
    return "".join(heights[min(max(round(value / top * last), 0), last)] for value in values)
