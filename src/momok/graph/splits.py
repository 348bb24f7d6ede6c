"""The clean split: no fact is in two splits, and test stays as published.

Published splits have faults: DB15K's validation facts are nearly all train or test facts too,
KVC16K has test facts in train. A model chosen on such a validation split is chosen for its
memory. ``make_clean`` mends a split by three rules, in this order; test stays as published.

1. A train fact that is in test is taken out of train.
2. A validation fact that is in train or test cannot judge anything and is dropped.
3. As many train facts as rule 2 dropped are moved to validation, drawn with a fixed seed, such
   that every entity and relation of train keeps a train fact.

A split without such faults is left alone. By rule 3 a wholly broken validation split (DB15K: 73 of
7,481 facts are usable) is in effect carved from train, and a nearly sound one (KVC16K: 22,485 of
22,520) keeps its published facts.

Facts that their source does not split are held out such that none gives another away: facts between
the same entities, of one relation or of redundant ones, stay together.

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

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from momok.arrays import Ints
from momok.errors import DataError
from momok.graph.graph import MultimodalGraph
from momok.graph.triples import Triples, encode_triples, is_member, join_pairs

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


_SHOWN = 5  # labels in a note
CLEAN_SPLIT_SEED = 0  # part of the definition of the clean split: another seed is another split


def make_clean(graph: MultimodalGraph) -> MultimodalGraph:
    """Mend the split of a graph by the rules above; ``split_notes`` says what changed.

    Raises:
        DataError: mending leaves train or validation without a fact.
    """
    sizes = graph.num_entities, graph.num_relations
    test_keys = encode_triples(graph.test, *sizes)
    train_keys = encode_triples(graph.train, *sizes)
    leaked = is_member(train_keys, test_keys)
    train = graph.train[~leaked]
    valid_keys = encode_triples(graph.valid, *sizes)
    in_train = is_member(valid_keys, train_keys)
    in_test = is_member(valid_keys, test_keys)
    broken = in_train | in_test
    if not leaked.any() and not broken.any():
        note = "no fact is in two splits: train, valid and test are as published"
        return replace(graph, split="clean", split_notes=(note,))

    notes = []
    if leaked.any():
        notes.append(_describe_leaked(graph, train, int(leaked.sum())))
    wanted = int(broken.sum())
    train, moved = carve_validation(train, wanted, *sizes)
    if wanted:
        notes.append(
            f"{wanted:,} of {len(graph.valid):,} validation facts dropped ({in_train.sum():,} in "
            f"train, {in_test.sum():,} in test), {len(moved):,} moved from train to validation "
            f"instead (seed {CLEAN_SPLIT_SEED}; every entity and relation keeps a train fact)"
        )
    if len(moved) < wanted:
        notes.append(
            f"validation is {wanted - len(moved):,} facts smaller: train can spare no more"
        )
    valid = np.concatenate([graph.valid[~broken], moved])
    for name, facts in (("train", train), ("validation", valid)):
        if not len(facts):
            raise DataError(
                f"{graph.name}: no {name} fact is left after facts shared between splits are taken "
                f"out; give other facts, or take the split as it is with split='published'"
            )
    notes.append(
        f"now {len(train):,} train, {len(valid):,} validation, {len(graph.test):,} test facts"
    )
    return replace(graph, train=train, valid=valid, split="clean", split_notes=tuple(notes))


def carve_validation(
    train: Triples,
    wanted: int,
    num_entities: int,
    num_relations: int,
    *,
    seed: int = CLEAN_SPLIT_SEED,
) -> tuple[Triples, Triples]:
    """Draw validation facts from train such that no entity or relation loses its last train fact.

    For every entity and relation the last of its facts in a random order is bound to train; of
    the others the first ``wanted`` in that order are drawn.

    Returns:
        The train facts that stay, and the facts drawn, at most ``wanted``, both in the order of
        ``train``.
    """
    # RandomState and not Generator: its stream is frozen (NEP 19), so that the same split is
    # drawn under every version of numpy.
    order = np.random.RandomState(seed).permutation(len(train))
    shuffled = train[order][::-1]  # reversed: the first appearance here is the last of the order
    bound = np.zeros(len(train), dtype=np.bool_)
    ends = np.concatenate([shuffled[:, 0], shuffled[:, 2]])
    positions = np.concatenate([np.arange(len(train))] * 2)
    for ids, rows, size in (
        (ends, positions, num_entities),
        (shuffled[:, 1], positions[: len(train)], num_relations),
    ):
        earliest = np.full(size, len(train), dtype=np.int64)
        np.minimum.at(earliest, ids, rows)
        bound[earliest[earliest < len(train)]] = True
    free = order[::-1][~bound][::-1]
    drawn = np.zeros(len(train), dtype=np.bool_)
    drawn[free[:wanted]] = True
    return train[~drawn], train[drawn]


def hold_out(
    triples: Triples,
    groups: Ints,
    wanted: Sequence[int],
    num_entities: int,
    num_relations: int,
    *,
    seed: int,
) -> Ints:
    """Split facts so that train shows every entity and relation, and no group is torn apart.

    Groups are put in a random order. For every entity and relation the first group with a fact of
    it is bound to train; the free ones fill the parts one after the other from the end. Where they
    hold fewer facts than wanted, the parts share them in proportion.

    Args:
        triples: facts ``[n, 3]``.
        groups: the group of each fact ``[n]``, numbered from 0 (see ``group_facts``).
        wanted: how many facts each part is to have, but train.
        seed: the same seed draws the same split under every version of numpy.

    Returns:
        The part of each fact ``[n]``: 0 is train, 1 the first of the others, and so on. A part has
        at most the last group's facts more than wanted; it is empty if no group was left.
    """
    num_groups = int(groups.max()) + 1 if len(groups) else 0
    ranks = np.random.RandomState(seed).permutation(num_groups)
    fact_ranks = ranks[groups]
    bound = np.zeros(num_groups, dtype=np.bool_)  # by rank
    for columns, size in (((0, 2), num_entities), ((1,), num_relations)):
        earliest = np.full(size, num_groups, dtype=np.int64)
        for column in columns:
            np.minimum.at(earliest, triples[:, column], fact_ranks)
        bound[earliest[earliest < num_groups]] = True
    free = np.flatnonzero(~bound)[::-1]
    sizes = np.bincount(fact_ranks, minlength=num_groups)[free]
    before = np.cumsum(sizes) - sizes
    scale = min(1.0, sizes.sum() / max(1, sum(wanted)))
    limits = np.cumsum([0, *wanted]) * scale
    parts = np.zeros(num_groups, dtype=np.int64)
    parts[free] = np.searchsorted(limits, before, side="right") % (len(wanted) + 1)
    return parts[fact_ranks]


def _describe_leaked(graph: MultimodalGraph, train: Triples, count: int) -> str:
    """Say how many test facts left train, and what train no longer shows for it."""
    note = f"{count:,} train facts that are in test taken out of train"
    for columns, kind, names in (
        ([0, 2], "entities", graph.entities.labels),
        ([1], "relations", graph.relations.labels),
    ):
        gone = np.zeros(len(names), dtype=np.bool_)
        gone[graph.train[:, columns]] = True
        gone[train[:, columns]] = False
        lost = np.flatnonzero(gone)
        if len(lost):
            note += f"; {len(lost):,} {kind} lost the only train fact by it: "
            note += ", ".join(names[i] for i in lost[:_SHOWN])
            note += f" and {len(lost) - _SHOWN:,} more" if len(lost) > _SHOWN else ""
    return note
