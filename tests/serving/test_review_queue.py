"""What the queue says of a fact, and what is said when it is decided without the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.serving.review_queue import find_new_facts, judge_fact


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_fact_has_one_probability_however_it_is_decided(own_run: Path, calibrated: bool) -> None:
    if calibrated:
        calibrate_run(own_run)
    predictor = Predictor(own_run, calibrated=calibrated)
    assert (predictor.calibration is not None) == calibrated
    found = find_new_facts(predictor, 0)
    assert found
    for fact in found[:20]:
        said = judge_fact(predictor, (fact.head, fact.relation, fact.tail))
        assert said == pytest.approx(fact.probability, abs=1e-5)
