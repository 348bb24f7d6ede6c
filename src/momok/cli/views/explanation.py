"""An explanation of a fact on a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from momok.cli.views.parts import COLOURS, draw_bar, plain_table, say_percent, say_probability
from momok.console import make_printable
from momok.prediction import (
    ExplainedEntity,
    ExplainedFact,
    Explanation,
    SimilarEntity,
    SupportingFact,
)

__all__ = ["explanation_view"]

_BAR = 18  # columns of a bar of weight 1
_LONGEST_NAME = 36  # columns of the name before a list
_KNOWN = {
    None: "no: the graph does not have this fact",
    "train": "train: the model learned from this fact",
    "valid": "valid: held out, and used to choose the checkpoint",
    "test": "test: held out from training",
}
_REASONS = {
    "direct": "joins both",
    "path": "one step away",
    "relation": "same relation",
    "other": "",
}


def explanation_view(explanation: Explanation, *, ascii_only: bool = False) -> Group:
    """All that is said of a fact, top down: the number, its parts, what lies behind them.

    Args:
        explanation: what ``Predictor.explain`` gave.
        ascii_only: draw without block characters.
    """
    parts: list[RenderableType] = [
        _Words(ascii_only).headline(explanation),
        Text(),
        _summary(explanation, ascii_only),
        _heads(explanation, ascii_only),
        _modalities(explanation, ascii_only),
        *_experts(explanation, ascii_only),
        *_evidence(explanation),
        *_support(explanation, ascii_only),
    ]
    if explanation.source.remark:
        parts += [Text(), Text(make_printable(explanation.source.remark), style="yellow")]
    return Group(*parts)


class _Words:
    """How facts are written."""

    def __init__(self, ascii_only: bool) -> None:
        self._dash, self._arrow = ("--", "->") if ascii_only else ("—", "→")

    def headline(self, fact: ExplainedFact) -> Text:
        """The fact in bold, with the labels below where they differ from the names."""
        text = self.fact(fact)
        text.stylize("bold")
        things = (fact.head, fact.relation, fact.tail)
        if any(thing.label != thing.name for thing in things):
            labels = "  ".join(make_printable(thing.label) for thing in things)
            text.append(f"\n{labels}", style="dim not bold")
        return text

    def fact(self, fact: ExplainedFact) -> Text:
        """``head — relation → tail``."""
        relation = make_printable(fact.relation.name)
        return Text.assemble(
            _entity(fact.head), f" {self._dash} {relation} {self._arrow} ", _entity(fact.tail)
        )


def _entity(entity: ExplainedEntity) -> Text:
    """The title of an entity, linked to its picture where a terminal can follow links."""
    link = entity.picture.absolute().as_uri() if entity.picture else None
    return Text(make_printable(entity.title), style=Style(link=link))


def _summary(explanation: Explanation, ascii_only: bool) -> Table:
    table = Table.grid(padding=(0, 2))
    table.add_column(style="dim")
    table.add_column()
    bar = draw_bar(explanation.probability, _BAR, "bold", ascii_only=ascii_only)
    probability = Text.assemble((f"{say_probability(explanation.probability)}  ", "bold"), bar)
    table.add_row("probability", probability)
    if explanation.calibrated is not None:
        table.add_row("calibrated", Text(say_probability(explanation.calibrated)))
    asked = explanation.asked
    table.add_row(
        "rank",
        f"{explanation.rank:,} of {explanation.candidates:,} candidates for the {asked}, other "
        "known answers left out",
    )
    table.add_row("known", _KNOWN[explanation.known])
    for entity in (explanation.head, explanation.tail):
        if entity.picture is not None:
            path = Text(make_printable(str(entity.picture)), overflow="fold")
            table.add_row(Text(f"picture of {make_printable(entity.name)}"), path)
    return table


def _heads(explanation: Explanation, ascii_only: bool) -> Table:
    calibrated = any(head.calibrated is not None for head in explanation.heads)
    columns = ["decision head", "probability", *(["calibrated"] if calibrated else []), "share", ""]
    table = plain_table(*columns)
    for number, head in enumerate(explanation.heads):
        colour = COLOURS[number % len(COLOURS)]
        row = [
            Text(make_printable(head.name), style=colour),
            Text(say_probability(head.probability)),
        ]
        if calibrated:
            row.append(Text("-" if head.calibrated is None else say_probability(head.calibrated)))
        row += [Text(say_percent(head.share)), _draw(head.share, number, ascii_only)]
        table.add_row(*row)
    return table


def _modalities(explanation: Explanation, ascii_only: bool) -> Table:
    fusion = explanation.fusion
    columns = ["modality", "share", ""]
    if fusion is not None:
        columns += ["attention\nquery", "\ncandidate"]
    table = plain_table(*columns, "has it\nhead", "\ntail")
    for number, part in enumerate(explanation.modalities):
        row = [
            Text(make_printable(part.name), style=COLOURS[number % len(COLOURS)]),
            Text(say_percent(part.share)),
            _draw(part.share, number, ascii_only),
        ]
        if fusion is not None:
            weights = (fusion.query[part.name], fusion.candidate[part.name])
            row += [Text(say_percent(weight)) for weight in weights]
        row += [
            Text("yes" if has else "no", style="" if has else "yellow")
            for has in (part.present_head, part.present_tail)
        ]
        table.add_row(*row)
    return table


def _experts(explanation: Explanation, ascii_only: bool) -> Iterator[RenderableType]:
    """The gates of the experts; where there is one expert there is nothing to say."""
    if all(len(gates.query_gates) == 1 for gates in explanation.experts.values()):
        return
    table = plain_table("expert", "query", "", "average", "candidate")
    for number, (modality, gates) in enumerate(explanation.experts.items()):
        colour = COLOURS[number % len(COLOURS)]
        for expert, weight in enumerate(gates.query_gates):
            average = gates.relation_average
            table.add_row(
                Text(f"{make_printable(modality)} {expert + 1}", style=colour),
                Text(say_percent(weight)),
                _draw(weight, number, ascii_only),
                Text("-" if average is None else say_percent(average[expert]), style="dim"),
                Text(say_percent(gates.candidate_gates[expert]), style="dim"),
            )
        table.add_section()
    yield table
    query, candidate = explanation.head, explanation.tail
    if explanation.asked == "head":
        query, candidate = candidate, query
    yield Text(
        f"query: {make_printable(query.name)} under {make_printable(explanation.relation.name)}; "
        f"average: of its {explanation.relation_queries:,} train queries for the "
        f"{explanation.asked}; candidate: {make_printable(candidate.name)}",
        style="dim",
    )


def _evidence(explanation: Explanation) -> Iterator[RenderableType]:
    """Per modality, the similar entities that hold the relation to the same answer."""
    yield Text("\nSimilar entities that hold the relation to the other side in train", style="bold")
    told = False
    for number, (modality, evidence) in enumerate(explanation.evidence.items()):
        lists = ((explanation.head, evidence.like_head), (explanation.tail, evidence.like_tail))
        table = Table.grid(padding=(0, 2))
        table.add_column(max_width=_LONGEST_NAME)
        for entity, similar in lists:
            name = make_printable(entity.name)
            if similar is None:
                remark = f"has no {make_printable(modality)} of its own"
                table.add_row(f"  like {name}", Text(remark, style="yellow"))
            elif similar:
                table.add_row(f"  like {name}", _similar(similar))
        if table.row_count:
            kind = "its features" if evidence.vectors == "features" else "trained vectors"
            title = Text(make_printable(modality), style=COLOURS[number % len(COLOURS)])
            title.append(f"  cosine of {kind}", style="dim")
            title.append(f" (place among {evidence.compared:,})", style="dim")
            yield Group(title, table)
            told = True
    if not told:
        yield Text("  no other entity holds this relation to either side", style="dim")


def _similar(similar: Sequence[SimilarEntity]) -> Text:
    text = Text()
    for place, each in enumerate(similar):
        text.append(", " if place else "")
        text.append_text(_entity(each.entity))
        text.append(f" {each.similarity:.2f} ({each.rank:,})", style="dim")
    return text


def _support(explanation: Explanation, ascii_only: bool) -> Iterator[RenderableType]:
    sides = (
        (explanation.head, explanation.head_facts, explanation.head_fact_count),
        (explanation.tail, explanation.tail_facts, explanation.tail_fact_count),
    )
    for entity, facts, count in sides:
        name = make_printable(entity.name)
        shown = f"{len(facts):,} of {count:,}" if len(facts) < count else f"{count:,}"
        title = Text(f"\nTrain facts about {name}", style="bold")
        title.append(f"  {shown}", style="dim not bold")
        yield title
        table = Table.grid(padding=(0, 2))
        for row in _describe(facts, ascii_only):
            table.add_row(*row)
        yield table


def _describe(facts: Iterable[SupportingFact], ascii_only: bool) -> Iterator[tuple[Text, Text]]:
    words = _Words(ascii_only)
    for fact in facts:
        text = words.fact(fact)
        if fact.via is not None:
            text.append("; ", style="dim")
            text.append_text(words.fact(fact.via))
        yield Text(f"  {_REASONS[fact.reason]}", style="dim"), text


def _draw(weight: float, number: int, ascii_only: bool) -> Text:
    return draw_bar(weight, _BAR, COLOURS[number % len(COLOURS)], ascii_only=ascii_only)
