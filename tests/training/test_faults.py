"""What can go wrong while training: one clear error, nothing lost, nothing half-written."""

from __future__ import annotations

import errno
import os
import resource
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
import torch

import momok
from momok.errors import (
    ConfigError,
    DataError,
    RunError,
    StorageError,
    TrainingError,
)
from momok.progress import Reporter
from momok.runtime import start_runtime
from momok.training import RunFolder, checkpoint, evaluate_run, part_trainer
from momok.training.build import build_model
from momok.training.checkpoint import load_model, read_checkpoint, write_checkpoint
from momok.training.step import training_step
from momok.training.tracking import Tracking
from momok.training.trainer import Trainer
from tests.training.small_training import (
    build_graph,
    configure,
    expect_line,
    train_small,
)


@pytest.fixture
def full_disk() -> Iterator[Callable[[int], None]]:
    """Makes every write beyond a size fail, as a full disk does; gives the function."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


# -- a full disk ---------------------------------------------------------------------------------


def test_a_disk_that_is_full_when_a_checkpoint_is_written(tmp_path, full_disk) -> None:
    path = tmp_path / "checkpoints" / "last.safetensors"
    write_checkpoint(path, {"a": torch.ones(4)}, {"n": 1})
    before = path.read_bytes()
    full_disk(1000)
    with expect_line(StorageError, str(path), "could not be written", "the one before is kept"):
        write_checkpoint(path, {"a": torch.ones(4000)}, {"n": 2})
    full_disk(resource.RLIM_INFINITY)
    assert [p.name for p in path.parent.iterdir()] == [path.name]
    assert path.read_bytes() == before
    assert read_checkpoint(path)[1] == {"n": 1}


def test_a_disk_that_is_full_while_training(tmp_path, monkeypatch) -> None:
    run, whole = tmp_path / "run", train_small(tmp_path / "whole")
    save, left = checkpoint.save_file, 2  # of the three times that the state is saved

    def fill(tensors: object, path: Path, metadata: object) -> None:
        nonlocal left
        left -= path.name.startswith(".last")
        if left < 0:
            path.write_bytes(b"half of it")
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        save(tensors, path, metadata)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "save_file", fill)
        with expect_line(StorageError, str(run), "No space left on device"):
            train_small(run)
    assert sorted(p.name for p in (run / "checkpoints").iterdir()) == [
        "best.safetensors",
        "last.safetensors",
    ]
    assert read_checkpoint(RunFolder(run).last_checkpoint)[1]["parts"][""]["epoch"] == 5
    again = momok.resume(run, progress=False)
    assert again.last_checkpoint.read_bytes() == whole.last_checkpoint.read_bytes()


def test_a_disk_that_is_full_when_the_log_is_written(tmp_path, full_disk) -> None:
    run = train_small(tmp_path / "run", training__epochs=1)
    log = run.path / "metrics.jsonl"
    before = log.read_bytes()
    full_disk(len(before) + 10)
    with expect_line(StorageError, str(log), "could not be written"):
        run.log({"kind": "epoch", "loss": 1.25, "epoch": 1})
    full_disk(resource.RLIM_INFINITY)
    assert log.read_bytes() == before


@pytest.mark.parametrize("exists", [False, True])
def test_a_disk_that_is_full_when_the_run_begins(tmp_path, full_disk, exists) -> None:
    if exists:
        (tmp_path / "run").mkdir()
    full_disk(500)
    with expect_line(StorageError, "could not be written"):
        train_small(tmp_path / "run")
    full_disk(resource.RLIM_INFINITY)
    assert [p.name for p in tmp_path.iterdir()] == ["run"] * exists
    assert not list(tmp_path.glob("run/*"))
    assert train_small(tmp_path / "run", training__epochs=1).state == "finished"


def test_a_run_folder_below_a_file(tmp_path) -> None:
    (tmp_path / "file").write_text("x")
    with expect_line(StorageError, str(tmp_path / "file")):
        train_small(tmp_path / "file" / "run")


# -- numbers that are not finite -----------------------------------------------------------------


def test_a_learning_rate_that_explodes(tmp_path) -> None:
    with expect_line(TrainingError, "epoch 1, batch ", "is not finite", "training.learning_rate"):
        train_small(tmp_path / "run", training__learning_rate=1e30)
    assert RunFolder(tmp_path / "run").state == "training"


def test_weights_that_are_not_finite_are_not_kept(tmp_path) -> None:
    """The loss of the only batch of an epoch is computed before its step."""
    with expect_line(TrainingError, "epoch 1: ", "is not finite"):
        train_small(
            tmp_path / "run",
            training__learning_rate=3e38,
            training__batch_size=10_000,
            training__disentanglement=0.0,
            training__validate_every=1,
        )
    assert not (tmp_path / "run" / "checkpoints").exists()


@pytest.mark.parametrize("head", ["structure", "joint"])
def test_a_nan_in_a_weight_keeps_the_last_good_checkpoint(tmp_path, monkeypatch, head) -> None:
    steps = 0

    def poisoned_step(model, *arguments, **settings):  # type: ignore[no-untyped-def]
        nonlocal steps
        steps += 1
        if steps == 4 * 4 + 2:  # in epoch 5 of 4 batches each
            with torch.no_grad():
                model.decoders[model.heads.index(head)].core[0, 0, 0] = torch.nan
        return training_step(model, *arguments, **settings)

    monkeypatch.setattr(part_trainer, "training_step", poisoned_step)
    with expect_line(TrainingError, "epoch 5, batch 2: loss/", head, "the last good checkpoint"):
        train_small(tmp_path / "run")
    run = RunFolder(tmp_path / "run")
    for path in (run.best_checkpoint, run.last_checkpoint):
        model, _ = load_model(path)
        assert all(tensor.isfinite().all() for tensor in model.state_dict().values())
    assert read_checkpoint(run.last_checkpoint)[1]["parts"][""]["epoch"] == 5
    evaluate_run(run, "test")
    monkeypatch.undo()
    assert momok.resume(run.path, progress=False).state == "finished"


# -- what is refused before anything is made -----------------------------------------------------


@pytest.mark.parametrize("split", ["train", "valid", "test"])
def test_an_empty_split(tmp_path, split) -> None:
    graph = build_graph()
    graph = replace(graph, **{split: graph.train[:0]})
    with expect_line(DataError, f"the {split} split has no facts"):
        train_small(tmp_path / "run", graph)
    assert not (tmp_path / "run").exists()


def test_config_and_single_settings(tmp_path) -> None:
    with expect_line(RunError, "either a config or single settings"):
        momok.train(build_graph(), configure(), run=tmp_path / "run", epochs=3)
    with expect_line(ConfigError, "'training.epoch'; did you mean training.epochs?"):
        momok.train(build_graph(), run=tmp_path / "run", epoch=3)


def test_the_name_of_a_graph_is_no_path(tmp_path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    graph = replace(build_graph(), name="../../My Graph/東京")
    run = momok.train(graph, configure(training__epochs=1), progress=False)
    assert run.path.parent == Path("runs")
    assert run.path.name.startswith("my-graph-東京-")


def test_a_trainer_needs_no_graph_on_disk(tmp_path) -> None:
    """The folder is made from the graph at hand, whatever its source."""
    graph, config = build_graph(), configure(training__epochs=1)
    runtime = start_runtime(config.runtime)
    run = RunFolder.create(tmp_path / "run", graph, config, {})
    trainer = Trainer(
        run, graph, build_model(graph, config, torch.Generator()), runtime, Reporter()
    )
    trainer.fit(Tracking(run, Reporter()))
    assert run.state == "trained"
    assert run.load_graph().train.tolist() == graph.train.tolist()
