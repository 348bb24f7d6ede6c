"""Questions to a model: facts with a hole, by label, name or id.

Shapes: n facts, R relations (2R with reciprocals).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any, TypeAlias, get_args

import numpy as np

from momok.arrays import Ints, find_whole_number
from momok.errors import ConfigError, UnknownLabelError
from momok.graph import MultimodalGraph
from momok.graph.candidates import Name, Side
from momok.graph.sources.frames import is_frame, list_rows

Triple: TypeAlias = tuple[Name | None, Name, Name | None]
"""A question: (head, relation, None) or (None, relation, tail)."""


@dataclass(frozen=True)
class Thing:
    """An entity or a relation, as people and as files know it."""

    label: str
    name: str

    def to_json(self) -> dict[str, str]:
        """The plain form."""
        return {"label": self.label, "name": self.name}


@dataclass(frozen=True, kw_only=True)
class Question:
    """A fact with a hole: ``(head, relation, ?)`` or ``(?, relation, tail)``.

    Attributes:
        entity: the side that is given.
        relation: the relation.
        asked: the side that is wanted.
    """

    entity: Thing
    relation: Thing
    asked: Side

    def __str__(self) -> str:
        if self.asked == "tail":
            return f"{self.entity.name} — {self.relation.name} → ?"
        return f"? — {self.relation.name} → {self.entity.name}"

    def to_json(self) -> dict[str, Any]:
        """The plain form: ``head`` or ``tail`` is null, the one asked for."""
        entity = self.entity.to_json()
        return {
            "head": entity if self.asked == "tail" else None,
            "relation": self.relation.to_json(),
            "tail": entity if self.asked == "head" else None,
        }


def check_side(name: str, side: str) -> None:
    """Check an argument that is a side of a fact; ConfigError where it is none."""
    if not isinstance(side, str) or side not in get_args(Side):
        raise ConfigError(f"{name} = {side!r}: expected 'head' or 'tail'")


def check_count(name: str, count: int, least: int) -> None:
    """Check how many of something are asked for: ConfigError where it is no whole number, or too
    few."""
    if find_whole_number(count) is None:
        raise ConfigError(f"{name} = {count!r}: expected a whole number")
    if count < least:
        raise ConfigError(f"{name} = {count}: expected at least {least}")


def check_flag(name: str, given: object) -> None:
    """Check an argument that is true or false; ConfigError where it is neither."""
    if not isinstance(given, bool | np.bool_):
        raise ConfigError(f"{name} = {given!r}: expected True or False")


def list_triples(given: Any, what: str) -> Any:
    """Facts or questions as triples: the rows of a frame, of labels; or those that are given. An
    array of numbers stays one.

    Raises:
        ConfigError: they are something else; it says ``what`` they should be.
        DataError: the columns of a frame cannot be told.
    """
    if is_frame(given):
        return list_rows(given, "the frame")
    if isinstance(given, np.ndarray) and given.ndim == 2 and given.dtype.kind in "biuf":
        return given
    wanted = f"expected {what} as (head, relation, tail), or a frame of them"
    try:
        rows = None if isinstance(given, str | bytes | Mapping | Set) else list(given)
    except TypeError:
        rows = None
    if rows is None:
        raise ConfigError(f"{type(given).__name__} {given!r:.80}: {wanted}")
    for number, row in enumerate(rows, start=1):
        if not isinstance(row, tuple | list | np.ndarray) or len(row) != 3:
            raise ConfigError(f"row {number}: {row!r:.80}: {wanted}")
    return [tuple(row) for row in rows]


def resolve_question(graph: MultimodalGraph, query: Triple) -> tuple[int, int]:
    """The query of a question: (entity, relation up to 2R - 1); a MomokError where it is none."""
    head, relation, tail = query
    if (head is None) == (tail is None):
        raise ConfigError(
            f"{query!r}: a question needs a relation and exactly one of head and tail; "
            "the other is what is asked"
        )
    reverse = graph.num_relations if head is None else 0
    entity = head if head is not None else tail
    assert entity is not None
    return graph.find_entity(entity), graph.find_relation(relation) + reverse


def label_question(
    graph: MultimodalGraph, head: int | None, relation: int, tail: int | None
) -> Triple:
    """A question or a fact of ids by its labels, which always name the same: where all labels are
    numbers, a number is taken for a label."""
    entities = graph.entities.labels
    return (
        None if head is None else entities[head],
        graph.relations.labels[relation],
        None if tail is None else entities[tail],
    )


def resolve_facts(graph: MultimodalGraph, facts: Sequence[tuple[Name, Name, Name]] | Ints) -> Ints:
    """Ids [n, 3] of facts given by label, name or id; a MomokError where they are none."""
    if not isinstance(facts, np.ndarray):
        found = [
            (graph.find_entity(h), graph.find_relation(r), graph.find_entity(t))
            for h, r, t in facts
        ]
        return np.array(found, dtype=np.int64).reshape(-1, 3)
    if facts.ndim != 2 or facts.shape[1] != 3 or not np.issubdtype(facts.dtype, np.integer):
        raise ConfigError(f"facts {facts.dtype} {facts.shape}: expected ids [n, 3]")
    limits = [graph.num_entities, graph.num_relations, graph.num_entities]
    if ((facts < 0) | (facts >= limits)).any():
        raise UnknownLabelError(f"facts: ids outside the vocabulary of {graph.name}")
    return facts.astype(np.int64)


def describe_entity(graph: MultimodalGraph, entity: int) -> Thing:
    """The entity of an id."""
    return Thing(graph.entities.labels[entity], graph.entity_names[entity])


def describe_relation(graph: MultimodalGraph, relation: int) -> Thing:
    """The relation of an id, without reciprocals."""
    return Thing(graph.relations.labels[relation], graph.relation_names[relation])


def describe_question(graph: MultimodalGraph, entity: int, relation: int) -> Question:
    """The question of a query, whose relation is up to 2R - 1."""
    forward = relation % graph.num_relations
    return Question(
        entity=describe_entity(graph, entity),
        relation=describe_relation(graph, forward),
        asked="tail" if relation == forward else "head",
    )
