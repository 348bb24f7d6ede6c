"""Which group each relation and each fact of an evaluation belongs to."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CARDINALITIES", "classify_cardinality", "find_unseen_facts"]

# "undefined": train has no fact of the relation, so there is nothing to average.
CARDINALITIES = ("1-1", "1-N", "N-1", "N-N", "undefined")

# Bordes et al., "Translating Embeddings for Modeling Multi-relational Data" (NIPS 2013), sec. 4:
# "if this average was below 1.5 then the argument was labeled as 1 and MANY otherwise".
_MANY = 1.5


def classify_cardinality(
    train: NDArray[np.int64], num_entities: int, num_relations: int
) -> NDArray[np.int64]:
    """Return for each relation [R] the index of its cardinality in CARDINALITIES.

    Left of the dash stands the mean number of heads per (relation, tail), right of it the mean
    number of tails per (head, relation), over the distinct facts of train [n, 3]: "1" below 1.5,
    "N" otherwise (Bordes et al. 2013).
    """
    train = np.unique(train, axis=0)
    heads, relations, tails = train[:, 0], train[:, 1], train[:, 2]

    def count_distinct(entities: NDArray[np.int64]) -> NDArray[np.int64]:
        keys = np.unique(relations * num_entities + entities)
        return np.bincount(keys // num_entities, minlength=num_relations)

    facts = np.bincount(relations, minlength=num_relations)
    many_tails = facts >= _MANY * count_distinct(heads)
    many_heads = facts >= _MANY * count_distinct(tails)
    kinds = 2 * many_heads.astype(np.int64) + many_tails
    return np.where(facts > 0, kinds, CARDINALITIES.index("undefined"))


def find_unseen_facts(
    facts: NDArray[np.int64], train: NDArray[np.int64], num_entities: int
) -> NDArray[np.bool_]:
    """Return for each fact [F] whether its head or its tail occurs in no fact of train."""
    seen = np.zeros(num_entities, dtype=bool)
    seen[train[:, [0, 2]].ravel()] = True
    unseen: NDArray[np.bool_] = ~(seen[facts[:, 0]] & seen[facts[:, 2]])
    return unseen
