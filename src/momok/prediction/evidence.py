"""Train facts about the two sides of a fact, the most telling first.

Shapes: F train facts, N entities, n facts about one entity.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momok.prediction.explanation import Reason

__all__ = ["Support", "TrainFacts"]

Ints = NDArray[np.int64]

_REASONS: tuple[Reason, ...] = ("direct", "path", "relation", "other")


@dataclass(frozen=True)
class Support:
    """A train fact that is listed, by its row in the train facts.

    Attributes:
        fact: its row.
        reason: why it is listed.
        via: for ``path``, the row of a train fact that joins its other end to the other side.
    """

    fact: int
    reason: Reason
    via: int | None


class TrainFacts:
    """The train facts by entity.

    Args:
        facts: [F, 3] head, relation, tail.
        num_entities: N.
    """

    def __init__(self, facts: Ints, num_entities: int) -> None:
        self.facts = facts
        ends = np.concatenate([facts[:, 0], facts[:, 2]])
        rows = np.tile(np.arange(len(facts)), 2)
        # A fact from an entity to itself is about one entity once.
        keep = np.concatenate([np.full(len(facts), True), facts[:, 0] != facts[:, 2]])
        ends, rows = ends[keep], rows[keep]
        self._rows = rows[np.argsort(ends, kind="stable")]
        self._degrees = np.bincount(ends, minlength=num_entities)
        self._stops = np.cumsum(self._degrees)

    def about(self, entity: int) -> Ints:
        """Rows of the facts [n] that have the entity on either side."""
        stop = self._stops[entity]
        rows: Ints = self._rows[stop - self._degrees[entity] : stop]
        return rows

    def find_support(
        self, entity: int, other_side: int, relation: int, explained: Ints, limit: int
    ) -> tuple[list[Support], int]:
        """The most telling facts about one side of a fact, and how many facts there are.

        First come facts that join the two sides, then facts whose other end has a fact with the
        other side, then facts of the same relation, then the rest. Among those, facts of the
        relation come first, then facts whose other end has few facts: a path over an entity that
        everything is joined to says little.

        Args:
            entity: the side asked for.
            other_side: the other entity of the fact.
            relation: its relation.
            explained: [3] the fact itself, which is no support of itself.
            limit: how many at most.
        """
        rows = self.about(entity)
        rows = rows[(self.facts[rows] != explained).any(axis=1)]
        ends = self._other_ends(rows, entity)
        joined = np.unique(self._other_ends(self.about(other_side), other_side))
        steps = np.isin(ends, joined[joined != entity])  # the other side itself is direct
        same = self.facts[rows, 1] == relation
        direct = ends == other_side
        reasons = np.select([direct, steps, same], [0, 1, 2], default=3)
        order = np.lexsort((rows, self._degrees[ends], ~same, reasons))[:limit]
        chosen = [
            Support(
                int(rows[i]),
                _REASONS[reasons[i]],
                self._find_step(int(ends[i]), other_side, relation) if reasons[i] == 1 else None,
            )
            for i in order
        ]
        return chosen, len(rows)

    def _find_step(self, entity: int, other_side: int, relation: int) -> int:
        """A fact that joins two entities, of this relation if there is one."""
        rows = self.about(other_side)
        rows = rows[self._other_ends(rows, other_side) == entity]
        return int(rows[np.argmax(self.facts[rows, 1] == relation)])

    def _other_ends(self, rows: Ints, entity: int) -> Ints:
        """The other entity of facts about one: [n]."""
        heads, tails = self.facts[rows, 0], self.facts[rows, 2]
        ends: Ints = np.where(heads == entity, tails, heads)
        return ends
