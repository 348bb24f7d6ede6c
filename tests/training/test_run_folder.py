"""A run of a frame, and how a run folder shows itself, whole and damaged."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest

import momok
from momok.config import resolve_config
from momok.errors import DataError
from momok.training import RunFolder
from tests.training.small_training import SETTINGS


def test_a_frame_is_trained_on(tmp_path: Path) -> None:
    facts = [(f"work {i}", kind, f"{kind} {i % 4}") for i in range(24) for kind in ("style", "by")]
    frame = pl.DataFrame(facts, schema=["head", "relation", "tail"], orient="row")
    config = resolve_config(overrides=SETTINGS | {"training.epochs": 2})
    run = momok.train(frame, config, run=tmp_path / "run", progress=False)
    graph = run.load_graph()
    assert (graph.name, graph.split) == ("frames", "clean")
    assert {*facts} == {x for s in ("train", "valid", "test") for x in graph.to_frame(s).rows()}  # type: ignore[arg-type]
    mrr = run.load_evaluation("test").overall["answer"].mrr
    assert repr(run) == (
        f"<RunFolder {str(run.path)!r}: state finished, graph frames, preset experts, "
        f"test MRR {mrr:.4f}>"
    )
    assert ">finished<" in run._repr_html_()
    again = RunFolder(run.path)
    (run.path / "config.json").write_text("{}")
    assert "unreadable" in repr(again)
    assert "changed (its checksum differs)" in repr(again)


def test_what_is_no_graph_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="facts: an int; expected a frame of pandas or polars"):
        momok.train(7, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()
