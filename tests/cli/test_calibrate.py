"""``momok calibrate``, and what training, predicting and tables do with it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from momok.prediction.calibration_record import load_calibration

Invoke = Callable[..., Result]


def test_training_leaves_a_calibration(trained: tuple[Path, Result]) -> None:
    folder, _ = trained
    calibration = load_calibration(folder)
    assert calibration is not None
    assert calibration.about["test"]["questions"] > 0


def test_the_table_shows_every_output(invoke: Invoke, run: Path) -> None:
    (run / "results" / "calibration.json").unlink()
    result = invoke("calibrate", run)
    assert result.exit_code == 0, result.output
    narrow = invoke("calibrate", run, columns=80).stdout
    assert max(map(len, narrow.splitlines())) <= 80
    assert all(f" {head} " in narrow for head in ("structure", "joint", "answer"))
    calibration = load_calibration(run)
    assert calibration is not None
    for name, output in calibration.outputs.items():
        [row] = [line.split() for line in result.stdout.splitlines() if f" {name} " in line]
        assert output.map.method in row
        assert output.calibrated is not None
        assert f"{output.calibrated.ece_shown:.4f}" in row


def test_json_is_what_the_run_has(invoke: Invoke, run: Path) -> None:
    result = invoke("calibrate", run, "--json")
    kept = json.loads((run / "results" / "calibration.json").read_text())
    del kept["checksum"]
    assert json.loads(result.stdout) == kept


def test_predictions_show_the_probability(invoke: Invoke, run: Path) -> None:
    question = ("predict", run, "--head", "France", "--relation", "borders", "-k", 3)
    table = invoke(*question)
    calibration = load_calibration(run)
    assert calibration is not None
    answers = json.loads(invoke(*question, "--format", "json").stdout)["predictions"]
    header = next(line for line in table.stdout.splitlines() if "score" in line)
    assert header.split()[:4] == ["#", "tail", "score", "prob."]
    for answer in answers:
        probability = float(calibration.apply("answer", answer["score"]))
        assert answer["probability"] == probability
        assert f"{100 * probability:.1f}%" in table.stdout
    (run / "results" / "calibration.json").unlink()
    assert "prob." not in invoke(*question).stdout


def test_mistakes_are_one_line(fail: Callable[..., str], run: Path, tmp_path: Path) -> None:
    assert "no such run folder" in fail("calibrate", tmp_path / "none")
    (run / "results" / "calibration.json").write_text("{")
    question = ("--head", "France", "--relation", "borders")
    assert "not a calibration" in fail("predict", run, *question)
