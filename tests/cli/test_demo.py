"""momok demo, with a model too small to be any good."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.cli.demo import DEMO_SETTINGS, QUESTIONS
from momok.config import resolve_config
from momok.graph import load_graph
from momok.training import RunFolder

Invoke = Callable[..., Result]


@pytest.fixture(scope="module")
def shown(invoke: Invoke, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    folder = tmp_path_factory.mktemp("demo") / "run"
    small = {
        "model.structure_width": 8,
        "training.epochs": 1,
        "runtime.threads": 1,
    }
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("momok.cli.demo.DEMO_SETTINGS", small)
        return folder, invoke("demo", "--run", folder)


def test_the_demo_shows_table_predictions_and_what_next(shown: tuple[Path, Result]) -> None:
    folder, result = shown
    assert result.exit_code == 0, result.output
    for words in ("world: test", "answer", "Hits@10", "What the model predicts", "✓ true"):
        assert words in result.stdout
    for words in ("France — borders", "Spain — member of", "Cyrillic", "Eurozone", "Japan"):
        assert words in result.stdout
    assert f"momok predict {folder}" in result.stdout
    assert RunFolder(folder).state == "finished"
    assert (folder / "plots" / "curves.png").is_file()


def test_what_is_shown_as_true_is_in_test(shown: tuple[Path, Result]) -> None:
    marked = sum(line.rstrip().endswith(("✓", "✗")) for line in shown[1].stdout.splitlines())
    graph = load_graph("world")
    asked = {(graph.entities.index(h), graph.relations.index(r)) for h, r in QUESTIONS}
    held_out = [(h, r) for h, r, _ in graph.test.tolist() if (h, r) in asked]
    assert set(held_out) == asked  # every question has a true answer that is held out
    assert marked == len(held_out)


def test_the_settings_are_settings() -> None:
    assert resolve_config(overrides=DEMO_SETTINGS).training.epochs >= 1
