"""``momok share``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from click.testing import Result

from momok.training import RunFolder

Invoke = Callable[..., Result]


def test_a_run_is_written_for_others(invoke: Invoke, run: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    result = invoke("share", run, folder, "--licence", "apache-2.0")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"Written to {folder}; its card is {folder}/README.md\n"
    assert RunFolder(folder).state == "finished"
    assert 'license: "apache-2.0"' in (folder / "README.md").read_text()
    assert invoke("predict", folder, "--head", "France", "--relation", "borders").exit_code == 0


def test_a_folder_that_is_there_is_left_alone(
    fail: Callable[..., str], run: Path, tmp_path: Path
) -> None:
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "mine.txt").touch()
    assert "exists already" in fail("share", run, tmp_path / "model")
