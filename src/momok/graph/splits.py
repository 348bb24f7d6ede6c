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
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from momok.arrays import Ints
from momok.errors import DataError
from momok.graph.graph import MultimodalGraph
from momok.graph.triples import Triples, encode_triples, is_member

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
        groups: the group of each fact ``[n]``, numbered from 0 (see ``redundancy.group_facts``).
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
