"""Predictions as a table on a terminal: score, known or not, and the part of every modality."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.table import Column
from rich.text import Text

from momok.cli.views import (
    build_table,
    choose_colour,
    colour_name,
    draw_bar,
    format_percent,
    format_probability,
)
from momok.console import make_printable
from momok.prediction import Prediction, Predictions, RelationPredictions

_BAR = 10  # columns of a bar of probability 1, or of score 1
_NAME = 16  # columns that a name has at least
_GAP = 3  # columns between two


def show_predictions(predictions: Predictions | RelationPredictions, *, width: int = 80) -> Group:
    """The answers to one question, with remarks on how to read them below.

    Args:
        width: columns there are; with few, the bars are left out.
    """
    if isinstance(predictions, RelationPredictions):
        return _show_relations(predictions)
    modalities = list(predictions.query_present)
    calibrated = any(prediction.probability is not None for prediction in predictions)
    needed = _NAME + 24 + (5 + _GAP) * calibrated + sum(max(len(m), 5) + _GAP for m in modalities)
    bar = width >= needed + _BAR + _GAP
    table = build_table(
        Column("#", justify="right", no_wrap=True),
        Column(
            predictions.question.asked,
            overflow="fold",
            min_width=max(_NAME - max(needed - width, 0), _NAME // 2),
        ),
        "score",
        *(["prob."] if calibrated else []),
        *([""] if bar else []),
        *(colour_name(modality, number) for number, modality in enumerate(modalities)),
        Column("known", no_wrap=True),
        text=0,
        title=str(predictions.question),
    )
    for prediction in predictions:
        cells: list[Text | str] = [
            Text(str(prediction.rank), style="dim"),
            Text(make_printable(prediction.title), style="bold" if prediction.rank == 1 else ""),
            format_probability(prediction.score),
        ]
        if calibrated:
            cells.append(format_percent(prediction.probability, 1))
        if bar:
            length = prediction.probability if calibrated else prediction.score
            parts = (share * (length or 0.0) for share in prediction.shares.values())
            cells.append(draw_bar(*parts, columns=_BAR))
        cells += [_build_share(prediction, m, number) for number, m in enumerate(modalities)]
        table.add_row(*cells, Text(prediction.known or "", style="green"))
    return Group(table, *(Text(line, style="dim") for line in _explain(predictions)))


def _show_relations(predictions: RelationPredictions) -> Group:
    table = build_table(
        Column("#", justify="right", no_wrap=True),
        Column("relation", overflow="fold", min_width=_NAME),
        *("score", "tail", "head", ""),
        Column("known", no_wrap=True),
        text=0,
        title=make_printable(str(predictions)),
    )
    for p in predictions:
        table.add_row(
            Text(str(p.rank), style="dim"),
            Text(make_printable(p.name), style="bold" if p.rank == 1 else ""),
            format_percent(p.score, 1),
            format_probability(p.tail_answer),
            format_probability(p.head_answer),
            draw_bar(p.score, columns=_BAR),
            Text(p.known or "", style="green"),
        )
    return Group(table, *(Text(line, style="dim") for line in predictions.notes))


def _build_share(prediction: Prediction, modality: str, number: int) -> Text:
    """The share of a modality, in brackets where the entity has no features of it."""
    share = format_percent(prediction.shares[modality])
    if prediction.present[modality]:
        return Text(share, style=choose_colour(number))
    return Text(f"({share})", style="dim")


def _explain(predictions: Predictions) -> Iterator[str]:
    """How the table is to be read."""
    yield from map(make_printable, predictions.notes)
    count = sum(prediction.known is not None for prediction in predictions)
    if count:
        what = "answer is a fact" if count == 1 else "answers are facts"
        yield f"{count} {what} the graph has already; --known hide leaves these out"
