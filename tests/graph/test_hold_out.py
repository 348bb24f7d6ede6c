"""Splitting: every entity and relation in train, no group torn apart, the same by the same seed."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph.redundancy import group_facts
from momok.graph.splits import hold_out
from tests.graph.small_graph import as_triples

N, R = 8, 3
FACTS = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1)),
    unique=True,
    min_size=1,
    max_size=80,
)


@given(facts=FACTS, seed=st.integers(0, 2**32 - 1), wanted=st.tuples(*[st.integers(1, 30)] * 2))
def test_the_promises_of_a_split(facts, seed, wanted) -> None:
    triples = as_triples(facts)
    groups = group_facts(triples, [], N, R)
    parts = hold_out(triples, groups, wanted, N, R, seed=seed)
    train = triples[parts == 0]
    assert set(train[:, ::2].ravel()) == set(triples[:, ::2].ravel())
    assert set(train[:, 1]) == set(triples[:, 1])
    for group in range(groups.max() + 1):
        assert len(set(parts[groups == group].tolist())) == 1
    largest = np.bincount(groups).max()
    for part, size in enumerate(wanted, 1):
        assert (parts == part).sum() < size + largest
    assert (hold_out(triples, groups, wanted, N, R, seed=seed) == parts).all()


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
