"""What every tracker does: the numbers of the log arrive, each once, and none can stop a run."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

import momok
from momok.errors import MissingExtraError
from momok.training import evaluate_run
from momok.training.tracking import TRACKERS
from tests.training.small_training import (
    Interrupter,
    KilledError,
    Killer,
    build_graph,
    configure,
    read_outcome,
)
from tests.training.tracking.conftest import train
from tests.training.tracking.reading import check_numbers

BATCHES = 4  # of an epoch of the small settings


@pytest.fixture(params=TRACKERS)
def name(request, monkeypatch) -> str:
    """A tracker that is installed, told to stay on this machine."""
    try:
        TRACKERS[request.param].require()
    except MissingExtraError as error:
        pytest.skip(str(error))
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.delenv("WANDB_DIR", raising=False)
    return str(request.param)


def _wait(name: str) -> None:
    """Until the next second: by the second wandb names what it leaves offline."""
    time.sleep(1 if name == "wandb" else 0)


def test_the_numbers_of_the_log_arrive_and_the_run_is_the_same(tmp_path, name, untracked) -> None:
    run = train(tmp_path / "run", training__track=name)
    check_numbers(name, run)
    assert run.identity == untracked.identity
    assert read_outcome(run) == read_outcome(untracked)


def test_a_killed_run_goes_on_and_no_step_is_logged_twice(tmp_path, name, untracked) -> None:
    """Killed in epoch 4; the last checkpoint is of epoch 2."""
    with pytest.raises(KilledError):
        train(tmp_path / "run", reporter=Killer(3 * BATCHES + 2), training__track=name)
    before = json.loads((tmp_path / "run" / "tracking.json").read_text())
    assert before["step"] == 3
    _wait(name)
    run = momok.resume(tmp_path / "run", progress=False)
    assert json.loads((run.path / "tracking.json").read_text()) == {
        "id": before["id"],
        "step": 4,
        "results": ["valid", "test"],
    }
    check_numbers(name, run)
    assert read_outcome(run) == read_outcome(untracked)


def test_an_interrupted_run_goes_on_as_well(tmp_path, name, untracked) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(tmp_path / "run", reporter=Interrupter(steps=6), training__track=name)
    _wait(name)
    run = momok.resume(tmp_path / "run", progress=False)
    check_numbers(name, run)
    assert read_outcome(run) == read_outcome(untracked)


def test_a_test_that_comes_later_arrives_once(tmp_path, name) -> None:
    config = configure(training__track=name, training__epochs=2)
    run = momok.train(build_graph(), config, run=tmp_path / "run", progress=False, test=False)
    _wait(name)
    for _ in range(2):
        evaluate_run(run, "test")
    check_numbers(name, run)


@pytest.mark.parametrize("fails", ["__init__", "log"])
def test_a_tracker_that_fails_costs_one_line(tmp_path, name, fails, monkeypatch, untracked) -> None:
    def refuse(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TRACKERS[name], fails, refuse)
    listener = Interrupter()
    run = train(tmp_path / "run", reporter=listener, training__track=name)
    assert [line for line in listener.said if line.startswith("warning: ")] == [
        f"warning: {name} does not track {run.path} any more ([Errno 28] No space left on device); "
        "metrics.jsonl has all numbers"
    ]
    assert run.state == "finished"
    assert read_outcome(run) == read_outcome(untracked)
