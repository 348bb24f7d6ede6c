"""Metrics of given ranks, by hand."""

from __future__ import annotations

import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.evaluation import (
    Metrics,
    best_of_each_metric,
    compute_grouped_metrics,
    compute_metrics,
)
from tests.oracle import ranking_oracle

NO_VALUES = Metrics(count=0, mrr=None, mean_rank=None, hits={1: None, 3: None, 10: None, 100: None})


def test_metrics_by_hand() -> None:
    metrics = compute_metrics(np.array([1.0, 2.0, 2.5, 4.0, 200.0]))
    assert metrics.count == 5
    assert metrics.mrr == pytest.approx((1 + 1 / 2 + 1 / 2.5 + 1 / 4 + 1 / 200) / 5)
    assert metrics.mean_rank == pytest.approx(41.9)
    assert metrics.hits == {1: 0.2, 3: 0.6, 10: 0.8, 100: 0.8}


def test_no_ranks_have_no_values() -> None:
    assert compute_metrics(np.array([])) == NO_VALUES


def test_groups_equal_their_members_alone() -> None:
    ranks, groups = np.array([1.0, 7.0, 3.0, 11.5]), np.array([2, 0, 2, 0])
    metrics = compute_grouped_metrics(ranks, groups, 4)
    assert metrics[0] == compute_metrics(ranks[[1, 3]])
    assert metrics[1] == metrics[3] == NO_VALUES
    assert metrics[2] == compute_metrics(ranks[[0, 2]])


@given(halves=st.lists(st.integers(2, 400), max_size=30))
def test_metrics_equal_plain_loops(halves: list[int]) -> None:
    ranks = [half / 2 for half in halves]
    found, expected = compute_metrics(np.array(ranks)), ranking_oracle.measure(ranks)
    hits = {str(k): share for k, share in found.hits.items()}
    assert found.count == expected["count"]
    assert found.mrr == pytest.approx(expected["mrr"])
    assert found.mean_rank == pytest.approx(expected["mean_rank"])
    assert hits == pytest.approx(expected["hits"])


@pytest.mark.parametrize("ranks", [[], [1.0, 5.5]])
def test_json_round_trip(ranks: list[float]) -> None:
    metrics = compute_metrics(np.array(ranks))
    text = json.dumps(metrics.to_json(), allow_nan=False)
    assert Metrics.from_json(json.loads(text)) == metrics


def test_best_of_each_metric_mixes_epochs() -> None:
    first = compute_metrics(np.array([1.0, 1.0, 90.0]))
    second = compute_metrics(np.array([2.0, 2.0, 2.0]))
    best = best_of_each_metric([first, second])
    assert best.count == 3
    assert best.mrr == first.mrr
    assert best.mean_rank == second.mean_rank == 2.0
    assert best.hits == {1: pytest.approx(2 / 3), 3: 1.0, 10: 1.0, 100: 1.0}
    assert best_of_each_metric([NO_VALUES, NO_VALUES]) == NO_VALUES


def test_best_of_each_metric_needs_comparable_epochs() -> None:
    with pytest.raises(ValueError, match="at least one epoch"):
        best_of_each_metric([])
    with pytest.raises(ValueError, match=r"different numbers of queries: \[0, 1\]"):
        best_of_each_metric([NO_VALUES, compute_metrics(np.array([1.0]))])
