"""Explanations on a terminal: of a fact, and of what the model has learned of the relations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from rich.console import Group, RenderableType
from rich.style import Style
from rich.table import Column, Table
from rich.text import Text

from momok.arrays import Floats
from momok.cli.views import (
    build_fields,
    build_table,
    choose_colour,
    colour_name,
    draw_bar,
    draw_curve,
    format_percent,
    format_probability,
)
from momok.console import make_printable, shorten_middle
from momok.prediction import (
    ExplainedEntity,
    ExplainedFact,
    Explanation,
    ModelExplanation,
    SimilarEntity,
)
from momok.prediction.explanation import leading_expert
from momok.prediction.questions import Side

_BAR = 18  # columns of a bar of weight 1
_LONGEST_NAME, _SHORT_NAME = 36, 26  # columns of a name
_CURVE = 30  # columns of a curve
_ASKED: dict[Side, str] = {"tail": "(h, r, ?)", "head": "(?, r, t)"}
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
        yield Text("  no other entity holds this relation to either side", style="dim")


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
        shown = f"{len(facts):,} of {count:,}" if len(facts) < count else f"{count:,}"
        title = Text(f"\nTrain facts about {make_printable(entity.name)}", style="bold")
        yield title.append(f"  {shown}", style="dim not bold")
        table = Table.grid(padding=(0, 2))
        for fact in facts:
            path = [_format_fact(part) for part in (fact, fact.via) if part is not None]
            reason = Text(f"  {_REASONS[fact.reason]}", style="dim")
            table.add_row(reason, Text("; ", style="dim").join(path))
        yield table


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
