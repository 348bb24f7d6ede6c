"""momok data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.graph import CATALOG

Invoke = Callable[..., Result]


def test_list_names_the_catalog(invoke: Invoke) -> None:
    result = invoke("data", "list")
    assert result.exit_code == 0
    for entry in CATALOG:
        assert entry.name in result.stdout


def test_list_says_what_is_on_this_machine(
    invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MOMOK_DATA", str(tmp_path))
    _write_benchmark(tmp_path / "MKG-Y")
    lines = invoke("data", "list", columns=400).stdout.splitlines()
    rows = {name: line for line in lines for name in ("world", "MKG-W", "MKG-Y") if name in line}
    assert "comes with momok" in rows["world"]
    assert "not on this machine" in rows["MKG-W"]
    assert str(tmp_path / "MKG-Y") in rows["MKG-Y"]


def test_without_a_command_the_help_is_shown(invoke: Invoke) -> None:
    assert invoke("data").stdout.startswith("Usage: momok data")


def test_info_of_the_world(invoke: Invoke) -> None:
    result = invoke("data", "info", "world")
    assert result.exit_code == 0
    for words in ("entities", "features: image", "features: text", "licence", "clean"):
        assert words in result.stdout


def _write_benchmark(folder: Path) -> Path:
    folder.mkdir()
    entities = "".join(f"e{i}\t{i}\n" for i in range(4))
    (folder / "entity2id.txt").write_text(entities)
    (folder / "relation2id.txt").write_text("r\t0\n")
    facts = "e0\tr\te1\n" * 5 + "e1\tr\te2\ne2\tr\t\x1b[2J\ne2\tr\te3\n"
    (folder / "train.txt").write_text(facts)
    (folder / "valid.txt").write_text("e0\tr\te2\n")
    (folder / "test.txt").write_text("e1\tr\te3\n")
    return folder


def test_info_counts_findings_and_shows_examples(invoke: Invoke, tmp_path: Path) -> None:
    folder = _write_benchmark(tmp_path / "mine")
    result = invoke("data", "info", folder)
    assert result.exit_code == 0, result.output
    assert "duplicate: 4 " in result.stdout
    assert "train.txt:2" in result.stdout
    assert "and 1 more" in result.stdout
    assert "\x1b" not in result.stdout
    assert "structure alone" in result.stdout


def test_strict_makes_a_bad_line_fatal(fail: Callable[..., str], tmp_path: Path) -> None:
    folder = _write_benchmark(tmp_path / "mine")
    assert "train.txt:7" in fail("data", "info", folder, "--strict")


def test_a_missing_graph_is_one_line(fail: Callable[..., str]) -> None:
    assert "did you mean MKG-W" in fail("data", "info", "MKG-V")
    assert "no such folder" in fail("data", "info", "./nowhere")
