"""New facts of relations: which are wanted, how probable they are, what is refused."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import ConfigError, UnknownLabelError
from momok.prediction.calibration_record import FACT, CalibratedOutput, Calibration
from momok.prediction.missing.facts import (
    BulkOptions,
    count_pairs,
    iterate_new_facts,
    rank_relation,
)
from momok.prediction.scorer import Scorer
from tests.prediction.missing.test_search import assert_same, search_all
from tests.prediction.test_calibration_maps import make_line
from tests.prediction.vector_scorer import VectorScorer, draw_graph


def calibrate(scorer: VectorScorer, slope: float, shift: float) -> None:
    fitted = make_line(slope, shift)
    output = CalibratedOutput(map=fitted, choices={}, raw=None, calibrated=None)
    scorer.calibration = Calibration(outputs={FACT: output}, about={}, selected={})


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
        expected = [fact for fact in expected if fact[1] in heads and fact[2] in tails]
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
