"""What a model has learned of the relations, on a terminal."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from rich.console import Group, RenderableType
from rich.table import Column, Table
from rich.text import Text

from momok.arrays import Floats
from momok.cli.views import build_table, choose_colour, colour_name, draw_curve, format_percent
from momok.console import make_printable, shorten_middle
from momok.graph.candidates import Side
from momok.prediction import ModelExplanation
from momok.prediction.shares import leading_expert

_SHORT_NAME = 26  # columns of a name
_CURVE = 30  # columns of a curve
_ASKED: dict[Side, str] = {"tail": "(h, r, ?)", "head": "(?, r, t)"}


def show_model(explanation: ModelExplanation) -> Group:
    """Experts and modalities by relation, and how far the experts of a modality differ."""
    return Group(
        *_show_experts_of_relations(explanation),
        _show_relation_modalities(explanation),
        Text(
            "share: part of the answer, over train facts; attention: of the joint head", style="dim"
        ),
        Text(),
        *_show_disentanglement(explanation),
    )


def _show_experts_of_relations(explanation: ModelExplanation) -> Iterator[RenderableType]:
    if explanation.num_experts == 1:
        return
    yield from (_show_relation_experts(explanation, side) for side in _ASKED)
    yield Text(
        f"bars: average gate of experts 1 to {explanation.num_experts}; then the leading expert "
        "and its weight\n",
        style="dim",
    )


def _show_relation_experts(explanation: ModelExplanation, side: Side) -> Table:
    """The average gates by relation: a small bar per expert, and the leading one."""
    names = (colour_name(name, number) for number, name in enumerate(explanation.modalities))
    return build_table(
        *("relation", "queries"),
        *(Column(name, no_wrap=True) for name in names),
        rows=(
            [
                _format_relation(explanation, row),
                f"{int(explanation.queries[side][row]):,}",
                *(
                    _format_gate(explanation.experts[modality][side][row], number)
                    for number, modality in enumerate(explanation.modalities)
                ),
            ]
            for row in explanation.list_relations()
        ),
        title=f"{explanation.graph}: experts by relation, {_ASKED[side]}",
    )


def _format_relation(explanation: ModelExplanation, row: int) -> str:
    return shorten_middle(make_printable(explanation.relations[row].name), _SHORT_NAME)


def _format_gate(gate: Floats, number: int) -> Text:
    weights = gate.tolist()
    lead = leading_expert(weights)
    text = Text(draw_curve(weights, 1.0), style=choose_colour(number))
    return text.append(f" {lead + 1} {format_percent(weights[lead]):>4}", style="default")


def _show_relation_modalities(explanation: ModelExplanation) -> Table:
    """What every part weighs by relation."""
    weights = {"share": (explanation.parts, explanation.average_shares())}
    fusion = explanation.average_fusion()
    if fusion is not None:
        weights["attention"] = (explanation.modalities, fusion)
    headers = (
        Text("" if number else what, style=choose_colour(number)).append(
            f"\n{make_printable(name)}"
        )
        for what, (parts, _) in weights.items()
        for number, name in enumerate(parts)
    )
    return build_table(
        "relation",
        *headers,
        rows=(
            [
                _format_relation(explanation, row),
                *(format_percent(value) for _, each in weights.values() for value in each[row]),
            ]
            for row in explanation.list_relations()
        ),
        title=f"{explanation.graph}: modalities by relation",
    )


def _show_disentanglement(explanation: ModelExplanation) -> Iterator[Table | Text]:
    """The CKA of the experts of every modality, and the CLUB estimate over training."""
    if explanation.num_experts > 1:
        yield build_table(
            *("modality", "mean", "least alike", "most alike", "random maps"),
            rows=(
                [colour_name(modality, number), *_format_pairs(explanation, modality)]
                for number, modality in enumerate(explanation.modalities)
            ),
            title=f"{explanation.graph}: how alike the experts are (linear CKA, 0 to 1)",
        )
    if explanation.mutual_information:
        epochs, estimates = zip(*explanation.mutual_information, strict=True)
        steps = np.unique(np.linspace(0, len(epochs) - 1, _CURVE).round().astype(int))
        top = max(*estimates, 1e-12)
        curve = draw_curve([estimates[step] for step in steps], top)
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
    rows, columns = np.triu_indices(explanation.num_experts, k=1)
    values = explanation.cka[modality][rows, columns]
    least, most = int(values.argmin()), int(values.argmax())
    extremes = [f"{values[i]:.2f} ({rows[i] + 1}, {columns[i] + 1})" for i in (least, most)]
    return [f"{values.mean():.2f}", *extremes, f"{explanation.random_cka[modality]:.2f}"]
