"""Running a plan: what is there stays, what fails is said, test comes last."""

from __future__ import annotations

import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest

from momok.errors import RunError
from momok.progress import Reporter
from momok.storage import lock_file
from momok.studies import Study, load_study, study
from momok.training import RunFolder
from tests.studies.small_study import STRUCTURE, make_plan, run_small
from tests.training.small_training import build_graph, expect_line, read_outcome, write_graph

RUNS = ["complex-seed0", "complex-seed1", "distmult-seed0", "distmult-seed1"]


class Watcher(Reporter):
    """Keeps what was said."""

    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, text: str) -> None:
        self.said.append(text)


class Killer(Watcher):
    """Kills the process of a run."""

    def __init__(self, run: str) -> None:
        super().__init__()
        self.run = run

    def progress(self, what: str, done: int, total: int) -> None:  # noqa: ARG002
        for process in multiprocessing.active_children():
            if process.name == self.run and process.pid:
                os.kill(process.pid, signal.SIGKILL)


class Stopper(Watcher):
    """Presses Ctrl-C when a run has begun to train."""

    def progress(self, what: str, done: int, total: int) -> None:  # noqa: ARG002
        if "training 6" in what or done == 1:
            raise KeyboardInterrupt


def test_every_cell_is_a_run_folder(whole: Study) -> None:
    assert sorted(path.name for path in whole.runs.iterdir()) == RUNS
    assert whole.failures == {}
    assert whole.is_tested
    assert load_study(whole.path).plan == whole.plan
    frame = whole.to_frame()
    assert frame["run"].to_list() == RUNS
    assert frame["seed"].to_list() == [0, 1, 0, 1]
    for row in frame.iter_rows(named=True):
        results = whole.runs / row["run"] / "results"
        for name, split in (("mrr", "test"), ("valid_mrr", "valid")):
            result = json.loads((results / f"{split}.json").read_bytes())
            assert row[name] == result["by_tie_rule"]["realistic"]["answer"]["mrr"]
        assert row["epochs"] == 2
        assert row["minutes"] > 0


def test_what_is_there_is_not_trained_again(copy: Study) -> None:
    before = {name: read_outcome(copy.runs / name) for name in RUNS}
    times = {path: path.stat().st_mtime_ns for path in copy.runs.rglob("*") if path.is_file()}
    watcher = Watcher()
    more = run_small(copy.path, progress=watcher, seeds=[0, 1, 2])
    assert watcher.said == ["2 of 6 runs to train"]
    assert {name: read_outcome(copy.runs / name) for name in RUNS} == before
    assert {path: path.stat().st_mtime_ns for path in times} == times
    assert more.to_frame()["seed"].to_list() == [0, 1, 2, 0, 1, 2]


def test_stopped_and_gone_on_with_is_the_same(whole: Study, tmp_path: Path) -> None:
    stopper = Stopper()
    with pytest.raises(KeyboardInterrupt):
        run_small(tmp_path / "study", progress=stopper)
    assert "the same call goes on" in stopper.said[-1]
    assert not list((tmp_path / "study").glob("runs/*/results/test.json"))
    done = run_small(tmp_path / "study")
    for name in RUNS:
        assert read_outcome(done.runs / name) == read_outcome(whole.runs / name)


def test_a_run_that_fails_or_is_killed_stops_no_other(tmp_path: Path) -> None:
    variants = {
        "good": {"settings": STRUCTURE},
        "bad": {"settings": STRUCTURE | {"model.modalities": "structure,sound"}},
        "killed": {"settings": STRUCTURE},
    }
    killer = Killer("killed-seed0")
    done = run_small(tmp_path / "study", progress=killer, variants=variants, seeds=[0])
    assert set(done.failures) == {"bad-seed0", "killed-seed0"}
    assert "sound" in done.failures["bad-seed0"]
    assert "ended by signal 9; was there enough memory?" in done.failures["killed-seed0"]
    assert done.to_frame()["variant"].to_list() == ["good"]
    assert done.is_tested
    assert sum("failed" in line for line in killer.said) == 2
    again = run_small(tmp_path / "study", variants=variants, seeds=[0])
    assert set(again.failures) == {"bad-seed0"}
    assert again.to_frame()["variant"].to_list() == ["good", "killed"]


def test_without_test_nothing_is_looked_at(tmp_path: Path) -> None:
    plan = make_plan(
        seeds=[0], variants={"a": {"settings": STRUCTURE}},
        scenarios=[{"kind": "sparse", "levels": [0, 0.5]}],
    )  # fmt: skip
    done = study(build_graph(), plan, out=tmp_path / "study", progress=False, test=False)
    assert not done.is_tested
    assert not list(done.runs.glob("*/results/test*"))
    frame = done.to_frame()
    assert frame["mrr"].to_list() == [None, None]
    assert frame["valid_mrr"].null_count() == 0
    assert frame["level"].to_list() == [0.0, 0.5]
    whole, half = (
        (done.runs / run / "graph" / "train.tsv").read_bytes().count(b"\n") for run in frame["run"]
    )
    assert half == whole - round(whole / 2)


def test_a_graph_that_was_changed_since_it_was_read_is_trained_as_it_is(tmp_path: Path) -> None:
    graph = write_graph(tmp_path / "graph")
    plan = make_plan(seeds=[0], variants={"a": {"settings": STRUCTURE}})
    few = replace(graph, train=graph.train[:100])
    done = study(few, plan, out=tmp_path / "study", progress=False, test=False)
    assert RunFolder(done.runs / "a-seed0").data["facts"]["train"] == 100


def test_a_folder_of_something_else_is_left_alone(copy: Study, tmp_path: Path) -> None:
    with expect_line(RunError, "is a study of graph 'shifts', or of other facts", "--out"):
        study(build_graph(seed=1), make_plan(), out=copy.path, progress=False)
    variants = {"complex": {"settings": STRUCTURE | {"training.batch_size": 32}}}
    with expect_line(
        RunError, "was trained with other settings (training.batch_size)", "'complex'"
    ):
        run_small(copy.path, variants=variants)
    with lock_file(copy.path / ".lock"), expect_line(RunError, "another process is working"):
        run_small(copy.path)
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").touch()
    with expect_line(RunError, "thesis: is no folder of a study"):
        run_small(other)
    assert [path.name for path in other.iterdir()] == ["chapter.tex"]
    (copy.path / "study.json").write_text('{"format": "momok-study", "version": 9}')
    with expect_line(RunError, "not a study of this version of momok"):
        load_study(copy.path)
