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
from momok.evaluation.pool import RULES
from momok.prediction import NewPredictions, Prediction, Predictions, RelationPredictions
from momok.prediction.explanation import leading_expert

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
    needed = _NAME + 20 + (5 + _GAP) * calibrated + sum(max(len(m), 5) + _GAP for m in modalities)
    bar = width >= needed + _BAR + _GAP
    table = build_table(
        Column("#", justify="right", no_wrap=True),
        Column(predictions.question.asked, overflow="fold", min_width=_NAME),
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
    lines = (
        "score: of all relations, how likely it is this one, if it is one",
        "tail, head: what the heads answer to (head, relation, ?) and (?, relation, tail)",
    )
    return Group(table, *(Text(line, style="dim") for line in lines))


def _build_share(prediction: Prediction, modality: str, number: int) -> Text:
    """The share of a modality, in brackets where the entity has no features of it."""
    share = format_percent(prediction.shares[modality])
    if prediction.present[modality]:
        return Text(share, style=choose_colour(number))
    return Text(f"({share})", style="dim")


def _explain(predictions: Predictions) -> Iterator[str]:
    """How the table is to be read."""
    if not len(predictions):
        yield "No answers: every candidate is a known fact, or not plausible where that is asked."
        return
    heads = ", ".join(map(make_printable, predictions[0].heads))
    rules = " and rules" if predictions.query_present.get(RULES) else ""
    yield f"score: what the heads {heads}{rules} say together; %: each part's share of it"
    if predictions[0].probability is not None:
        yield "prob.: how often such an answer was a held-out fact, for a question that has one"
    absent = {m for p in predictions for m, has in p.present.items() if not has}
    if absent:
        names = ", ".join(make_printable(m) for m in predictions.query_present if m in absent)
        yield f"(%): the answer has no {names} of its own; the vector was learned instead"
    leading = [
        f"{make_printable(modality)} {leading_expert(gate) + 1} of {len(gate)} ({max(gate):.0%})"
        for modality, gate in predictions.experts.items()
        if len(gate) > 1
    ]
    if leading:
        yield f"leading expert of the query: {', '.join(leading)}"
    if isinstance(predictions, NewPredictions):
        yield from map(make_printable, _explain_new(predictions))
    count = sum(prediction.known is not None for prediction in predictions)
    if count:
        what = "answer is a fact" if count == 1 else "answers are facts"
        yield f"{count} {what} the graph has already; --known hide leaves these out"


def _explain_new(predictions: NewPredictions) -> Iterator[str]:
    has = [name for name, present in predictions.query_present.items() if present]
    yield f"a new entity, known by its {', '.join(has)} alone: other heads have no vote"
    if predictions.similar:
        similar = ", ".join(f"{thing.name} ({cosine:.2f})" for thing, cosine in predictions.similar)
        yield f"most similar of those that have answers: {similar}"
    yield from predictions.remarks
