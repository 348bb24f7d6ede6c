"""Which entities a relation has in train, on either side: what makes an answer plausible.

Shapes: R relations; relation ids in 0..2R-1 here, r + R is r reversed.
"""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.graph import MultimodalGraph

__all__ = ["TrainSides"]

Ints: TypeAlias = NDArray[np.int64]


class TrainSides:
    """The heads and the tails that every relation has in train.

    An answer is *plausible* if it answers a question of the relation in train, and is not the
    entity asked about, unless the relation joins an entity to itself somewhere in train.
    """

    def __init__(self, graph: MultimodalGraph) -> None:
        h, r, t = graph.train.T
        N = graph.num_entities
        keys = np.unique(np.concatenate([r * N + t, (r + graph.num_relations) * N + h]))
        relations, self._answers = np.divmod(keys, N)
        self._starts = np.searchsorted(relations, np.arange(2 * graph.num_relations + 1))
        self._num_relations = graph.num_relations
        self._with_loops = frozenset(np.unique(r[h == t]).tolist())

    def answers(self, relation: int) -> Ints:
        """The entities that answer questions of a relation in train, ascending."""
        answers: Ints = self._answers[self._starts[relation] : self._starts[relation + 1]]
        return answers

    def has_loops(self, relation: int) -> bool:
        """Whether a relation joins an entity to itself in train."""
        return relation % self._num_relations in self._with_loops
