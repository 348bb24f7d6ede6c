"""Keys of facts, their first occurrences, and the cardinality of relations."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.errors import DataError
from momok.graph.triples import (
    CARDINALITIES,
    classify_cardinality,
    encode_triples,
    first_occurrences,
    join_pairs,
    sort_unique,
)
from tests.graph.small_graph import as_triples


def test_keys_of_facts():
    facts = as_triples([(1, 0, 2), (0, 1, 2), (1, 0, 2), (2, 1, 0), (0, 1, 2)])
    keys = encode_triples(facts, 3, 2)
    assert keys.tolist() == [8, 5, 8, 15, 5]
    kept, first = first_occurrences(keys)
    assert kept.tolist() == [0, 1, 3]
    assert first.tolist() == [0, 1, 0, 3, 1]
    with pytest.raises(DataError, match="are too many"):
        encode_triples(facts, 2**31, 2)


@given(st.lists(st.integers(0, 9), max_size=20))
def test_first_occurrences_are_those_that_a_list_finds(keys):
    kept, first = first_occurrences(np.array(keys, dtype=np.int64))
    assert first.tolist() == [keys.index(key) for key in keys]
    assert kept.tolist() == [row for row, key in enumerate(keys) if key not in keys[:row]]


def test_cardinality_by_hand() -> None:
    train = as_triples(
        [(0, 0, 1), (2, 0, 3), (0, 0, 1)]  # r0: 1-1, a duplicate counts once
        + [(0, 1, 1), (0, 1, 2), (3, 1, 4)]  # r1: 3 facts, 2 heads: exactly 1.5 tails, so many
        + [(1, 2, 0), (2, 2, 0)]  # r2: two heads of one tail
        + [(h, 3, t) for h in (0, 1) for t in (2, 3)]
    )
    names = [CARDINALITIES[kind] for kind in classify_cardinality(train, 5, 5)]
    assert names == ["1-1", "1-N", "N-1", "N-N", "undefined"]


@given(st.lists(st.integers(-5, 5)))
def test_sorted_keys_once_each(values):
    keys = np.array(values, dtype=np.int64)
    assert sort_unique(keys).tolist() == sorted(set(values))


def test_join_pairs_follows_long_chains():
    order = np.random.default_rng(0).permutation(3000)
    groups = join_pairs(np.stack([order[:-1], order[1:]]), 3001)
    assert np.bincount(groups).tolist() in ([3000, 1], [1, 3000])
