"""Sets of facts as arrays: every operation is a sort of 64-bit keys, never a loop over facts."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from momok.arrays import Bools, Ints
from momok.errors import DataError

Triples: TypeAlias = NDArray[np.int64]
"""Facts ``[n, 3]``: head, relation and tail ids."""

# "undefined": train has no fact of the relation, so there is nothing to average.
CARDINALITIES = ("1-1", "1-N", "N-1", "N-N", "undefined")

# Bordes et al., "Translating Embeddings for Modeling Multi-relational Data" (NIPS 2013), sec. 4:
# "if this average was below 1.5 then the argument was labeled as 1 and MANY otherwise".
_MANY = 1.5


def encode_triples(triples: Triples, num_entities: int, num_relations: int) -> Ints:
    """Give every fact ``[n, 3]`` one number ``[n]``; equal facts, and only they, share it.

    Raises:
        DataError: N * N * R does not fit 63 bits.
    """
    if num_entities * num_entities * num_relations >= 2**63:
        raise DataError(
            f"{num_entities} entities and {num_relations} relations are too many: "
            f"facts are numbered with 63 bits"
        )
    keys: Ints = triples[:, 0] * num_relations + triples[:, 1]
    keys *= num_entities
    keys += triples[:, 2]
    return keys


def sort_unique(keys: Ints) -> Ints:
    """Sort keys, and keep each once.

    For millions of keys this is a hundred times as fast as np.unique, which hashes them.
    """
    ordered = np.sort(keys)
    is_first = np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)]
    distinct: Ints = ordered[is_first]
    return distinct


def first_occurrences(keys: Ints) -> tuple[Ints, Ints]:
    """Find where each key appears first.

    Returns:
        ``kept``, the positions of first appearances in their order, and ``first`` ``[n]``, for
        every position the one where its key appears first.
    """
    ordered = np.sort(keys)
    repeated = ordered[1:][ordered[1:] == ordered[:-1]]
    # Few keys repeat, if any. To find the places of all keys takes ten times as long as the sort.
    rows = np.flatnonzero(is_member(keys, repeated))
    _, index, inverse = np.unique(keys[rows], return_index=True, return_inverse=True)
    first = np.arange(len(keys))
    first[rows] = rows[index[inverse]]
    return np.flatnonzero(first == np.arange(len(keys))), first


def is_member(keys: Ints, others: Ints) -> Bools:
    """Mark the keys ``[n]`` that are among the others."""
    if not len(others):
        return np.zeros(len(keys), dtype=np.bool_)
    # np.isin makes the others unique first, by a hash table: 20 s for 10 million keys. A sort of
    # 64-bit keys takes a fraction of a second.
    ordered = np.sort(others)
    places = np.searchsorted(ordered, keys)
    found: Bools = ordered[np.minimum(places, len(ordered) - 1)] == keys
    return found


def mark_unseen(train: Triples, facts: Triples, num_entities: int) -> Bools:
    """Mark the facts ``[n]`` of which the head or the tail is in no train fact."""
    seen = np.zeros(num_entities, dtype=np.bool_)
    seen[train[:, 0]] = True
    seen[train[:, 2]] = True
    marked: Bools = ~(seen[facts[:, 0]] & seen[facts[:, 2]])
    return marked


def join_pairs(pairs: Ints, size: int) -> Ints:
    """Number the connected components of ``size`` points from pairs ``[2, m]``: ``[size]``."""
    joined = coo_array((np.ones(pairs.shape[1], dtype=np.bool_), tuple(pairs)), (size, size))
    groups: Ints = connected_components(joined, directed=False)[1].astype(np.int64)
    return groups


def classify_cardinality(train: Triples, num_entities: int, num_relations: int) -> Ints:
    """Return for each relation ``[R]`` the position of its cardinality in ``CARDINALITIES``.

    Left of the dash stands the mean number of heads per (relation, tail), right of it the mean
    number of tails per (head, relation), over the distinct facts of train: "1" below 1.5, "N"
    otherwise (Bordes et al. 2013).
    """
    keys = sort_unique(encode_triples(train, num_entities, num_relations))
    pairs, tails = np.divmod(keys, num_entities)
    heads, relations = np.divmod(pairs, num_relations)

    def count_distinct(entities: Ints) -> Ints:
        pairs = sort_unique(relations * num_entities + entities)
        return np.bincount(pairs // num_entities, minlength=num_relations)

    facts = np.bincount(relations, minlength=num_relations)
    many_tails = facts >= _MANY * count_distinct(heads)
    many_heads = facts >= _MANY * count_distinct(tails)
    kinds = 2 * many_heads.astype(np.int64) + many_tails
    return np.where(facts > 0, kinds, CARDINALITIES.index("undefined"))
