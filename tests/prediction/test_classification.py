"""True or false: thresholds, false facts, and numbers, each against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.errors import ConfigError, DataError
from momok.graph import MultimodalGraph, Vocabulary
from momok.prediction import Predictor
from momok.prediction.classification import (
    _choose,
    _make_set,
    classify,
    compute_average_precision,
    score_facts,
)

Cases = st.lists(st.tuples(st.integers(-3, 3), st.booleans()), min_size=1, max_size=12).filter(
    lambda cases: any(true for _, true in cases)
)


@given(Cases)
def test_the_threshold_makes_as_few_mistakes_as_any(cases: list[tuple[int, bool]]) -> None:
    scores = np.array([float(s) for s, _ in cases])
    truth = np.array([t for _, t in cases])
    threshold = _choose(scores, truth)
    right = ((scores >= threshold) == truth).sum()
    tried = [((scores >= x) == truth).sum() for x in (*scores, -10.0, 10.0)]
    assert right == max(tried)


@given(Cases)
def test_average_precision_is_the_sum_over_thresholds(cases: list[tuple[int, bool]]) -> None:
    scores = [float(s) for s, _ in cases]
    truth = [t for _, t in cases]
    expected, before = 0.0, 0.0
    for threshold in sorted(set(scores), reverse=True):
        called = [t for s, t in zip(scores, truth, strict=True) if s >= threshold]
        recall = sum(called) / sum(truth)
        expected += (recall - before) * sum(called) / len(called)
        before = recall
    found = compute_average_precision(np.array(scores), np.array(truth))
    assert found == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["any", "typed"])
def test_false_facts_are_false_and_differ_on_one_side(predictor: Predictor, kind: str) -> None:
    graph = predictor.graph
    true = {tuple(f) for split in (graph.train, graph.valid, graph.test) for f in split.tolist()}
    facts, is_true = _make_set(graph, graph.test, kind, np.random.default_rng(3))  # type: ignore[arg-type]
    assert is_true.sum() * 2 == len(facts)
    given_facts, made = facts[is_true], facts[~is_true]
    assert {tuple(f) for f in given_facts.tolist()} <= true
    assert not {tuple(f) for f in made.tolist()} & true
    assert ((given_facts != made).sum(axis=1) == 1).all()
    assert (given_facts[:, 1] == made[:, 1]).all()
    if kind == "typed":
        seen = [{(f[1], f[place]) for f in graph.train.tolist()} for place in (0, 2)]
        fitting = np.mean([(r, h) in seen[0] and (r, t) in seen[1] for h, r, t in made.tolist()])
        known = np.mean(
            [(r, h) in seen[0] and (r, t) in seen[1] for h, r, t in given_facts.tolist()]
        )
        assert fitting >= known - 0.05


def build_full_graph() -> MultimodalGraph:
    """All that can be said is true."""
    everything = np.array([(h, 0, t) for h in range(3) for t in range(3)], dtype=np.int64)
    return MultimodalGraph(
        name="full",
        entities=Vocabulary(("a", "b", "c")),
        relations=Vocabulary(("r",)),
        train=everything[:7],
        valid=everything[7:8],
        test=everything[8:],
    )


def test_facts_that_cannot_be_made_false_are_left_out() -> None:
    graph = build_full_graph()
    facts, is_true = _make_set(graph, graph.test, "any", np.random.default_rng(0))
    assert len(facts) == len(is_true) == 0


def test_scores_are_both_answers(predictor: Predictor) -> None:
    facts = predictor.graph.test[:20]
    both = [predictor.score_facts(facts, asked=side).answer for side in ("tail", "head")]  # type: ignore[arg-type]
    expected = np.log(both[0]) + np.log(both[1])
    np.testing.assert_allclose(score_facts(predictor.scorer, facts), expected, rtol=1e-5)


def test_a_trained_model_tells_true_from_false(predictor: Predictor) -> None:
    found = classify(predictor.scorer, false_facts="any")
    assert found.overall.count == 2 * len(predictor.graph.test)
    assert found.overall.accuracy > 0.6
    assert found.overall.auc_pr > 0.6
    assert sum(d.count for d in found.by_relation.values()) == found.overall.count
    assert found == classify(predictor.scorer, false_facts="any")
    assert found != classify(predictor.scorer, false_facts="any", seed=1)
    plain = found.to_json()
    assert plain["overall"]["accuracy"] == found.overall.accuracy


def test_wrong_arguments(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="false_facts = 'hard'"):
        classify(predictor.scorer, false_facts="hard")  # type: ignore[arg-type]


def test_no_validation_facts(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    from dataclasses import replace

    bare = replace(predictor.graph, valid=predictor.graph.valid[:0])
    monkeypatch.setattr(predictor.scorer, "graph", bare)
    with pytest.raises(DataError, match="the valid split of graph 'world' has no facts"):
        classify(predictor.scorer)


def test_where_everything_is_true(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    graph = build_full_graph()
    monkeypatch.setattr(predictor.scorer, "graph", graph)
    with pytest.raises(DataError, match="no valid fact of graph 'full' can be made false"):
        classify(predictor.scorer)
