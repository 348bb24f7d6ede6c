"""What a run tells its trackers, whichever they are, and which it may have."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, ClassVar

import pytest

from momok.errors import ConfigError, MissingExtraError
from momok.training import RunFolder
from momok.training.tracking import TRACKERS, TrackedRun
from tests.training.small_training import (
    Interrupter,
    KilledError,
    Killer,
    drop_checksums,
    expect_line,
    read_outcome,
    train_small,
)
from tests.training.tracking.conftest import train


class Told:
    """A tracker that remembers what it was told."""

    where = "nowhere"
    all: ClassVar[list[Told]] = []

    def __init__(self, run: TrackedRun) -> None:
        self.run = run
        self.steps: list[tuple[int, dict[str, float]]] = []
        self.results: dict[str, float] = {}
        self.state = ""
        Told.all.append(self)

    @staticmethod
    def require() -> None:
        """Nothing is needed."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self.steps.append((step, dict(metrics)))

    def log_results(self, results: Mapping[str, float], step: int) -> None:
        assert step == self.steps[-1][0]
        self.results |= results

    def finish(self, state: str) -> None:
        self.state = state


@pytest.fixture
def told(monkeypatch) -> list[Told]:
    monkeypatch.setattr(Told, "all", [])
    monkeypatch.setitem(TRACKERS, "told", Told)
    return Told.all


def test_a_tracker_knows_settings_group_and_end(tmp_path, told) -> None:
    study = tmp_path / "wider texts"
    train_small(study / "runs" / "a", training__track="told", training__epochs=1)
    (study / "study.json").write_text("{}")
    train_small(study / "runs" / "b", training__track="told", training__epochs=1, seed=7)
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "c", reporter=Interrupter(steps=1), training__track="told")
    with pytest.raises(KilledError):
        train_small(tmp_path / "d", reporter=Killer(1), training__track="told")
    assert [each.run.group for each in told] == ["", "wider texts", "", ""]
    assert [each.run.path.name for each in told] == ["a", "b", "c", "d"]
    assert [each.state for each in told] == ["finished", "finished", "interrupted", "failed"]
    assert told[1].run.settings["seed"] == 7
    assert told[1].run.settings["training"]["track"] == ["told"]
    assert len({each.run.id for each in told}) == 4


def test_a_failing_tracker_leaves_the_others(tmp_path, told, monkeypatch) -> None:
    class Failing(Told):
        def log(self, metrics: Mapping[str, float], step: int) -> None:
            super().log(metrics, step)
            if step == 3:
                raise ConnectionError

    monkeypatch.setitem(TRACKERS, "failing", Failing)
    listener = Interrupter()
    train(tmp_path / "run", reporter=listener, training__track="failing,told")
    failing, whole = told
    assert [step for step, _ in failing.steps] == [1, 2, 3]
    assert [step for step, _ in whole.steps] == [1, 2, 3, 4]
    assert (failing.state, whole.state) == ("", "finished")
    assert [line for line in listener.said if line.startswith(("told", "failing", "warning"))] == [
        "failing: nowhere",
        "told: nowhere",
        f"warning: failing does not track {tmp_path / 'run'} any more (ConnectionError); "
        "metrics.jsonl has all numbers",
    ]


@pytest.mark.usefixtures("told")
@pytest.mark.parametrize("fails", ["log_results", "finish"])
def test_a_tracker_that_fails_in_the_end_costs_one_line(tmp_path, fails, monkeypatch) -> None:
    def refuse(*_: Any) -> None:
        raise TimeoutError("the server is gone\nsecond line")

    monkeypatch.setattr(Told, fails, refuse)
    listener = Interrupter()
    run = train_small(
        tmp_path / "run", reporter=listener, training__track="told", training__epochs=1
    )
    assert [line for line in listener.said if line.startswith("warning: ")] == [
        f"warning: told does not track {run.path} any more (the server is gone); "
        "metrics.jsonl has all numbers"
    ]
    assert run.state == "finished"


def test_a_mark_that_cannot_be_written_costs_a_line(tmp_path, told, untracked) -> None:
    class Spoiler(Interrupter):
        def validated(self, epoch: int, *_: Any, **__: Any) -> None:
            mark = tmp_path / "run" / "tracking.json"
            if epoch == 2:
                mark.unlink()
                mark.mkdir()

    spoiler = Spoiler()
    run = train(tmp_path / "run", reporter=spoiler, training__track="told")
    assert [step for step, _ in told[0].steps] == [1, 2, 3, 4]
    [line] = (line for line in spoiler.said if line.startswith("warning: "))
    assert "tracking.json: could not be written" in line
    assert read_outcome(run) == read_outcome(untracked)


def test_a_name_that_no_tracker_has(tmp_path) -> None:
    with expect_line(ConfigError, "training.track = 'wanda'", "tensorboard, wandb"):
        train_small(tmp_path / "run", training__track="wanda")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("missing", ["tensorboard", "wandb"])
def test_without_its_library_nothing_is_begun(tmp_path, monkeypatch, missing) -> None:
    monkeypatch.setattr("momok.extras.find_spec", lambda _name: None)
    with expect_line(MissingExtraError, f"training.track = {missing}", f"'momok[{missing}]'"):
        train_small(tmp_path / "run", training__track=missing)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("wanted", "names"), [(True, ("tensorboard",)), (False, ())])
def test_an_older_run_that_wrote_event_files(tmp_path, wanted, names) -> None:
    run = train_small(tmp_path / "run", training__epochs=1)
    drop_checksums(run.path)
    config = json.loads((run.path / "config.json").read_text())
    del config["training"]["track"]
    config["training"]["tensorboard"] = wanted
    (run.path / "config.json").write_text(json.dumps(config))
    assert RunFolder(run.path).config.training.track == names
