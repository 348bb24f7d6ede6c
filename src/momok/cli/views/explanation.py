"""Explanations of facts on a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Table
from rich.text import Text

from momok.cli.views import (
    build_fields,
    build_table,
    colour_name,
    draw_bar,
    format_percent,
    format_probability,
)
from momok.console import make_printable
from momok.prediction import ExplainedEntity, ExplainedFact, Explanation, SimilarEntity

_BAR = 18  # columns of a bar of weight 1
_LONGEST_NAME = 36  # columns of a name
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


def show_explanation(explanation: Explanation) -> Group:
    """All that is said of a fact, top down: the number, its parts, what lies behind them."""
    parts: list[RenderableType] = [
        _show_headline(explanation),
        Text(),
        _show_summary(explanation),
        _show_heads(explanation),
        _show_modalities(explanation),
        *_show_experts(explanation),
        *_show_rules(explanation),
        *_show_similar(explanation),
        *_show_facts(explanation),
    ]
    if explanation.source.remark:
        parts += [Text(), Text(make_printable(explanation.source.remark), style="yellow")]
    return Group(*parts)


def _show_headline(fact: ExplainedFact) -> Text:
    """The fact in bold, with the labels below where they differ from the names."""
    text = _format_fact(fact)
    text.stylize("bold")
    things = (fact.head, fact.relation, fact.tail)
    if any(thing.label != thing.name for thing in things):
        labels = "  ".join(make_printable(thing.label) for thing in things)
        text.append(f"\n{labels}", style="dim not bold")
    return text


def _format_fact(fact: ExplainedFact) -> Text:
    relation = f" — {make_printable(fact.relation.name)} → "
    return Text.assemble(_format_entity(fact.head), relation, _format_entity(fact.tail))


def _format_entity(entity: ExplainedEntity) -> Text:
    """The title of an entity, linked to its picture where a terminal can follow links."""
    link = entity.picture.absolute().as_uri() if entity.picture else None
    return Text(make_printable(entity.title), style=Style(link=link))


def _show_summary(explanation: Explanation) -> Table:
    bar = draw_bar(explanation.probability, columns=_BAR)
    shown = format_probability(explanation.probability)
    rows: list[tuple[str, RenderableType]] = [
        ("probability", Text.assemble((f"{shown}  ", "bold"), bar))
    ]
    if explanation.calibrated is not None:
        rows.append(("calibrated", format_probability(explanation.calibrated)))
    rows += [
        (
            "rank",
            f"{explanation.rank:,} of {explanation.candidates:,} candidates for the "
            f"{explanation.asked}, other known answers left out",
        ),
        ("known", _KNOWN[explanation.known]),
    ]
    for entity in (explanation.head, explanation.tail):
        if entity.picture is not None:
            rows.append((f"picture of {entity.name}", str(entity.picture)))
    return build_fields(rows)


def _show_heads(explanation: Explanation) -> Table:
    calibrated = any(head.calibrated is not None for head in explanation.heads)
    more = ["calibrated"] if calibrated else []
    table = build_table("decision head", "probability", *more, "share", "")
    for number, head in enumerate(explanation.heads):
        table.add_row(
            colour_name(head.name, number),
            format_probability(head.probability),
            *([format_probability(head.calibrated)] if calibrated else []),
            format_percent(head.share),
            draw_bar(head.share, columns=_BAR, number=number),
        )
    return table


def _show_modalities(explanation: Explanation) -> Table:
    fusion = explanation.fusion
    attention = [] if fusion is None else ["attention\nquery", "\ncandidate"]
    table = build_table("modality", "share", "", *attention, "has it\nhead", "\ntail")
    for number, part in enumerate(explanation.modalities):
        weights = [] if fusion is None else [fusion.query[part.name], fusion.candidate[part.name]]
        table.add_row(
            colour_name(part.name, number),
            format_percent(part.share),
            draw_bar(part.share, columns=_BAR, number=number),
            *map(format_percent, weights),
            *(
                Text("yes" if has else "no", style="" if has else "yellow")
                for has in (part.present_head, part.present_tail)
            ),
        )
    return table


def _show_experts(explanation: Explanation) -> Iterator[RenderableType]:
    """The gates of the experts; where there is one expert there is nothing to say."""
    if all(len(gates.query_gates) == 1 for gates in explanation.experts.values()):
        return
    table = build_table("expert", "query", "", "average", "candidate")
    for number, (modality, gates) in enumerate(explanation.experts.items()):
        for expert, weight in enumerate(gates.query_gates):
            average = gates.relation_average
            table.add_row(
                colour_name(f"{modality} {expert + 1}", number),
                format_percent(weight),
                draw_bar(weight, columns=_BAR, number=number),
                Text(format_percent(None if average is None else average[expert]), style="dim"),
                Text(format_percent(gates.candidate_gates[expert]), style="dim"),
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


def _show_rules(explanation: Explanation) -> Iterator[RenderableType]:
    """The rules that speak for the fact, each with facts that it rests on."""
    if explanation.rules is None:
        return
    shown = _format_count(len(explanation.rules), explanation.rule_count)
    yield Text("\nRules that speak for it", style="bold").append(f"  {shown}", "dim not bold")
    table = Table.grid(padding=(0, 2))
    for rule in explanation.rules:
        text = Text(make_printable(rule.reason))
        text.append(f"\n{make_printable(rule.rule)}", style="dim")
        if rule.leak:
            text.append("  a leak: it gives held-out facts away", style="yellow")
        table.add_row(Text("  because", style="dim"), text)
    yield table


def _format_count(shown: int, count: int) -> str:
    return f"{shown:,} of {count:,}" if shown < count else f"{count:,}"


def _show_similar(explanation: Explanation) -> Iterator[RenderableType]:
    """Per modality, the similar entities that hold the relation to the same answer."""
    yield Text("\nSimilar entities that hold the relation to the other side in train", style="bold")
    found = False
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
                table.add_row(f"  like {name}", _format_similar(similar))
        if table.row_count:
            kind = "its features" if evidence.vectors == "features" else "trained vectors"
            title = colour_name(modality, number)
            title.append(f"  cosine of {kind} (place among {evidence.compared:,})", style="dim")
            yield Group(title, table)
            found = True
    if not found:
        yield Text("  no similar entity holds this relation to either side", style="dim")


def _format_similar(similar: Sequence[SimilarEntity]) -> Text:
    text = Text()
    for place, each in enumerate(similar):
        text.append(", " if place else "")
        text.append_text(_format_entity(each.entity))
        text.append(f" {each.similarity:.2f} ({each.rank:,})", style="dim")
    return text


def _show_facts(explanation: Explanation) -> Iterator[RenderableType]:
    """The train facts about both sides."""
    sides = (
        (explanation.head, explanation.head_facts, explanation.head_fact_count),
        (explanation.tail, explanation.tail_facts, explanation.tail_fact_count),
    )
    for entity, facts, count in sides:
        title = Text(f"\nTrain facts about {make_printable(entity.name)}", style="bold")
        yield title.append(f"  {_format_count(len(facts), count)}", style="dim not bold")
        table = Table.grid(padding=(0, 2))
        for fact in facts:
            path = [_format_fact(part) for part in (fact, fact.via) if part is not None]
            reason = Text(f"  {_REASONS[fact.reason]}", style="dim")
            table.add_row(reason, Text("; ", style="dim").join(path))
        yield table
