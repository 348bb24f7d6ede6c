"""Sets of facts as arrays: every operation is a sort of 64-bit keys, never a loop over facts."""

from __future__ import annotations

from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.errors import DataError

__all__ = ["Triples", "encode_triples", "first_occurrences", "is_member", "mark_unseen"]

Triples: TypeAlias = NDArray[np.int64]
"""Facts ``[n, 3]``: head, relation and tail ids."""


def encode_triples(triples: Triples, num_entities: int, num_relations: int) -> NDArray[np.int64]:
    """Give every fact ``[n, 3]`` one number ``[n]``; equal facts, and only they, share it.

    Raises:
        DataError: N * N * R does not fit 63 bits.
    """
    if num_entities * num_entities * num_relations >= 2**63:
        raise DataError(
            f"{num_entities} entities and {num_relations} relations are too many: "
            f"facts are numbered with 63 bits"
        )
    keys: NDArray[np.int64] = triples[:, 0] * num_relations + triples[:, 1]
    keys *= num_entities
    keys += triples[:, 2]
    return keys


def first_occurrences(keys: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
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


def is_member(keys: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Mark the keys ``[n]`` that are among the others."""
    if not len(others):
        return np.zeros(len(keys), dtype=np.bool_)
    # np.isin makes the others unique first, by a hash table: 20 s for 10 million keys. A sort of
    # 64-bit keys takes a fraction of a second.
    ordered = np.sort(others)
    places = np.searchsorted(ordered, keys)
    found: NDArray[np.bool_] = ordered[np.minimum(places, len(ordered) - 1)] == keys
    return found


def mark_unseen(train: Triples, facts: Triples, num_entities: int) -> NDArray[np.bool_]:
    """Mark the facts ``[n]`` of which the head or the tail is in no train fact."""
    seen = np.zeros(num_entities, dtype=np.bool_)
    seen[train[:, 0]] = True
    seen[train[:, 2]] = True
    marked: NDArray[np.bool_] = ~(seen[facts[:, 0]] & seen[facts[:, 2]])
    return marked
