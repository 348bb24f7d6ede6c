"""Predictions as a table on a terminal: score, known or not, and the part of every modality."""

from __future__ import annotations

from collections.abc import Iterator

from rich.console import Group
from rich.table import Column
from rich.text import Text

from momok.cli.views import build_table, choose_colour, colour_name, draw_bar, format_percent
from momok.console import make_printable
from momok.prediction import NewPredictions, Prediction, Predictions
from momok.prediction.explanation import leading_expert

_BAR = 10  # columns of a bar of score 1
_SCORE = 6  # columns of a head's score and the blank behind it
_NAME = 16  # columns that a name has at least
_GAP = 3  # columns between two


def show_predictions(predictions: Predictions, *, width: int = 80) -> Group:
    """The answers to one question, with remarks on how to read them below.

    Args:
        predictions: what ``Predictor.predict`` gave.
        width: columns there are; with few, the heads' own scores are left out, then the bars.
    """
    modalities = list(predictions.query_present)
    calibrated = any(prediction.probability is not None for prediction in predictions)
    needed = _NAME + 20 + (5 + _GAP) * calibrated + sum(max(len(m), 5) + _GAP for m in modalities)
    bar = width >= needed + _BAR + _GAP
    heads = predictions[0].heads if len(predictions) else {}
    others = [head for head in heads if head not in modalities]
    wider = _SCORE * len(modalities) + sum(max(len(h), _SCORE) + _GAP for h in others)
    scores = width >= needed + _BAR + _GAP + wider
    columns = [*modalities, *others] if scores else modalities
    table = build_table(
        Column("#", justify="right", no_wrap=True),
        Column(predictions.question.asked, overflow="fold", min_width=_NAME),
        "score",
        *(["prob."] if calibrated else []),
        *([""] if bar else []),
        *(colour_name(column, number) for number, column in enumerate(columns)),
        Column("known", no_wrap=True),
        text=0,
        title=str(predictions.question),
    )
    for prediction in predictions:
        cells: list[Text | str] = [
            Text(str(prediction.rank), style="dim"),
            Text(make_printable(prediction.title), style="bold" if prediction.rank == 1 else ""),
            f"{prediction.score:.4f}",
        ]
        if calibrated:
            cells.append(format_percent(prediction.probability, 1))
        if bar:
            parts = (share * prediction.score for share in prediction.shares.values())
            cells.append(draw_bar(*parts, columns=_BAR))
        cells += [_build_cell(prediction, c, i, scores=scores) for i, c in enumerate(columns)]
        table.add_row(*cells, Text(prediction.known or "", style="green"))
    return Group(table, *(Text(line, style="dim") for line in _explain(predictions, scores)))


def _build_cell(prediction: Prediction, column: str, number: int, *, scores: bool) -> Text:
    """The head's own score where it voted, and the share of a modality.

    A share is in brackets where the entity has no features of that modality.
    """
    cell = Text()
    score = prediction.heads.get(column)
    if scores and score is not None:
        cell.append(f"{score:.3f} ")
    if column in prediction.shares:
        share = format_percent(prediction.shares[column])
        if prediction.present[column]:
            cell.append(share.rjust(4), style=choose_colour(number))
        else:
            cell.append(f"({share})".rjust(5), style="dim")
    return cell


def _explain(predictions: Predictions, scores: bool) -> Iterator[str]:
    """How the table is to be read."""
    if not len(predictions):
        yield "No answers: every candidate is a known fact, or not plausible where that is asked."
        return
    heads = ", ".join(map(make_printable, predictions[0].heads))
    yield f"score: mean probability of the heads {heads}; %: each modality's part of it"
    if scores:
        yield "decimals under a head: its own probability"
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
