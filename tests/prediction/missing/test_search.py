"""The search of new facts against looking at every pair."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import ConfigError, UnknownLabelError
from momok.prediction.calibration.record import FACT, CalibratedOutput, Calibration
from momok.prediction.missing.facts import (
    BulkOptions,
    count_pairs,
    iterate_new_facts,
    rank_relation,
)
from momok.prediction.missing.search import FoundFacts, find_new_facts
from momok.prediction.scorer import Scorer
from tests.prediction.calibration.test_maps import make_line
from tests.prediction.vector_scorer import VectorScorer, draw_graph


def known_pairs(scorer: VectorScorer, relation: int) -> set[tuple[int, int]]:
    graph = scorer.graph
    facts = np.concatenate([graph.train, graph.valid, graph.test])
    return {(h, t) for h, r, t in facts.tolist() if r == relation}


def search_all(scorer: VectorScorer, relation: int) -> list[tuple[float, int, int]]:
    """All new facts as (score, head, tail), best first, then by ids."""
    scores, known = scorer.fact_scores(relation), known_pairs(scorer, relation)
    N = scorer.graph.num_entities
    found = [(float(scores[h, t]), h, t) for h in range(N) for t in range(N) if (h, t) not in known]
    return sorted(found, key=lambda fact: (-fact[0], fact[1], fact[2]))


def calibrate(scorer: VectorScorer, slope: float, shift: float) -> None:
    fitted = make_line(slope, shift)
    output = CalibratedOutput(map=fitted, choices={}, raw=None, calibrated=None)
    scorer.calibration = Calibration(outputs={FACT: output}, about={}, selected={})


def assert_same(found: FoundFacts, expected: list[tuple[float, int, int]]) -> None:
    assert found.scores == pytest.approx([score for score, _, _ in expected], abs=1e-6)
    pairs = list(zip(found.heads.tolist(), found.tails.tolist(), strict=True))
    assert pairs == [(h, t) for _, h, t in expected]


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    whole=st.booleans(),
    limit=st.integers(1, 100),
    budget=st.sampled_from([1, 500, 1 << 20]),
    floor=st.sampled_from([0.0, 0.3, 0.5]),
)
def test_the_search_finds_what_looking_at_all_pairs_finds(
    *, seed: int, whole: bool, limit: int, budget: int, floor: float
) -> None:
    scorer = VectorScorer(draw_graph(seed), seed, whole=whole)
    found = find_new_facts(
        cast(Scorer, scorer),
        seed % 2,
        limit=limit,
        floor=floor,
        memory_budget=budget,
    )
    expected = [fact for fact in search_all(scorer, seed % 2) if fact[0] >= floor][:limit]
    assert_same(found, expected)


@settings(deadline=None)
@given(seed=st.integers(0, 10_000), limit=st.integers(1, 60), restricted=st.booleans())
def test_plausible_facts_have_heads_and_tails_of_the_relation(
    seed: int, limit: int, restricted: bool
) -> None:
    scorer = VectorScorer(draw_graph(seed), seed)
    train = [(h, t) for h, r, t in scorer.graph.train.tolist() if r == 0]
    expected = search_all(scorer, 0)
    if restricted:
        heads, tails = {h for h, _ in train}, {t for _, t in train}
        loops = any(h == t for h, t in train)
        expected = [
            fact
            for fact in expected
            if fact[1] in heads and fact[2] in tails and (loops or fact[1] != fact[2])
        ]
    options = BulkOptions(per_relation=limit, plausible=restricted)
    told: list[tuple[int, int]] = []
    found = rank_relation(
        cast(Scorer, scorer), 0, options, progress=lambda _what, *step: told.append(step),
    )  # fmt: skip
    assert_same(found, expected[:limit])
    assert told[-1] == (count_pairs(cast(Scorer, scorer), 0, options),) * 2


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000), least=st.floats(0.01, 0.99), slope=st.sampled_from([0.0, 0.4, 2.0])
)
def test_the_least_probability_is_of_calibrated_ones(seed: int, least: float, slope: float) -> None:
    scorer = VectorScorer(draw_graph(seed), seed)
    calibrate(scorer, slope, -0.5)
    options = BulkOptions(min_probability=least)
    found = rank_relation(cast(Scorer, scorer), 0, options)
    every = search_all(scorer, 0)
    scores = np.array([score for score, _, _ in every])
    probabilities = 1 / (1 + np.exp(0.5 - slope * (np.log(scores) - np.log1p(-scores))))
    clear = np.abs(probabilities - least) > 1e-6  # float32 vectors are summed in another order
    expected = [fact for fact, p in zip(every, probabilities, strict=True) if p >= least]
    if clear.all():
        assert_same(found, expected)


def test_many_tiles_and_few_kept_facts() -> None:
    """More entities than a tile has, so that the rising threshold skips pairs."""
    graph = draw_graph(1, entities=700, relations=1, facts=4000)
    scorer = VectorScorer(graph, 1, heads=3)
    found = find_new_facts(cast(Scorer, scorer), 0, limit=50, memory_budget=1 << 16)
    assert_same(found, search_all(scorer, 0)[:50])


def test_scores_far_out_are_told_apart() -> None:
    scorer = VectorScorer(draw_graph(2), 2)
    for table in scorer.candidates.vectors.values():
        table.mul_(30)  # many probabilities are 1 in float32
    found = find_new_facts(cast(Scorer, scorer), 0, limit=5)
    every = search_all(scorer, 0)
    assert found.scores == pytest.approx([score for score, _, _ in every[:5]], abs=1e-12)


def test_facts_come_with_both_answers_and_a_probability() -> None:
    scorer = VectorScorer(draw_graph(3), 3)
    calibrate(scorer, 1.0, -1.0)
    progress: list[tuple[int, int]] = []
    facts = list(
        iterate_new_facts(
            cast(Scorer, scorer), ["r1", 0, "r1"], BulkOptions(per_relation=3),
            progress=lambda _what, *told: progress.append(told),
        )
    )  # fmt: skip
    assert [fact.relation for fact in facts] == [0, 0, 0, 1, 1, 1]
    score, head, tail = search_all(scorer, 0)[0]
    first = facts[0]
    assert (first.head, first.tail) == (head, tail)
    assert first.score == pytest.approx(score, abs=1e-6)
    assert first.score == min(first.tail_answer, first.head_answer)
    assert first.tail_answer == pytest.approx(scorer.answers()[0, head, tail], abs=1e-6)
    logit = np.log(score) - np.log1p(-score)
    assert first.probability == pytest.approx(1 / (1 + np.exp(1 - logit)), abs=1e-6)
    assert progress[-1] == (162, 162)


@pytest.mark.parametrize(
    ("options", "relations", "error", "message"),
    [
        ({"per_relation": 0}, None, ConfigError, "at least 1"),
        ({"min_probability": 1.5}, None, ConfigError, "from 0 to 1"),
        ({"min_probability": 0.5}, None, ConfigError, "momok calibrate"),
        ({}, ["r11"], UnknownLabelError, "did you mean r1"),
        ({}, [7], UnknownLabelError, "no id 7"),
    ],
)
def test_mistakes_are_told_before_anything_is_computed(
    options: dict[str, Any], relations: list[Any] | None, error: type[Exception], message: str
) -> None:
    scorer = VectorScorer(draw_graph(4), 4)
    scorer.run = type("Run", (), {"path": "RUN"})()  # type: ignore[attr-defined]
    scorer.encode_queries = None  # type: ignore[assignment, method-assign]
    with pytest.raises(error, match=message):
        iterate_new_facts(cast(Scorer, scorer), relations, BulkOptions(**options))
