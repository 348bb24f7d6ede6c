"""Damaged checkpoints and run folders: refused in one line that names the file."""

from __future__ import annotations

import os
import pickle
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

import momok
from momok.errors import (
    CheckpointError,
    DataError,
    MomokError,
    RunError,
)
from momok.graph import write_momok_folder
from momok.training import RunFolder, evaluate_run
from momok.training.checkpoint import read_checkpoint, write_checkpoint
from tests.training.small_training import (
    KilledError,
    Killer,
    change_about,
    expect_line,
    read_outcome,
    train_small,
    write_graph,
)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory.mktemp("runs") / "finished").path


@pytest.fixture
def stopped(finished: Path, tmp_path: Path) -> RunFolder:
    """A run that can be resumed, for a test to damage."""
    run = RunFolder(shutil.copytree(finished, tmp_path / "run"))
    run.set_state("training")
    return run


# -- damaged checkpoints -------------------------------------------------------------------------


class Hostile:
    """Runs code when it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os._exit, (3,)


def _save(path: Path, header: dict[str, str] | None) -> None:
    save_file({"x": torch.zeros(2)}, path, metadata=header)


def _change_core(path: Path, change: Callable[[torch.Tensor], dict[str, torch.Tensor]]) -> None:
    tensors, state = read_checkpoint(path)
    core = tensors.pop("model/decoders.0.core")
    write_checkpoint(path, tensors | change(core), state)


def _replace_by_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


KEY = "momok-checkpoint"


def _rot(path: Path) -> None:
    """Change one bit in the middle of every 4 KB, but for the header."""
    content = bytearray(path.read_bytes())
    begin = 8 + int.from_bytes(content[:8], "little")
    for place in range(begin + (len(content) - begin) % 4096 // 2, len(content), 4096):
        content[place] ^= 1
    path.write_bytes(content)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),
    "header only": lambda path: os.truncate(path, 20),
    "empty": lambda path: os.truncate(path, 0),
    "text": lambda path: path.write_text("no checkpoint, whatever its name says"),
    "flipped": lambda path: path.write_bytes(b"\xff" * 8 + path.read_bytes()[8:]),
    "a few bits": _rot,
    "pickle": lambda path: torch.save({"model": torch.zeros(2)}, path),
    "hostile pickle": lambda path: path.write_bytes(pickle.dumps(Hostile())),
    "foreign": lambda path: _save(path, {"format": "pt"}),
    "bare": lambda path: _save(path, None),
    "version": lambda path: _save(path, {KEY: '{"version": 99, "state": {}}'}),
    "no state": lambda path: _save(path, {KEY: '{"version": 1}'}),
    "odd state": lambda path: _save(path, {KEY: '{"version": 1, "state": 3}'}),
    "odd header": lambda path: _save(path, {KEY: "[1, 2"}),
    "lacking": lambda path: _change_core(path, lambda _: {}),
    "shapes": lambda path: _change_core(
        path, lambda core: {"model/decoders.0.core": core[:1].clone()}
    ),
    "folder": _replace_by_folder,
}


@pytest.mark.parametrize("how", [*DAMAGES, "missing"])
def test_a_damaged_checkpoint_is_not_evaluated(stopped, how) -> None:
    DAMAGES.get(how, Path.unlink)(stopped.best_checkpoint)
    with expect_line(CheckpointError, str(stopped.best_checkpoint)):
        evaluate_run(stopped, "test")


@pytest.mark.parametrize("how", DAMAGES)
def test_a_damaged_checkpoint_is_not_resumed(stopped, how) -> None:
    DAMAGES[how](stopped.last_checkpoint)
    with expect_line(CheckpointError, str(stopped.last_checkpoint)):
        momok.resume(stopped.path, progress=False)
    assert stopped.state == "training"


@pytest.mark.parametrize(
    "part",
    ["parts/generator/now", "parts/generator/epoch_start", "training", "parts", "parts/clubs"],
)
def test_a_checkpoint_without_a_part_is_not_resumed(stopped, part) -> None:
    tensors, state = read_checkpoint(stopped.last_checkpoint)
    tensors = {name: tensor for name, tensor in tensors.items() if not name.startswith(part)}
    write_checkpoint(
        stopped.last_checkpoint, tensors, {k: v for k, v in state.items() if k != part}
    )
    with expect_line(CheckpointError, str(stopped.last_checkpoint)):
        momok.resume(stopped.path, progress=False)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("parts/generator/now", torch.zeros(16, dtype=torch.uint8)),
        ("parts/generator/noise", torch.zeros(16, dtype=torch.uint8)),  # what only a GPU's run has
        ("parts/optimizer/tables.0.weight/exp_avg", torch.zeros(3, 3)),
        ("parts/optimizer/tables.9.weight/exp_avg", torch.zeros(3, 3)),
    ],
)
def test_a_checkpoint_with_a_foreign_part_is_not_resumed(stopped, name, value) -> None:
    tensors, state = read_checkpoint(stopped.last_checkpoint)
    write_checkpoint(stopped.last_checkpoint, tensors | {name: value}, state)
    with expect_line(CheckpointError, str(stopped.last_checkpoint)):
        momok.resume(stopped.path, progress=False)


def test_the_chosen_model_is_no_state_of_training(stopped) -> None:
    shutil.copy(stopped.best_checkpoint, stopped.last_checkpoint)
    with expect_line(CheckpointError, str(stopped.last_checkpoint)):
        momok.resume(stopped.path, progress=False)


def test_the_chosen_model_is_missing(stopped) -> None:
    stopped.best_checkpoint.unlink()
    with expect_line(CheckpointError, str(stopped.best_checkpoint), "restore it from a copy"):
        momok.resume(stopped.path, progress=False)


# -- the run folder ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name", ["run.json", "config.json", "metrics.jsonl", "graph", "graph/train.tsv"]
)
def test_a_file_of_the_run_is_missing(stopped, name) -> None:
    path = stopped.path / name
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    with expect_line(MomokError, name.split("/")[0], str(stopped.path)):
        momok.resume(stopped.path, progress=False)


@pytest.mark.parametrize("content", ["", "[1]", '{"format": "momok-run"', '{"version": 1}'])
@pytest.mark.parametrize("name", ["run.json", "config.json", "data.json"])
def test_a_json_file_of_the_run_is_damaged(stopped, name, content) -> None:
    stopped.last_checkpoint.unlink()  # then data.json is read as well
    (stopped.path / name).write_text(content)
    with expect_line(RunError, str(stopped.path), name):
        momok.resume(stopped.path, progress=False)


def test_a_run_folder_of_another_version(stopped) -> None:
    change_about(stopped.path, version=2)
    with expect_line(RunError, "run folder version 2, this momok reads 1"):
        RunFolder(stopped.path)


def test_a_log_that_was_cut(stopped) -> None:
    log = stopped.path / "metrics.jsonl"
    log.write_bytes(log.read_bytes()[:-20])
    with expect_line(RunError, str(log), "shorter than at the last checkpoint"):
        momok.resume(stopped.path, progress=False)


def test_a_log_with_a_line_that_was_being_written(stopped) -> None:
    log = stopped.path / "metrics.jsonl"
    whole = list(stopped.records())
    log.write_bytes(log.read_bytes() + b'{"kind": "epo')
    assert list(stopped.records()) == whole
    log.write_bytes(b'{"kind": "epo\n' + log.read_bytes())
    with expect_line(RunError, f"{log}:1: not a JSON record"):
        list(stopped.records())
    log.unlink()
    with expect_line(RunError, str(log), "cannot be read"):
        list(stopped.records())


def test_a_result_that_is_missing_or_damaged(stopped) -> None:
    with expect_line(RunError, "momok evaluate", "--split test --protocol published"):
        stopped.load_evaluation("test", "published")
    (stopped.path / "results" / "test.json").write_text("{}")
    with expect_line(RunError, "test.json", "evaluate the run again"):
        stopped.load_evaluation("test")


def test_a_graph_that_changed_before_the_first_checkpoint(tmp_path) -> None:
    source = tmp_path / "shifts"
    graph = write_graph(source)
    with pytest.raises(KilledError):
        train_small(tmp_path / "run", graph, reporter=Killer(3))
    shutil.rmtree(source)
    with expect_line(DataError, str(source)):
        momok.resume(tmp_path / "run", progress=False)
    own = graph.features["image"]
    other = {**graph.features, "image": replace(own, matrix=own.matrix * 2)}
    write_momok_folder(graph.with_features(other), source)
    with expect_line(RunError, str(source), "is not the one the run began with"):
        momok.resume(tmp_path / "run", progress=False)
    shutil.rmtree(source)
    write_momok_folder(replace(graph, train=graph.train[1:]), source)  # the run has its own facts
    resumed = momok.resume(tmp_path / "run", progress=False)
    assert resumed.load_graph().train.tolist() == graph.train.tolist()
    assert read_outcome(resumed) == read_outcome(train_small(tmp_path / "whole", graph))


def test_a_folder_that_is_taken(stopped) -> None:
    before = {path: path.stat().st_mtime_ns for path in stopped.path.rglob("*")}
    with expect_line(RunError, f"{stopped.path}: exists already", "momok resume"):
        train_small(stopped.path)
    assert {path: path.stat().st_mtime_ns for path in stopped.path.rglob("*")} == before
