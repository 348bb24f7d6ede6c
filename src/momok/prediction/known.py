"""The facts that a graph already has, looked up by query or by triple.

Shapes: B queries, F facts, P triples.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from momok.evaluation import build_filter
from momok.graph import MultimodalGraph, SplitName

__all__ = ["SPLITS", "UNKNOWN", "KnownFacts"]

Ints = NDArray[np.int64]

SPLITS: tuple[SplitName, ...] = ("train", "valid", "test")
UNKNOWN = -1  # the position of a fact that is in no split


class KnownFacts:
    """The facts of all splits of a graph.

    Raises:
        DataError: more entities and relations than 64-bit keys can tell apart.
    """

    def __init__(self, graph: MultimodalGraph) -> None:
        self._num_entities, self._num_relations = graph.num_entities, graph.num_relations
        parts = [graph.facts(split) for split in SPLITS]
        self._filter = build_filter(parts, self._num_entities, self._num_relations)
        keys = self._make_keys(*np.concatenate(parts).T)
        splits = np.repeat(np.arange(len(SPLITS)), [len(part) for part in parts])
        # Of a fact in several splits (as some graphs are published) the first one counts.
        self._keys, first = np.unique(keys, return_index=True)
        self._splits = splits[first]

    def answers(self, entities: Ints, relations: Ints) -> tuple[Ints, Ints]:
        """(rows, ids) of the known answers of queries [B], relations in 0..2R-1."""
        return self._filter.lookup(entities, relations)

    def find_splits(self, entities: Ints, relations: Ints, answers: Ints) -> Ints:
        """For queries and their answers [P], the position in ``SPLITS``, or ``UNKNOWN``."""
        reverse = relations >= self._num_relations
        heads, tails = np.where(reverse, answers, entities), np.where(reverse, entities, answers)
        wanted = self._make_keys(heads, relations % self._num_relations, tails)
        places = np.searchsorted(self._keys, wanted)
        found = np.append(self._keys, UNKNOWN)[places] == wanted
        return np.where(found, np.append(self._splits, UNKNOWN)[places], UNKNOWN)

    def _make_keys(self, heads: Ints, relations: Ints, tails: Ints) -> Ints:
        keys: Ints = (relations * self._num_entities + heads) * self._num_entities + tails
        return keys
