"""What train shows for a fact: facts about its two sides, and entities that resemble them.

Shapes: N entities, R relations, d width of a vector, n entities asked for.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from momok.arrays import FloatMatrix, Ints
from momok.graph.fact_index import FactIndex
from momok.prediction.explanation import Reason

_NEAREST, _PART = 10, 20  # the ten nearest are similar, or a twentieth of those that are compared
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


def find_support(
    train: FactIndex, entity: int, other_side: int, fact: tuple[int, int, int], limit: int
) -> tuple[list[Support], int]:
    """The most telling train facts about one side of a fact, and how many facts there are.

    First come facts that join the two sides, then facts whose other end has a fact with the other
    side, then facts of the same relation, then the rest. Among those, facts of the relation come
    first, then facts whose other end has few facts: a path over an entity that everything is
    joined to says little. The fact is no support of itself. Of a fact and its reverse one is
    listed where the relation is symmetric.
    """
    _, ends, rows = train.about(entity)
    rows, first = np.unique(rows, return_index=True)  # one of an entity with itself is there twice
    itself = (train.facts[rows] == fact).all(axis=1)
    ends, rows = ends[first][~itself], rows[~itself]
    heads, relations, _ = train.facts[rows].T
    said = np.where(train.symmetric[relations], -1, heads == entity)  # -1: the same both ways
    _, first = np.unique(np.stack([relations, ends, said]), axis=1, return_index=True)
    ends, rows = ends[np.sort(first)], rows[np.sort(first)]
    _, joined, steps = train.about(other_side)
    on_path = np.isin(ends, joined[joined != entity])  # the other side itself is direct
    same = train.facts[rows, 1] == fact[1]
    reasons = np.select([ends == other_side, on_path, same], [0, 1, 2], default=3)
    order = np.lexsort((rows, train.degrees[ends], ~same, reasons))[:limit]

    chosen = []
    for i in order:
        reason, via = _REASONS[reasons[i]], None
        if reason == "path":  # over a fact of this relation if there is one
            between = steps[joined == ends[i]]
            via = int(between[np.argmax(train.facts[between, 1] == fact[1])])
        chosen.append(Support(int(rows[i]), reason, via))
    return chosen, len(rows)


@dataclass(frozen=True, kw_only=True, eq=False)
class SimilarityTable:
    """The vectors of one modality, to be compared by cosine.

    Attributes:
        vectors: what they are: ``features`` as given, or vectors ``trained`` by the model.
        matrix: [N, d].
        present: [N] which entities have the modality; only these are compared.
    """

    vectors: Literal["features", "trained"]
    matrix: FloatMatrix
    present: NDArray[np.bool_]

    @property
    def compared(self) -> int:
        """How many entities have the modality."""
        return int(self.present.sum())

    def find_similar(self, entity: int, among: Ints, limit: int) -> list[tuple[int, float, int]]:
        """The entities that resemble one most: (entity, cosine, rank), of equal ones the lower id.

        Those of ``among`` [n] without the modality are left out. The rank is the place among all
        entities that have the modality, but for ``entity`` itself, which must have it. Only the
        nearest ten are similar, or the nearest twentieth of all: there may be none.
        """
        among = np.sort(among[self.present[among] & (among != entity)])
        if not len(among):
            return []
        cosines = self._compare(entity)
        best = among[np.argsort(-cosines[among], kind="stable")[:limit]]
        others = self.present.copy()
        others[entity] = False
        ranks = 1 + (cosines[others] > cosines[best, None]).sum(axis=1)
        near = ranks <= max(_NEAREST, self.compared // _PART)
        best, ranks = best[near], ranks[near]
        return [(int(e), float(cosines[e]), int(r)) for e, r in zip(best, ranks, strict=True)]

    def _compare(self, entity: int) -> FloatMatrix:
        """Cosines [N]; a vector of length zero resembles nothing."""
        lengths = self._norms * self._norms[entity]
        products = self.matrix @ self.matrix[entity]
        cosines = np.divide(products, lengths, out=np.zeros_like(products), where=lengths > 0)
        return np.asarray(np.clip(cosines, -1.0, 1.0))

    @cached_property
    def _norms(self) -> FloatMatrix:
        return np.asarray(np.sqrt(np.einsum("ij,ij->i", self.matrix, self.matrix)))
