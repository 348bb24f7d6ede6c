"""Newer checkpoints: what fails changes nothing, and the next one is served."""

from __future__ import annotations

from pathlib import Path

import pytest

from momok.serving import model_holder
from momok.serving.metrics import Metrics
from momok.serving.model_holder import ModelHolder
from momok.serving.settings import ServeSettings


def test_a_reload_that_fails_in_any_way_changes_nothing(
    hostile_run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    holder = ModelHolder(ServeSettings(run=hostile_run, threads=1), Metrics())
    before = holder.current

    def run_out(*_: object) -> None:
        raise RuntimeError("CUDA out of memory")

    with monkeypatch.context() as patch:
        patch.setattr(model_holder, "ServedModel", run_out)
        assert not holder.reload()
    assert holder.current is before
    assert holder.reload()
    assert holder.current is not before
