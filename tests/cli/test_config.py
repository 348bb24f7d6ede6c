"""momok config."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.config import list_settings, resolve_config
from momok.presets import PRESETS

Invoke = Callable[..., Result]


def test_every_setting_is_listed_with_its_explanation(invoke: Invoke) -> None:
    result = invoke("config")
    assert result.exit_code == 0
    words = result.stdout.split()
    for name, _, explanation in list_settings():
        assert name in words
        assert explanation
    assert "One of mean, zero, random." in " ".join(words)


def test_json_has_the_values_of_the_preset(invoke: Invoke) -> None:
    rows = json.loads(invoke("config", "--preset", "paper", "--json").stdout)
    values = {row["setting"]: row["value"] for row in rows}
    assert list(values) == [name for name, _, _ in list_settings()]
    assert values["training.epochs"] == 2000
    assert values["features.pool_grid"] is None


@pytest.mark.parametrize("preset", PRESETS)
def test_the_toml_file_gives_the_same_settings(invoke: Invoke, tmp_path: Path, preset: str) -> None:
    text = invoke("config", "--preset", preset, "--toml").stdout
    file = tmp_path / "my.toml"
    file.write_text(text, encoding="utf-8")
    assert resolve_config(file=file) == resolve_config(preset)
    assert text.count("# ") > len(list_settings())
    assert max(map(len, text.splitlines())) <= 100


def test_one_setting(invoke: Invoke, fail: Callable[..., str]) -> None:
    assert invoke("config", "training.epochs", "--preset", "paper").stdout == "2000\n"
    assert invoke("config", "features.pool_grid").stdout == "unset\n"
    assert "did you mean training.epochs?" in fail("config", "training.epoch")


def test_unknown_preset(fail: Callable[..., str]) -> None:
    assert "preset 'papre' does not exist" in fail("config", "--preset", "papre")
