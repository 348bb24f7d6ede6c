"""The shape of a graph."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph.doctor.overview import compute_overview, count_cardinalities
from momok.graph.triples import CARDINALITIES, classify_cardinality


def test_degrees_of_the_small_graph(small):
    degrees = compute_overview(small, ()).degrees
    counts = dict.fromkeys(small.entities.labels, 0)
    for split in (small.train, small.valid, small.test):
        for head, _, tail in split.tolist():
            counts[small.entities.labels[head]] += 1
            counts[small.entities.labels[tail]] += 1
    assert degrees.hub == max(counts, key=counts.get)
    assert degrees.largest == max(counts.values())
    assert degrees.mean == pytest.approx(np.mean(list(counts.values())))
    for low, high, count in degrees.histogram:
        assert count == sum(low <= value <= high for value in counts.values())
    assert sum(count for _, _, count in degrees.histogram) == len(counts)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40))
def test_cardinalities_are_those_of_evaluation(facts):
    train = np.array(facts, dtype=np.int64)
    kinds = classify_cardinality(train, 5, 5)
    counted = count_cardinalities(train, 5, 5)
    for code, cardinality in enumerate(counted):
        assert cardinality.kind == CARDINALITIES[code]
        assert cardinality.relations == (kinds == code).sum()
        distinct = {fact for fact in facts if kinds[fact[1]] == code}
        assert cardinality.facts == len(distinct)
