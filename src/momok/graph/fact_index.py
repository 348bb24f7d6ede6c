"""The known answers of every query, sparse: what filtered ranking leaves out."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momok.errors import DataError

__all__ = ["SparseFilter", "build_filter"]

Ints = NDArray[np.int64]


@dataclass(frozen=True)
class SparseFilter:
    """The known answers of every query, as compressed sparse rows.

    ``keys`` [U] sorted distinct queries (relation * num_entities + entity), ``offsets`` [U + 1],
    ``answers`` sorted within each query.
    """

    num_entities: int
    keys: Ints
    offsets: Ints
    answers: Ints

    def lookup(self, entities: Ints, relations: Ints) -> tuple[Ints, Ints]:
        """Return (rows, answers) of all known answers of the queries.

        ``entities`` and ``relations`` [B] (relations in 0..2R-1) name the queries; ``rows`` are
        positions in them, ascending. A query that the filter does not have gets no pair.
        """
        wanted = relations * self.num_entities + entities
        found = np.searchsorted(self.keys, wanted)
        # The extra offset makes an insertion point behind the last key an empty range.
        ends = np.append(self.offsets[1:], self.offsets[-1])
        exists = np.append(self.keys, -1)[found] == wanted
        starts = self.offsets[found]
        sizes = np.where(exists, ends[found] - starts, 0)
        rows = np.repeat(np.arange(len(wanted)), sizes)
        before = np.cumsum(sizes) - sizes
        places = np.arange(len(rows)) - np.repeat(before - starts, sizes)
        return rows, self.answers[places]


def build_filter(triples: Iterable[Ints], num_entities: int, num_relations: int) -> SparseFilter:
    """Build the filter of both query directions from triples [n, 3] of several splits.

    Every fact (h, r, t) makes t known for (h, r) and h for (t, r + num_relations); facts that
    occur more than once, in one split or in several, count once.
    """
    facts = np.concatenate([np.asarray(split, dtype=np.int64).reshape(-1, 3) for split in triples])
    if 2 * num_relations * num_entities**2 >= 2**63:
        raise DataError(
            f"{num_entities} entities and {num_relations} relations are too many for 64-bit keys "
            "of facts: evaluate on a smaller graph"
        )
    heads, relations, tails = facts.T
    pairs = np.concatenate(
        [
            (relations * num_entities + heads) * num_entities + tails,
            ((relations + num_relations) * num_entities + tails) * num_entities + heads,
        ]
    )
    pairs = np.unique(pairs)
    keys, starts = np.unique(pairs // num_entities, return_index=True)
    offsets = np.append(starts, len(pairs)).astype(np.int64)
    return SparseFilter(num_entities, keys, offsets, pairs % num_entities)
