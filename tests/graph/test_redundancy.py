"""Redundant relations against a count in plain Python, and facts in groups."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from momok.graph.redundancy import MIN_SHARED, RelationPair, find_redundant_relations, group_facts
from tests.graph.small_graph import as_triples

SIZES = (5, 4)
FACTS = st.lists(
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


@given(facts=FACTS, threshold=st.sampled_from([0.3, 0.5, 0.8]))
def test_pairs_are_those_of_the_definition(facts, threshold) -> None:
    pairs = find_redundant_relations(as_triples(facts), *SIZES, threshold=threshold)
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


@given(facts=FACTS, pairs=st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), max_size=3))
def test_groups_hold_what_tells_each_other(facts, pairs) -> None:
    groups = group_facts(as_triples(facts), [make_pair(*pair) for pair in pairs], *SIZES)
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
