"""What can be wrong with a run, and the switches of a model that predictions must bear."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch

from momok.errors import CheckpointError, ConfigError, RunError
from momok.prediction import Predictor
from momok.training import RunFolder
from momok.training.checkpoint import read_checkpoint, write_checkpoint
from tests.prediction.trained_run import train_small_run
from tests.training.small_training import drop_checksums


@pytest.fixture
def copied(small_run: RunFolder, tmp_path: Path) -> RunFolder:
    """A copy that a test may damage."""
    shutil.copytree(small_run.path, tmp_path / "run", ignore=shutil.ignore_patterns("last.*"))
    return RunFolder(tmp_path / "run")


def test_no_run(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run folder"):
        Predictor(tmp_path / "nothing")
    with pytest.raises(RunError, match=r"no run\.json here"):
        Predictor(tmp_path)


def test_no_checkpoint(copied: RunFolder) -> None:
    copied.best_checkpoint.unlink()
    with pytest.raises(CheckpointError, match="no such checkpoint"):
        Predictor(copied)


@pytest.mark.parametrize("damage", ["truncated", "text", "empty"])
def test_corrupt_checkpoint(copied: RunFolder, damage: str) -> None:
    content = copied.best_checkpoint.read_bytes()
    damaged = {"truncated": content[: len(content) // 2], "text": b"not a checkpoint", "empty": b""}
    copied.best_checkpoint.write_bytes(damaged[damage])
    with pytest.raises(CheckpointError, match="corrupt, truncated or a pickle"):
        Predictor(copied.path)


def test_checkpoint_with_values_that_are_not_finite(copied: RunFolder) -> None:
    path = copied.best_checkpoint
    tensors, state = read_checkpoint(path)
    tensors["model/tables.0.weight"][5, 0] = torch.nan
    write_checkpoint(path, tensors, state)
    with pytest.raises(CheckpointError, match="head 'structure' gives values that are not finite"):
        Predictor(copied)


def test_graph_that_does_not_fit_the_model(copied: RunFolder) -> None:
    count = copied.data["entities"]
    drop_checksums(copied.path)
    entities = copied.path / "graph" / "entities.tsv"
    entities.write_text(entities.read_text() + "one-more\n")
    with pytest.raises(RunError, match=rf"has {count + 1} entities .* trained for {count} "):
        Predictor(copied.path)


def test_graph_is_missing(copied: RunFolder) -> None:
    shutil.rmtree(copied.path / "graph")
    with pytest.raises(RunError, match=r"graph/entities\.tsv: missing since the run began"):
        Predictor(copied)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_gpu_that_is_not_there(small_run: RunFolder) -> None:
    with pytest.raises(ConfigError, match="PyTorch sees no GPU here"):
        Predictor(small_run, device="cuda")


def test_process_settings_stay_as_they_were(small_run: RunFolder) -> None:
    threads, precision = torch.get_num_threads(), torch.get_float32_matmul_precision()
    Predictor(small_run).predict(head="France", relation="borders")
    assert torch.get_num_threads() == threads
    assert torch.get_float32_matmul_precision() == precision
    assert torch.is_grad_enabled()


def test_model_without_joint_head_and_with_one_expert(tmp_path: Path) -> None:
    run = train_small_run(
        tmp_path / "run",
        model__heads="modalities",
        model__experts=1,
        model__modalities=["structure", "text"],
        training__epochs=1,
    )
    predictor = Predictor(run)
    predictions = predictor.predict(tail="city:FR/Paris", relation="capital", k=3)
    assert predictor.heads == ("structure", "text")
    assert predictions.experts == {"structure": [1.0], "text": [1.0]}
    for prediction in predictions:
        total = sum(prediction.heads.values())
        assert prediction.score == pytest.approx(total / 2)
        for modality, share in prediction.shares.items():
            assert share == pytest.approx(prediction.heads[modality] / total)
