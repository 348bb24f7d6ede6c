"""A run that momok 0.1.0 made gives the scores that momok 0.1.0 gave."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from momok.errors import RunError
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.training import RunFolder

RUN = Path(__file__).parent / "run_of_0_1_0"
HEADS = {  # of work-3, style, by momok 0.1.0
    "style-3": {"structure": 0.047666263, "text": 0.047796373, "joint": 0.050007872},
    "style-2": {"structure": 0.047627066, "text": 0.047727352, "joint": 0.050022436},
    "style-1": {"structure": 0.047614477, "text": 0.047717177, "joint": 0.049994825},
}


def test_settings_and_results_are_read() -> None:
    run = RunFolder(RUN)
    assert (run.state, run.identity) == ("finished", None)
    config = run.config
    assert (config.preset, config.model.heads, config.training.track) == ("experts", "all", ())
    assert config.evaluation.pool == "equal"
    assert run.load_evaluation("test").overall["answer"].mrr == pytest.approx(0.198412698)
    assert run.load_graph().num_entities == 20


def test_scores_are_those_of_0_1_0() -> None:
    predictor = Predictor(RUN, calibrated=False)
    predictions = predictor.predict(head="work-3", relation="style", k=3, known="mark")
    heads = {answer.label: answer.heads for answer in predictions}
    assert list(heads) == list(HEADS)
    for label, expected in HEADS.items():
        assert heads[label] == pytest.approx(expected, rel=1e-5)


def test_its_calibration_is_made_again(tmp_path: Path) -> None:
    copy = shutil.copytree(RUN, tmp_path / "run")
    with pytest.raises(RunError, match=r"momok calibrate .*run makes it again$"):
        Predictor(copy)
    calibrate_run(RunFolder(copy))
    assert Predictor(copy).predict(head="work-3", relation="style", k=1)[0].label == "style-3"
