"""The known facts of an entity, and what every relation joins.

Shapes: F facts of all splits, R relations; relation ids in 0..2R-1 here, r + R is r reversed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.graph import SPLIT_NAMES, MultimodalGraph, SplitName

__all__ = ["FactIndex", "KnownFact"]

Ints: TypeAlias = NDArray[np.int64]


@dataclass(frozen=True)
class KnownFact:
    """A fact of one entity.

    Attributes:
        relation: its id, 0..R-1.
        reverse: whether the entity is the tail.
        other: the entity on the other side.
        split: where the fact is from.
    """

    relation: int
    reverse: bool
    other: int
    split: SplitName


class FactIndex:
    """Facts of all splits, by entity."""

    def __init__(self, graph: MultimodalGraph) -> None:
        self._num_relations = graph.num_relations
        parts = [graph.facts(split) for split in SPLIT_NAMES]
        h, r, t = np.concatenate(parts).T
        splits = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
        entities, relations = np.concatenate([h, t]), np.concatenate([r, r + graph.num_relations])
        others, splits = np.concatenate([t, h]), np.concatenate([splits, splits])
        order = np.lexsort((others, relations, entities))
        self._relations, self._others = relations[order], others[order]
        self._splits = splits[order]
        self._starts = np.searchsorted(entities[order], np.arange(graph.num_entities + 1))
        keys = np.unique(np.stack([relations, others]), axis=1)  # who answers which question
        self._answers = keys[1]
        self._answer_starts = np.searchsorted(keys[0], np.arange(2 * graph.num_relations + 1))

    def count(self, entity: int) -> int:
        """How many facts an entity is in, once per side."""
        return int(self._starts[entity + 1] - self._starts[entity])

    def list_facts(self, entity: int, start: int = 0, limit: int | None = None) -> list[KnownFact]:
        """The facts of an entity, by relation: those in which it is the head first."""
        begin, end = int(self._starts[entity]), int(self._starts[entity + 1])
        begin += start
        end = end if limit is None else min(begin + limit, end)
        return [self._build(row) for row in range(begin, end)]

    def count_by_relation(self, entity: int) -> list[tuple[int, bool, int]]:
        """(relation, whether the entity is the tail, how many facts), for those it has."""
        found, counts = np.unique(self._rows(entity, self._relations), return_counts=True)
        return [
            (r % self._num_relations, r >= self._num_relations, n)
            for r, n in zip(found.tolist(), counts.tolist(), strict=True)
        ]

    def list_relation(
        self, entity: int, relation: int, reverse: bool, limit: int
    ) -> list[KnownFact]:
        """The facts of an entity in one relation and role."""
        wanted = relation + self._num_relations * reverse
        part = self._rows(entity, self._relations)
        begin, end = np.searchsorted(part, [wanted, wanted + 1]) + self._starts[entity]
        return [self._build(row) for row in range(begin, min(int(end), int(begin) + limit))]

    def roles(self, entity: int) -> Ints:
        """The relations, in 0..2R-1, that an entity has facts of."""
        roles: Ints = np.unique(self._rows(entity, self._relations))
        return roles

    def answers(self, relation: int) -> Ints:
        """The entities that are known to answer questions of a relation in 0..2R-1, sorted."""
        begin, end = self._answer_starts[relation], self._answer_starts[relation + 1]
        answers: Ints = self._answers[begin:end]
        return answers

    def relation_counts(self) -> Ints:
        """Known facts per relation [R]."""
        forward = self._relations[self._relations < self._num_relations]
        return np.bincount(forward, minlength=self._num_relations)

    def best_known(self) -> Ints:
        """Entities by their number of facts, most first."""
        order: Ints = np.argsort(-np.diff(self._starts), kind="stable")
        return order

    def _rows(self, entity: int, column: Ints) -> Ints:
        return column[self._starts[entity] : self._starts[entity + 1]]

    def _build(self, row: int) -> KnownFact:
        relation = int(self._relations[row])
        return KnownFact(
            relation=relation % self._num_relations,
            reverse=relation >= self._num_relations,
            other=int(self._others[row]),
            split=SPLIT_NAMES[int(self._splits[row])],
        )
