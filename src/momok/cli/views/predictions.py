"""Predictions as a table on a terminal: score, known or not, and the part of every modality."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise

from rich import box
from rich.console import Group
from rich.table import Table
from rich.text import Text

from momok.console import make_printable
from momok.prediction import NewPredictions, Prediction, Predictions
from momok.prediction.explanation import leading_expert

__all__ = ["prediction_table"]

_COLOURS = ("cyan", "magenta", "yellow", "green", "blue", "red")
_SHADES = "█▓▒░"  # so that the parts of a bar differ without colours too
_BAR = 10  # columns of a bar of score 1
_SCORE = 6  # columns of a head's score and the blank behind it
_NAME = 16  # columns that a name has at least
_GAP = 3  # columns between two


def prediction_table(
    predictions: Predictions, *, width: int = 80, ascii_only: bool = False
) -> Group:
    """The answers to one question, with remarks on how to read them below.

    Args:
        predictions: what ``Predictor.predict`` gave.
        width: columns there are; with few, the heads' own scores are left out, then the bars.
        ascii_only: draw without block characters.
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
    table = _build_empty(predictions, columns, bar=bar, probability=calibrated)
    table.title = _say_question(predictions, ascii_only)
    for prediction in predictions:
        cells = [
            Text(str(prediction.rank), style="dim"),
            Text(make_printable(prediction.title), style="bold" if prediction.rank == 1 else ""),
            Text(f"{prediction.score:.4f}"),
        ]
        if prediction.probability is not None:
            cells.append(Text(f"{100 * prediction.probability:.1f}%"))
        if bar:
            cells.append(_draw_bar(prediction, ascii_only))
        for number, name in enumerate(columns):
            cell = _say_share(prediction, name, number) if name in modalities else Text()
            cells.append(_say_score(prediction, name) + cell if scores else cell)
        cells.append(Text(prediction.known or "", style="green"))
        table.add_row(*cells)
    remarks = [Text(line, style="dim") for line in _remark(predictions, scores=scores)]
    return Group(table, *remarks)


def _say_question(predictions: Predictions, ascii_only: bool) -> Text:
    question = make_printable(str(predictions.question))
    if ascii_only:
        question = question.replace("—", "--").replace("→", "->")
    return Text(question, style="bold")


def _build_empty(
    predictions: Predictions, columns: Sequence[str], *, bar: bool, probability: bool
) -> Table:
    table = Table(title_justify="left", box=box.SIMPLE_HEAD, expand=False)
    table.add_column("#", justify="right", no_wrap=True)
    table.add_column(predictions.question.asked, overflow="fold", min_width=_NAME)
    table.add_column("score", no_wrap=True)
    if probability:
        table.add_column("prob.", justify="right", no_wrap=True)
    if bar:
        table.add_column("", no_wrap=True, min_width=_BAR)
    for number, name in enumerate(columns):
        header = Text(make_printable(name), style=_COLOURS[number % len(_COLOURS)])
        table.add_column(header, justify="right", no_wrap=True)
    table.add_column("known", no_wrap=True)
    return table


def _draw_bar(prediction: Prediction, ascii_only: bool) -> Text:
    """A bar as long as the score, cut into the parts that the modalities put in.

    Rounding the borders, not the parts, keeps its length.
    """
    if ascii_only:
        return Text("#" * round(prediction.score * _BAR))
    ends = accumulate(share * prediction.score for share in prediction.shares.values())
    borders = [0, *(round(end * _BAR) for end in ends)]
    bar = Text()
    for number, (start, stop) in enumerate(pairwise(borders)):
        shade = _SHADES[number % len(_SHADES)]
        bar.append(shade * (stop - start), style=_COLOURS[number % len(_COLOURS)])
    return bar


def _say_score(prediction: Prediction, head: str) -> Text:
    """The head's own score, where it voted on this answer."""
    said = prediction.heads.get(head)
    return Text("" if said is None else f"{said:.3f} ")


def _say_share(prediction: Prediction, modality: str, number: int) -> Text:
    """A share in percent; in brackets where the entity has no features of that modality."""
    percent = f"{100 * prediction.shares[modality]:.0f}%"
    if not prediction.present[modality]:
        return Text(f"({percent})".rjust(5), style="dim")
    return Text(percent.rjust(4), style=_COLOURS[number % len(_COLOURS)])


def _remark(predictions: Predictions, *, scores: bool) -> list[str]:
    if not len(predictions):
        return [
            "No answers: every candidate is a known fact, or not plausible where that is asked."
        ]
    voted = dict.fromkeys(h for p in predictions for h, said in p.heads.items() if said is not None)
    heads = ", ".join(map(make_printable, voted))
    lines = [f"score: mean probability of the heads {heads}; %: each modality's part of it"]
    if scores:
        lines.append("decimals under a head: its own probability")
    if predictions[0].probability is not None:
        lines.append(
            "prob.: how often such an answer was a held-out fact, for a question that has one"
        )
    absent = {m for p in predictions for m, has in p.present.items() if not has}
    if absent:
        names = ", ".join(make_printable(m) for m in predictions.query_present if m in absent)
        lines.append(f"(%): this entity has no {names} of its own; the vector was learned instead")
    leading = [
        f"{make_printable(modality)} {leading_expert(gate) + 1} of {len(gate)} ({max(gate):.0%})"
        for modality, gate in predictions.experts.items()
        if len(gate) > 1
    ]
    if leading:
        lines.append(f"leading expert of the query: {', '.join(leading)}")
    if isinstance(predictions, NewPredictions):
        lines += _remark_new(predictions)
    count = sum(prediction.known is not None for prediction in predictions)
    if count:
        what = "answer is a fact" if count == 1 else "answers are facts"
        lines.append(f"{count} {what} the graph has already; --known hide leaves these out")
    return lines


def _remark_new(predictions: NewPredictions) -> list[str]:
    said = [name for name, has in predictions.query_present.items() if has]
    lines = [f"a new entity, known by its {', '.join(said)} alone: other heads have no vote"]
    if predictions.similar:
        similar = ", ".join(f"{thing.name} ({cosine:.2f})" for thing, cosine in predictions.similar)
        lines.append(f"most similar of those that have answers: {similar}")
    return [make_printable(line) for line in (*lines, *predictions.remarks)]
