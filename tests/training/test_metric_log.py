"""TensorBoard: event files when asked for, one line when it is not installed."""

from __future__ import annotations

import pytest

from momok.errors import MissingExtraError
from tests.training.small_training import train_small


def test_event_files_hold_losses_and_validations(tmp_path) -> None:
    accumulator = pytest.importorskip(
        "tensorboard.backend.event_processing.event_accumulator", reason="an extra"
    )
    run = train_small(tmp_path / "run", training__tensorboard=True, training__epochs=2)
    events = accumulator.EventAccumulator(str(run.path / "tensorboard")).Reload()
    logged = [record["loss"] for record in run.records("epoch")]
    assert [event.value for event in events.Scalars("train/loss")] == pytest.approx(logged)
    (validated,) = run.records("valid")
    (event,) = events.Scalars("valid/mrr/answer")
    assert event.value == pytest.approx(validated["metrics"]["answer"]["mrr"])


def test_without_tensorboard_nothing_is_begun(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr("momok.extras.find_spec", lambda _name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'momok\[tensorboard\]'"):
        train_small(tmp_path / "run", training__tensorboard=True)
    assert not (tmp_path / "run").exists()
