"""The calibration of a run: its file, whole, damaged and outdated, and what predictions show."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from momok.errors import RunError
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.prediction.calibration_record import load_calibration
from momok.training import RunFolder
from tests.prediction.trained_run import train_small_run
from tests.training.small_training import drop_checksums


@pytest.fixture(scope="module")
def calibrated(small_run: RunFolder, tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    folder = tmp_path_factory.mktemp("calibrated") / "run"
    shutil.copytree(small_run.path, folder)
    calibrate_run(folder)
    return RunFolder(folder)


@pytest.fixture
def run(calibrated: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy to damage."""
    return RunFolder(Path(shutil.copytree(calibrated.path, tmp_path / "run")))


def change(run: RunFolder, /, **values: Any) -> None:
    calibration = load_calibration(run)
    assert calibration is not None
    dataclasses.replace(calibration, **values).save(run)


def test_nothing_of_test_enters_the_maps(calibrated: RunFolder, tmp_path: Path) -> None:
    """With other test facts the maps are the same, and only the report differs."""
    copy = Path(shutil.copytree(calibrated.path, tmp_path / "run"))
    drop_checksums(copy)
    path = copy / "graph" / "test.tsv"
    lines = path.read_text().splitlines(keepends=True)
    path.write_text("".join(lines[: len(lines) // 3]))
    before, after = load_calibration(calibrated), calibrate_run(copy)
    assert before is not None
    for name, output in before.outputs.items():
        p = np.linspace(0.001, 0.999, 50)
        assert after.apply(name, p) == pytest.approx(before.apply(name, p), rel=1e-6)
        assert after.outputs[name].choices == pytest.approx(output.choices)
        assert after.outputs[name].calibrated != output.calibrated


def test_the_file_gives_back_what_was_fitted(calibrated: RunFolder) -> None:
    read = load_calibration(calibrated)
    assert read is not None
    heads = {"structure", "image", "text", "joint"}
    assert set(read.outputs) == heads | {"answer", "fact", "plausible_fact"}
    for output in read.outputs.values():
        assert output.choices[output.map.method] == min(output.choices.values())
        assert output.raw is not None
        assert output.calibrated is not None
    assert read.about["valid"]["facts"] == len(calibrated.load_graph().valid)


def test_a_hardly_trained_model_gives_finite_numbers(tmp_path: Path) -> None:
    """Its scores lie in a few bins, so that fits are steep and other scores are far outside."""
    run = train_small_run(tmp_path / "run", training__epochs=1, training__learning_rate=1e-6)
    calibration = calibrate_run(run)
    json.dumps(calibration.to_json(), allow_nan=False)
    assert load_calibration(run) == calibration


def test_predictions_carry_calibrated_probabilities(calibrated: RunFolder) -> None:
    predictor = Predictor(calibrated)
    calibration = predictor.calibration
    assert calibration is not None
    answers = predictor.predict(head="France", relation="borders", k=50)
    probabilities = [p.probability for p in answers]
    assert probabilities == pytest.approx(calibration.apply("answer", [p.score for p in answers]))
    assert probabilities == sorted(probabilities, reverse=True)  # type: ignore[type-var]
    first = answers[0]
    assert first.head_probabilities == {
        head: pytest.approx(float(calibration.apply(head, p))) for head, p in first.heads.items()
    }
    scores = predictor.score_facts([("France", "borders", first.label)])
    assert scores.probability is not None
    assert float(scores.probability[0]) == pytest.approx(first.probability)
    plain = Predictor(calibrated, calibrated=False)
    assert plain.calibration is None
    assert plain.predict(head="France", relation="borders")[0].probability is None
    assert plain.score_facts([("France", "borders", "Spain")]).probability is None


def test_without_a_calibration_there_is_none(small_run: RunFolder) -> None:
    assert load_calibration(small_run) is None
    assert Predictor(small_run).calibration is None


def test_the_calibration_of_another_checkpoint_is_not_used(run: RunFolder) -> None:
    change(run, selected={"epoch": 99, "mrr": 0.9, "split": "valid"})
    assert Predictor(run).calibration is None
    calibrate_run(run)
    assert Predictor(run).calibration is not None


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "Expecting property name"),
        ("[]", "expected names with values"),
        ('{"format": "momok-calibration", "version": 2}', "version = 2: expected 3"),
        ('{"format": "momok-calibration", "version": 3}', "selected is missing"),
        (b"\xff", "can't decode byte"),
    ],
)
def test_damaged_files_are_told_in_one_line(
    run: RunFolder, content: str | bytes, message: str
) -> None:
    path = run.path / "results" / "calibration.json"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    with pytest.raises(RunError, match=message) as error:
        Predictor(run)
    line = str(error.value)
    assert line.startswith(f"{path}: not a calibration")
    assert line.endswith(f"momok calibrate {run.path} makes it again")
    assert "\n" not in line
    calibrate_run(run)  # makes it again, whatever was there
    assert Predictor(run).calibration is not None


def test_changed_digits_and_files_of_other_runs_are_refused(run: RunFolder) -> None:
    path = run.path / "results" / "calibration.json"
    kept = path.read_text()
    knot = re.search(r"-?\d+\.\d+", kept)
    assert knot is not None
    path.write_text(kept.replace(knot.group(), "-0.25", 1))
    with pytest.raises(RunError, match="it is not what was written"):
        Predictor(run)
    path.write_text(kept)
    change(run, run="another")
    with pytest.raises(RunError, match="it belongs to another run"):
        Predictor(run)


def test_a_missing_output_is_told(run: RunFolder) -> None:
    calibration = load_calibration(run)
    assert calibration is not None
    change(run, outputs={k: v for k, v in calibration.outputs.items() if k != "joint"})
    with pytest.raises(RunError, match=r"no output joint\); momok calibrate"):
        Predictor(run)
