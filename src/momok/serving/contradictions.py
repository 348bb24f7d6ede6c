"""What speaks against a new fact: what train says of its relation, with counts.

- single: almost every entity has one answer in this role, and this one has it already;
- type: of the entities in this role in train, almost none is of such a type;
- exclusive: another relation holds between the two, and of the pairs that could have both
  relations in train none has.

Shapes: R relations; a role in 0..2R-1 is a relation, or (from R on) a relation reversed.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache
from typing import Literal

import numpy as np

from momok.graph import MultimodalGraph
from momok.graph.fact_index import UNKNOWN

Ids = tuple[int, int, int]

_SINGLE = 0.95  # of the entities have one answer
_ENOUGH = 10  # entities to tell that by
_RARE = 0.01  # of the entities of a role are of this type
_ENOUGH_TYPED = 50
_ENOUGH_PAIRS = 20  # that could have both relations


@dataclass(frozen=True)
class Contradiction:
    """What a fact contradicts.

    Attributes:
        kind: see above.
        text: a sentence with the counts.
        known: the known fact that it contradicts, by ids; None of a type.
    """

    kind: Literal["single", "type", "exclusive"]
    text: str
    known: Ids | None = None


class Contradictions:
    """Finds what new facts of a graph contradict."""

    def __init__(self, graph: MultimodalGraph) -> None:
        self._graph, self._train = graph, graph.train_index
        self._count_single = cache(self._count_single_answers)
        self._count_types = cache(self._count_types_of)
        self._count_both = cache(self._count_pairs_of_both)

    def find(self, fact: Ids) -> list[Contradiction]:
        """All that speaks against a fact."""
        return [*self._find_single(fact), *self._find_types(fact), *self._find_exclusive(fact)]

    def _find_single(self, fact: Ids) -> list[Contradiction]:
        head, relation, tail = fact
        R, found = self._graph.num_relations, []
        for entity, role in ((head, relation), (tail, relation + R)):
            single, entities = self._count_single(role)
            if entities < _ENOUGH or single / entities < _SINGLE:
                continue
            side = "tail" if role == relation else "head"
            text = f"{single:,} of {entities:,} entities have only one {side} in train."
            _, answers = self._graph.fact_index.lookup(np.array([entity]), np.array([role]))
            for other in answers.tolist():
                known = (head, relation, other) if role == relation else (other, relation, tail)
                if known != fact:
                    found.append(Contradiction("single", text, known))
        return found

    def _find_types(self, fact: Ids) -> list[Contradiction]:
        head, relation, tail = fact
        found = []
        sides = ("head", head, relation + self._graph.num_relations), ("tail", tail, relation)
        for side, entity, role in sides:
            kind, counts = self._graph.entity_types[entity], self._count_types(role)
            typed = counts.total()
            if kind and typed >= _ENOUGH_TYPED and counts[kind] / typed < _RARE:
                usual, most = counts.most_common(1)[0]
                found.append(
                    Contradiction(
                        "type",
                        f"The {side} is of type “{kind}”: so are {counts[kind]:,} of the {typed:,} "
                        f"{side}s in train; {most:,} are of type “{usual}”.",
                    )
                )
        return found

    def _find_exclusive(self, fact: Ids) -> list[Contradiction]:
        head, relation, tail = fact
        R, found = self._graph.num_relations, []
        roles = np.delete(np.arange(2 * R), relation)
        heads, tails = np.full_like(roles, head), np.full_like(roles, tail)
        rows = self._train.find_rows(heads, roles, tails)
        for role in roles[rows != UNKNOWN].tolist():
            both, possible = self._count_both(relation, role)
            if both or possible < _ENOUGH_PAIRS:
                continue
            known = (head, role, tail) if role < R else (tail, role - R, head)
            text = f"No pair has both in train, of {possible:,} that could."
            found.append(Contradiction("exclusive", text, known))
        return found

    # -- counts, made when first asked for ---------------------------------------------------

    def _count_single_answers(self, role: int) -> tuple[int, int]:
        """Of the entities that have answers in a role: with one, and all."""
        bounds = np.array([role, role + 1]) * self._train.num_entities
        begin, end = np.searchsorted(self._train.keys, bounds)
        sizes = np.diff(self._train.offsets[begin : end + 1])
        return int((sizes == 1).sum()), len(sizes)

    def _count_types_of(self, role: int) -> Counter[str]:
        """The types of the entities that answer in a role."""
        types = (self._graph.entity_types[entity] for entity in self._train.entities_of(role))
        return Counter(kind for kind in types if kind)

    def _count_pairs_of_both(self, relation: int, role: int) -> tuple[int, int]:
        """Of a relation's pairs: those that have the role, and those that could.

        They could where their head has the role somewhere, and their tail answers it somewhere.
        """
        facts = self._train.facts[self._train.facts[:, 1] == relation]
        reverse = (role + self._graph.num_relations) % (2 * self._graph.num_relations)
        can = np.isin(facts[:, 0], self._train.entities_of(reverse))
        can &= np.isin(facts[:, 2], self._train.entities_of(role))
        heads, _, tails = facts[can].T
        rows = self._train.find_rows(heads, np.full_like(heads, role), tails)
        return int((rows != UNKNOWN).sum()), int(can.sum())
