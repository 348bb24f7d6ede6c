"""Weights & Biases: offline where nobody has logged in, so that it never asks at the terminal."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from momok.training.tracking import TRACKERS, TrackedRun

wandb = pytest.importorskip("wandb", reason="an extra")


@pytest.mark.parametrize(
    ("logged_in", "mode", "expected"),
    [(False, None, "offline"), (True, None, None), (False, "disabled", "disabled")],
)
def test_offline_unless_there_is_a_key_or_a_mode(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    logged_in: bool,
    mode: str | None,
    expected: str | None,
) -> None:
    given: dict[str, Any] = {}

    def begin(**settings: Any) -> SimpleNamespace:
        given.update(settings)
        return SimpleNamespace(dir=f"{tmp_path}/files", offline=True, url=None)

    monkeypatch.setattr(wandb, "login", lambda *, prompt: logged_in and not prompt)
    monkeypatch.setattr(wandb, "init", begin)
    monkeypatch.delenv("WANDB_MODE", raising=False)
    if mode:
        monkeypatch.setenv("WANDB_MODE", mode)
    run = TrackedRun(path=tmp_path / "run", id="1f", group="", settings={})
    tracker = TRACKERS["wandb"](run)
    assert given["mode"] == expected
    assert given["reinit"] == "create_new"
    assert (given["id"], given["name"], given["group"]) == ("1f", "run", None)
    assert tracker.where == f"offline; wandb sync {tmp_path}"
