"""The neighbourhood of an entity: which facts are shown of it, and where they are drawn.

Facts are grouped by relation. Those in which it is the tail stand on the left, so that they read
from left to right as the others, as long as that does not make the picture long.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from momok.graph import SPLIT_NAMES
from momok.serving import schemas
from momok.serving.model_holder import ServedModel
from momok.serving.reviews.records import Review

Kind = Literal["known", "predicted", "accepted", "rejected", "unsure", "disputed"]

MOST_KNOWN, MOST_PREDICTED, MOST_REVIEWED = 36, 16, 24

# Of the picture, in its own units; names have the room beside the columns.
WIDTH, _COLUMN = 1000, 190  # the columns lie this far from the middle
_ROW, _HEADING, _GAP, _MARGIN = 25, 25, 9, 14
_CENTRE = 22  # radius of the middle


@dataclass(frozen=True, kw_only=True)
class Edge:
    """A fact about the entity in the middle.

    Attributes:
        relation, other: ids; the other entity.
        reverse: whether the other one is its head.
        both: whether it holds both ways round, and is drawn once.
        kind: known, predicted, or what reviewers have decided.
        probability: of a predicted fact.
        remark: the split of a known one, or who has decided.
    """

    relation: int
    other: int
    reverse: bool
    both: bool = False
    kind: Kind
    probability: float | None = None
    remark: str = ""


@dataclass(frozen=True)
class Node:
    """An edge in its place: x, y of the other entity, its column, the path from head to tail."""

    edge: Edge
    x: float
    y: float
    left: bool
    path: str


@dataclass(frozen=True)
class Heading:
    """The relation of the edges below it, and whether they lead to the middle."""

    relation: int
    x: float
    y: float
    left: bool
    inward: bool


@dataclass(frozen=True)
class Drawing:
    """A neighbourhood with the places of its parts.

    Attributes:
        height: of the picture, whose width is ``WIDTH``.
        middle: y of the entity; x is half of the width.
        nodes, headings: from top to bottom, those on the left first.
    """

    height: float
    middle: float
    nodes: list[Node]
    headings: list[Heading]


def find_known(model: ServedModel, entity: int) -> tuple[list[Edge], int]:
    """Known facts about an entity, some of every relation; and how many there are in all."""
    facts, R = model.graph.fact_index, model.graph.num_relations
    roles, others, rows = facts.about(entity)
    found = zip(roles.tolist(), others.tolist(), facts.splits_of(rows).tolist(), strict=True)
    edges = [
        Edge(
            relation=role % R,
            other=other,
            reverse=role >= R,
            kind="known",
            remark=SPLIT_NAMES[split],
        )
        for role, other, split in found
    ]
    edges = _merge(model, edges)
    edges.sort(key=lambda edge: -int(facts.degrees[edge.other]))
    seen: Counter[tuple[int, bool]] = Counter()
    places = []  # within their role
    for edge in edges:
        places.append(seen[edge.relation, edge.reverse])
        seen[edge.relation, edge.reverse] += 1
    first = sorted(range(len(edges)), key=places.__getitem__)[:MOST_KNOWN]
    return [edges[place] for place in sorted(first)], len(edges)


def find_predicted(model: ServedModel, answers: schemas.EntityPredictionsAnswer) -> list[Edge]:
    """New facts about an entity, the likeliest first."""
    graph = model.graph
    edges = [
        Edge(
            relation=graph.relations.index(group.relation.label),
            other=graph.entities.index(answer.label),
            reverse=group.asked == "head",
            kind="predicted",
            probability=answer.score if answer.probability is None else answer.probability,
        )
        for group in answers.groups
        for answer in group.predictions
    ]
    return _merge(model, sorted(edges, key=lambda edge: -(edge.probability or 0.0)))


def find_reviewed(model: ServedModel, entity: int, reviews: Iterable[Review]) -> list[Edge]:
    """What was decided about an entity, as far as the graph has the labels."""
    entities, relations = model.graph.entities, model.graph.relations
    edges = []
    for review in reviews:
        labels = review.head, review.tail
        if review.relation in relations and all(label in entities for label in labels):
            head, tail = map(entities.index, labels)
            edges.append(
                Edge(
                    relation=relations.index(review.relation),
                    other=tail if head == entity else head,
                    reverse=head != entity,
                    kind=review.state,  # type: ignore[arg-type]  # none of them is open
                    remark=review.reviewer,
                )
            )
    return _merge(model, edges)


def _merge(model: ServedModel, edges: Iterable[Edge]) -> list[Edge]:
    """Facts of symmetric relations that are there both ways round as one."""
    merged: dict[tuple[int, int, bool], Edge] = {}
    for edge in edges:
        symmetric = model.mirrors.is_symmetric(edge.relation)
        key = edge.relation, edge.other, edge.reverse and not symmetric
        if key in merged:
            merged[key] = replace(merged[key], reverse=False, both=True)
        else:
            merged[key] = edge
    return list(merged.values())


def leave_out(edges: Iterable[Edge], others: Iterable[Edge]) -> list[Edge]:
    """The edges that are not among others, whatever is known of them."""
    there = {(edge.relation, edge.other, edge.reverse and not edge.both) for edge in others}
    return [edge for edge in edges if (edge.relation, edge.other, edge.reverse) not in there]


def draw(edges: Sequence[Edge]) -> Drawing:
    """Give every edge its place, grouped by relation, in two columns of about the same height."""
    groups: dict[tuple[int, bool], list[Edge]] = {}
    for edge in edges:
        groups.setdefault((edge.relation, edge.reverse), []).append(edge)
    columns = _balance(list(groups.values()))
    heights = [sum(map(_measure, column)) - _GAP for column in columns]
    height = max(*heights, 6 * _CENTRE) + 2 * _MARGIN
    drawing = Drawing(height, height / 2, [], [])
    for column, tall, left in zip(columns, heights, (True, False), strict=True):
        x = WIDTH / 2 + (-_COLUMN if left else _COLUMN)
        y = (height - tall) / 2
        for group in column:
            inward = group[0].reverse
            drawing.headings.append(Heading(group[0].relation, x, y + _HEADING - 8, left, inward))
            y += _HEADING
            for edge in group:
                path = _bend(x, y + _ROW / 2, drawing.middle, left=left, inward=inward)
                drawing.nodes.append(Node(edge, x, y + _ROW / 2, left, path))
                y += _ROW
            y += _GAP
    return drawing


def _balance(groups: list[list[Edge]]) -> tuple[list[list[Edge]], list[list[Edge]]]:
    """Those whose entities are heads on the left, tails on the right; the last of the longer column
    go over to the other one while that makes the picture lower."""
    left = [group for group in groups if group[0].reverse]
    right = [group for group in groups if not group[0].reverse]
    longer, shorter = sorted((left, right), key=lambda column: -sum(map(_measure, column)))
    difference = sum(map(_measure, longer)) - sum(map(_measure, shorter))
    while longer and _measure(longer[-1]) < difference:
        difference -= 2 * _measure(longer[-1])
        shorter.append(longer.pop())
    return left, right


def _measure(group: Sequence[Edge]) -> float:
    """How high a group is, with the gap below it."""
    return len(group) * _ROW + _HEADING + _GAP


def _bend(x: float, y: float, middle: float, *, left: bool, inward: bool) -> str:
    """A path from the head to the tail that is level at both; its ends leave room for a tip."""
    sign = -1 if left else 1
    start, end = WIDTH / 2 + sign * (_CENTRE + 6), x - sign * 12
    between = (start + end) / 2
    points = [(start, middle), (between, middle), (between, y), (end, y)]
    if inward:
        points.reverse()
    first, *rest = (f"{px:.1f} {py:.1f}" for px, py in points)
    return f"M{first}C{' '.join(rest)}"
