"""The clean split, facts held out, and redundant relations against a count in plain Python."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError
from momok.graph import MultimodalGraph, Vocabulary, carve_validation, make_clean
from momok.graph.splits import (
    MIN_SHARED,
    RelationPair,
    find_redundant_relations,
    group_facts,
    hold_out,
)
from tests.graph.small_graph import TEST, TRAIN, VALID, as_triples

N, R = 12, 3


def as_set(triples: np.ndarray) -> set[tuple[int, int, int]]:
    facts = set(map(tuple, triples.tolist()))
    assert len(facts) == len(triples)
    return facts


def shown(facts: set[tuple[int, int, int]]) -> tuple[set[int], set[int]]:
    return {e for h, _, t in facts for e in (h, t)}, {r for _, r, _ in facts}


def test_a_split_without_faults_is_left_alone(small):
    clean = make_clean(small)
    assert clean.train is small.train
    assert clean.valid is small.valid
    assert clean.test is small.test
    assert clean.split == "clean"
    assert clean.split_notes == (
        "no fact is in two splits: train, valid and test are as published",
    )


def test_test_facts_leave_train_and_what_is_lost_is_said(small):
    # Berlin and the relation 'near' have one train fact, which is a test fact too.
    relations = Vocabulary((*small.relations.labels, "near"))
    leaked = [(6, 3, 5)]
    train = as_triples([fact for fact in TRAIN if 5 not in fact] + leaked)
    clean = make_clean(
        replace(small, relations=relations, relation_names=(), train=train, test=as_triples(leaked))
    )
    assert as_set(clean.train) == as_set(train) - set(leaked)
    assert clean.valid.tolist() == small.valid.tolist()
    assert clean.split_notes == (
        "1 train facts that are in test taken out of train; 1 entities lost the only train fact "
        "by it: Berlin; 1 relations lost the only train fact by it: near",
        "now 9 train, 1 validation, 1 test facts",
    )


def test_broken_validation_facts_are_replaced(small):
    valid = as_triples([*VALID, TRAIN[0], TRAIN[4], TEST[0]])
    clean = make_clean(replace(small, valid=valid))
    kept, moved = clean.valid[:1], clean.valid[1:]
    assert as_set(kept) == set(VALID)
    assert as_set(moved) <= set(TRAIN)
    assert len(moved) == 3
    assert as_set(clean.train) == set(TRAIN) - as_set(moved)
    assert clean.split_notes[0].startswith(
        "3 of 4 validation facts dropped (2 in train, 1 in test), 3 moved from train"
    )


def test_no_validation_left_is_an_error(small):
    chain = as_triples([(0, 0, 1), (2, 1, 3)])
    with pytest.raises(DataError, match="no validation fact is left"):
        make_clean(replace(small, train=chain, valid=chain))


def test_no_train_left_is_an_error(small):
    with pytest.raises(DataError, match="no train fact is left"):
        make_clean(replace(small, train=small.test))


def test_carving_draws_the_facts_it_always_drew():
    heads, relations, tails = np.unravel_index(np.arange(0, 432, 7), (N, R, N))
    train = np.stack([heads, relations, tails], axis=1).astype(np.int64)
    stays, drawn = carve_validation(train, 5, N, R)
    assert drawn.tolist() == [[5, 2, 6], [6, 0, 8], [6, 1, 3], [9, 1, 0], [9, 2, 9]]
    assert len(stays) == len(train) - 5


def test_carving_spares_what_appears_once():
    # A star: the centre is in all facts, each leaf in one; only the doubled leaf can be spared.
    star = as_triples([(0, 0, leaf) for leaf in range(1, 8)] + [(0, 1, 7), (0, 1, 6)])
    stays, drawn = carve_validation(star, 9, N, R)
    assert 1 <= len(drawn) <= 2
    assert shown(as_set(stays)) == shown(as_set(star))
    assert {tail for _, _, tail in as_set(drawn)} <= {6, 7}


def test_carving_follows_the_seed():
    train = as_triples([(h, r, t) for h in range(N) for r in range(R) for t in range(N)])
    first = carve_validation(train, 40, N, R)[1]
    assert (first == carve_validation(train, 40, N, R)[1]).all()
    assert as_set(first) != as_set(carve_validation(train, 40, N, R, seed=1)[1])
    # Drawn all over: no head is left out of 40 draws from 12 heads but by bad luck.
    assert len(np.unique(first[:, 0])) > 8


facts = st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1))
splits = st.lists(facts, min_size=1, max_size=60, unique=True).map(as_triples)


@given(train=splits, valid=splits, test=splits)
@settings(max_examples=200, deadline=None)
def test_clean_split_invariants(train, valid, test):
    graph = MultimodalGraph(
        name="any",
        entities=Vocabulary(tuple(f"e{i}" for i in range(N))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(R))),
        train=train,
        valid=valid,
        test=test,
    )
    try:
        clean = make_clean(graph)
    except DataError:
        return
    old_train, old_valid, old_test = map(as_set, (train, valid, test))
    new_train, new_valid = as_set(clean.train), as_set(clean.valid)
    assert clean.test is test
    assert not new_train & new_valid
    assert not new_train & old_test
    assert not new_valid & old_test
    assert new_train <= old_train
    assert new_train | new_valid | old_test == old_train | old_valid | old_test
    assert new_valid >= old_valid - old_train - old_test
    assert len(new_valid) <= len(old_valid)
    assert shown(new_train) == shown(old_train - old_test)
    again = make_clean(graph)
    assert (clean.train.tolist(), clean.valid.tolist()) == (
        again.train.tolist(),
        again.valid.tolist(),
    )
    assert make_clean(clean).fingerprint() == clean.fingerprint()


@given(train=splits, wanted=st.integers(0, 30))
@settings(max_examples=100, deadline=None)
def test_carving_invariants(train, wanted):
    stays, drawn = carve_validation(train, wanted, N, R)
    assert as_set(stays) | as_set(drawn) == as_set(train)
    assert not as_set(stays) & as_set(drawn)
    assert len(drawn) <= wanted
    assert shown(as_set(stays)) == shown(as_set(train))


# --- holding out: every entity and relation in train, no group torn apart

FEW_FACTS = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 7)),
    unique=True,
    min_size=1,
    max_size=80,
)


@given(facts=FEW_FACTS, seed=st.integers(0, 2**32 - 1), wanted=st.tuples(*[st.integers(1, 30)] * 2))
def test_the_promises_of_a_split(facts, seed, wanted) -> None:
    triples = as_triples(facts)
    groups = group_facts(triples, [], 8, 3)
    parts = hold_out(triples, groups, wanted, 8, 3, seed=seed)
    train = triples[parts == 0]
    assert set(train[:, ::2].ravel()) == set(triples[:, ::2].ravel())
    assert set(train[:, 1]) == set(triples[:, 1])
    for group in range(groups.max() + 1):
        assert len(set(parts[groups == group].tolist())) == 1
    largest = np.bincount(groups).max()
    for part, size in enumerate(wanted, 1):
        assert (parts == part).sum() < size + largest
    assert (hold_out(triples, groups, wanted, 8, 3, seed=seed) == parts).all()


def test_as_many_as_wanted_and_at_random() -> None:
    rng = np.random.default_rng(0)
    triples = np.unique(rng.integers(0, [50, 3, 50], size=(4000, 3)), axis=0)
    groups = np.arange(len(triples))
    parts = hold_out(triples, groups, (300, 200), 50, 3, seed=1)
    assert np.bincount(parts).tolist() == [len(triples) - 500, 300, 200]
    others = hold_out(triples, groups, (300, 200), 50, 3, seed=2)
    assert 0 < ((parts == 1) & (others == 1)).sum() < 60  # 300 * 300 / 3900 = 23 by chance
    assert abs(triples[parts == 1][:, 0].mean() - 24.5) < 3


def test_what_there_is_is_shared_in_proportion() -> None:
    star = as_triples([(0, 0, t) for t in range(1, 10)])  # no fact can be spared
    assert not hold_out(star, np.arange(9), (3, 3), 10, 1, seed=0).any()
    doubled = np.concatenate([star, star + np.array([0, 1, 0])])  # half of them can
    sizes = np.bincount(hold_out(doubled, np.arange(18), (6, 12), 10, 2, seed=0), minlength=3)
    assert sizes[1:].sum() == 18 - sizes[0]
    assert sizes[1] * 2 == pytest.approx(sizes[2], abs=2)


FEW = (5, 4)
REDUNDANT_FACTS = st.lists(
    st.tuples(st.integers(0, 4), st.integers(0, 3), st.integers(0, 4)), unique=True, max_size=60
)


def count_by_hand(facts: list[tuple[int, int, int]], threshold: float) -> set[tuple[object, ...]]:
    """Pairs of relations by their definition, fact by fact."""
    known = set(facts)
    by_relation = defaultdict(set)
    for head, relation, tail in facts:
        by_relation[relation].add((head, tail))
    found = set()
    for r, own in by_relation.items():
        turned = sum((t, h) in own and h != t for h, t in own)
        if turned >= max(MIN_SHARED, threshold * len(own)):
            found.add(("symmetric", frozenset([r]), turned))
        for s, others in by_relation.items():
            if r < s:
                most = max(len(own), len(others))
                same = len(own & others)
                if same >= max(MIN_SHARED, threshold * most):
                    found.add(("duplicate", frozenset([r, s]), same))
                inverse = sum((t, s, h) in known for h, t in own if h != t)
                if inverse >= max(MIN_SHARED, threshold * most):
                    found.add(("inverse", frozenset([r, s]), inverse))
    return found


@given(facts=REDUNDANT_FACTS, threshold=st.sampled_from([0.3, 0.5, 0.8]))
def test_pairs_are_those_of_the_definition(facts, threshold) -> None:
    pairs = find_redundant_relations(as_triples(facts), *FEW, threshold=threshold)
    found = {(p.kind, frozenset([p.first, p.second]), p.shared) for p in pairs}
    assert found == count_by_hand(facts, threshold)
    sizes = np.bincount([r for _, r, _ in facts], minlength=4)
    for pair in pairs:
        assert sizes[pair.first] >= sizes[pair.second]
        assert pair.first_share == pair.shared / sizes[pair.first]
        assert pair.second_share == pair.shared / sizes[pair.second]


def test_no_fact_no_pair() -> None:
    assert find_redundant_relations(as_triples([]), 3, 2) == []


def make_pair(first: int, second: int) -> RelationPair:
    return RelationPair(
        kind="inverse", first=first, second=second, shared=9, first_share=1.0, second_share=1.0
    )


@given(
    facts=REDUNDANT_FACTS,
    pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3),
)
def test_groups_hold_what_tells_each_other(facts, pairs) -> None:
    groups = group_facts(as_triples(facts), [make_pair(*pair) for pair in pairs], *FEW)
    reachable = {r: {r} for r in range(4)}
    for _ in range(4):
        for r, s in pairs:
            joined = reachable[r] | reachable[s]
            for member in joined:
                reachable[member] = joined
    for i, (h, r, t) in enumerate(facts):
        for j, (x, s, y) in enumerate(facts):
            together = {h, t} == {x, y} and s in reachable[r]
            assert (groups[i] == groups[j]) == together
    assert set(groups.tolist()) == set(range(len(set(groups.tolist()))))
