"""Redundant relations, forwards or backwards, and the facts that give each other away.

Two relations are duplicates if at least ``THRESHOLD`` of the facts of each have their counterpart,
the other relation between the same head and tail, among the facts of the other; they are inverse if
the counterpart goes the other way. With both conditions this is the definition of Akrami et al.,
"Realistic Re-evaluation of Knowledge Graph Completion Methods", SIGMOD 2020, who take 0.8 for
FB15k. Toutanova and Chen, "Observed versus latent features for knowledge base and text inference",
CVSC 2015, made FB15k-237 by leaving such relations out. A model that finds (t, s, h) in train needs
no learning to answer (h, r, ?).

Notation: N entities, R relations, n facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from momok.arrays import Ints
from momok.graph.triples import Triples, join_pairs

THRESHOLD = 0.8
MIN_SHARED = 5  # counterparts; fewer are coincidence
# Of facts between one pair of entities that are compared with each other: time stays linear. Pairs
# of entities with more relations between them are rare and say little about any two of these.
_REACH = 64


@dataclass(frozen=True, kw_only=True)
class RelationPair:
    """Two redundant relations, or a symmetric one and itself.

    Attributes:
        kind: ``duplicate``, ``inverse``, or ``symmetric`` (a relation that is its own inverse).
        first: the relation id with more facts.
        second: that with fewer; the same if symmetric.
        shared: facts of each that have their counterpart.
        first_share: their share of the facts of ``first``.
        second_share: their share of the facts of ``second``.
    """

    kind: str
    first: int
    second: int
    shared: int
    first_share: float
    second_share: float


def find_redundant_relations(
    triples: Triples, num_entities: int, num_relations: int, *, threshold: float = THRESHOLD
) -> list[RelationPair]:
    """Find the pairs of redundant relations, those with most facts in common first."""
    sizes = np.bincount(triples[:, 1], minlength=num_relations).tolist()
    found = []
    for *ids, turned, shared in count_counterparts(triples, num_entities, num_relations):
        first, second = sorted(ids, key=lambda relation: -sizes[relation])
        if shared < max(MIN_SHARED, threshold * sizes[first]):
            continue
        kind = "symmetric" if first == second else "inverse" if turned else "duplicate"
        found.append(
            RelationPair(
                kind=kind,
                first=first,
                second=second,
                shared=shared,
                first_share=shared / sizes[first],
                second_share=shared / sizes[second],
            )
        )
    return sorted(found, key=lambda pair: (-pair.shared, pair.first, pair.second, pair.kind))


def count_counterparts(
    triples: Triples, num_entities: int, num_relations: int
) -> Iterator[tuple[int, int, bool, int]]:
    """Count the facts of a relation that have their counterpart in another, or in itself.

    Facts ``[n, 3]``, each there once, are sorted by their entities, and each is compared with the
    next, the one after that, and so on while these have the same entities. The fact of an entity
    with itself goes both ways, and is compared as straight only.

    Yields:
        the smaller relation, the larger one, whether the counterparts go the other way, how many
        there are.
    """
    keys = _pair_keys(triples, num_entities)
    order = np.argsort(keys, kind="stable")
    keys, relations = keys[order], triples[order, 1]
    backwards = triples[order, 0] > triples[order, 2]
    codes, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    rows = np.arange(len(keys))
    for step in range(1, _REACH):
        rows = rows[rows + step < len(keys)]
        rows = rows[keys[rows] == keys[rows + step]]
        if not len(rows):
            break
        left, right = relations[rows], relations[rows + step]
        turned = backwards[rows] != backwards[rows + step]
        pairs = np.minimum(left, right) * num_relations + np.maximum(left, right)
        new, sizes = np.unique(2 * pairs + turned, return_counts=True)
        codes, where = np.unique(np.concatenate([codes, new]), return_inverse=True)
        counts = np.bincount(where, weights=np.concatenate([counts, sizes])).astype(np.int64)
    for code, count in zip(codes.tolist(), counts.tolist(), strict=True):
        first, second = divmod(code // 2, num_relations)
        # Of a relation and itself both facts of a pair are its own.
        yield first, second, bool(code % 2), 2 * count if first == second else count


def group_facts(
    triples: Triples, pairs: Iterable[RelationPair], num_entities: int, num_relations: int
) -> Ints:
    """Number the facts ``[n]`` such that facts that give each other away have the same number.

    These are facts between the same two entities, in either direction, whose relations are the
    same or connected by pairs. Numbers count from 0.
    """
    joined = np.array([(pair.first, pair.second) for pair in pairs], dtype=np.int64).reshape(-1, 2)
    clusters = join_pairs(joined.T, num_relations)
    keys = _pair_keys(triples, num_entities) * num_relations + clusters[triples[:, 1]]
    groups: Ints = np.unique(keys, return_inverse=True)[1]
    return groups


def _pair_keys(triples: Triples, num_entities: int) -> Ints:
    """Give the two entities of each fact one number, in either direction the same."""
    smaller = np.minimum(triples[:, 0], triples[:, 2])
    keys: Ints = smaller * num_entities + np.maximum(triples[:, 0], triples[:, 2])
    return keys
