"""A run of a frame, and how a run folder shows itself, whole and damaged."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

import momok
from momok.config import resolve_config
from momok.errors import ConfigError, DataError, RunError
from momok.training import RunFolder
from tests.training.small_training import (
    SETTINGS,
    change_about,
    drop_checksums,
    expect_line,
    train_small,
)


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
    assert "goes on with it" not in run._repr_html_()
    run.set_state("interrupted")
    assert "not finished: momok.resume(" in run._repr_html_()
    run.set_state("finished")
    again = RunFolder(run.path)
    (run.path / "config.json").write_text("{}")
    assert "unreadable" in repr(again)
    assert "changed (its checksum differs)" in repr(again)


def test_what_is_no_graph_is_not_trained_on(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="facts: an int; expected a frame of pandas or polars"):
        momok.train(7, run=tmp_path / "run")
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "sums",
    [[1], {"/dev/zero": "x"}, {"graph/../../x.tsv": "x"}, {"config.json": 1}, {"other.json": "x"}],
    ids=str,
)
def test_files_of_this_machine_are_not_read_for_a_run(tmp_path: Path, sums: object) -> None:
    """The folder may be from strangers."""
    run = train_small(tmp_path / "run", training__epochs=1)
    change_about(run.path, files=sums)
    with expect_line(RunError, "its checksums are of other files than those of a run"):
        RunFolder(run.path)


def test_a_source_that_is_no_text(tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", training__epochs=1)
    drop_checksums(run.path)
    data = json.loads((run.path / "data.json").read_text())
    (run.path / "data.json").write_text(json.dumps(data | {"source": {}}))
    with expect_line(RunError, "expected the source as text"):
        _ = RunFolder(run.path).data


@pytest.mark.parametrize("given", [5, None, b"runs"])
def test_what_is_no_path_is_said(given: object) -> None:
    with pytest.raises(ConfigError, match=f"run: {type(given).__name__} .*: expected a path"):
        RunFolder(given)  # type: ignore[arg-type]
