"""What the tables of a run show beside its metrics."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from momok.config import resolve_config
from momok.graph import MultimodalGraph
from momok.reporting.report.contents import RunContents
from momok.reporting.report.run_parts import list_changes, list_setting_rows, mark_code
from momok.training import RunFolder
from tests.training.small_training import build_graph


def _make_run(folder: Path, graph: MultimodalGraph, **changes: Any) -> RunContents:
    preset = changes.pop("preset", None)
    overrides = {key.replace("__", "."): value for key, value in changes.items()}
    config = resolve_config(preset, overrides=overrides)
    run = RunFolder.create(folder, graph, config, {})
    (run.path / "metrics.jsonl").touch()
    return RunContents(run.path)


def test_settings_that_differ_from_the_preset(tmp_path: Path) -> None:
    graph = build_graph()
    assert list_changes(_make_run(tmp_path / "default", graph)) == {}
    assert list_changes(_make_run(tmp_path / "paper", graph, preset="paper")) == {}
    run = _make_run(
        tmp_path / "changed", graph, training__epochs=7, features__width=32,
        modality__image__trainable=False,
    )  # fmt: skip
    assert list_changes(run) == {
        "training.epochs": 24,
        "features.width": 128,
        "modality.image.trainable": True,
    }
    assert run.list_settings()["modality.image.width"].value == 32
    assert list(run.list_settings())[-1].startswith("modality.image.")
    changed, unchanged = list_setting_rows(run)
    assert [row[0] for row in changed] == [f"<code>{name}</code>" for name in list_changes(run)]
    assert len(changed) + len(unchanged) == len(run.list_settings())


def test_explanations_set_code_apart() -> None:
    assert mark_code("``clean`` mends & ``published`` does not") == (
        "<code>clean</code> mends &amp; <code>published</code> does not"
    )
