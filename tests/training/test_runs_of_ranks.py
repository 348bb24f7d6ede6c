"""Run folders of several processes: written by the first, read and gone on with by any number."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

import momok
from momok.config import resolve_config
from momok.errors import ConfigError, RunError
from momok.progress import Reporter
from momok.shard import Shard
from momok.training import RunFolder, evaluate_run
from momok.training.checkpoint import load_model, model_tensors, read_checkpoint, write_checkpoint
from momok.training.sharding import write_ranks_checkpoint
from tests.training.rank_processes import run_ranks
from tests.training.small_training import (
    KilledError,
    Killer,
    build_graph,
    build_small,
    read_outcome,
)
from tests.training.test_ranks import SMALL

CONFIG = resolve_config(
    "default",
    overrides=SMALL
    | {"training.epochs": 4, "training.validate_every": 2, "evaluation.pool": "equal"},
)


def train_on_ranks(
    rank: int, _count: int, path: Path, kill_at: int = 0, seeds: tuple[int, int] = (0, 0)
) -> str:
    """Train; the first rank is killed at a step."""
    config = CONFIG.model_copy(update={"seed": seeds[rank]})
    reporter = Killer(kill_at) if kill_at and rank == 0 else Reporter()
    try:
        momok.train(build_graph(entities=41), config, run=path, progress=reporter)
    except KilledError:
        return "killed"
    return "finished"


def resume_on_ranks(_rank: int, _count: int, path: Path) -> None:
    momok.resume(path, progress=False)


def train_alone(path: Path) -> RunFolder:
    return momok.train(build_graph(entities=41), CONFIG, run=path, progress=False)


def test_a_run_of_ranks_is_a_run(tmp_path: Path) -> None:
    run_ranks(2, train_on_ranks, tmp_path / "two")
    alone, two = train_alone(tmp_path / "one"), RunFolder(tmp_path / "two")
    assert two.state == "finished"
    assert two.environment["ranks"] == 2
    losses = [[record["loss"] for record in run.records("epoch")] for run in (alone, two)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)
    validated = [list(run.records("valid")) for run in (alone, two)]
    mrr = [[record["metrics"]["answer"]["mrr"] for record in records] for records in validated]
    assert mrr[1] == pytest.approx(mrr[0], abs=5e-3)
    # what the ranks counted together is what one process counts in their checkpoint
    again = evaluate_run(two, "valid")
    best = max(mrr[1])
    assert again.overall["answer"].mrr == pytest.approx(best, abs=1e-9)


def evaluate_on_ranks(_rank: int, _count: int, path: Path) -> float:
    return float(evaluate_run(path, "test").overall["answer"].mrr or 0.0)


def test_ranks_evaluate_as_one_process_does(tmp_path: Path) -> None:
    """The pool and the evidence of rules take part."""
    config = CONFIG.model_copy(
        update={"evaluation": CONFIG.evaluation.model_copy(update={"pool": "heads+rules"})}
    )
    run = momok.train(build_graph(entities=41), config, run=tmp_path / "run", progress=False)
    before = {path.name: path.read_bytes() for path in (run.path / "results").iterdir()}
    alone = run.load_evaluation("test").overall["answer"].mrr
    assert run_ranks(3, evaluate_on_ranks, run.path) == [alone] * 3
    assert {path.name: path.read_bytes() for path in (run.path / "results").iterdir()} == before


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_killed_run_of_ranks_goes_on_in_any_number(tmp_path: Path, ranks: int) -> None:
    run_ranks(2, train_on_ranks, tmp_path / "whole")
    found = run_ranks(2, train_on_ranks, tmp_path / "killed", 75)
    assert found[0] == "killed"
    assert isinstance(found[1], RunError)
    assert "another process of this run has stopped" in str(found[1])
    if ranks == 1:
        momok.resume(tmp_path / "killed", progress=False)
    else:
        run_ranks(2, resume_on_ranks, tmp_path / "killed")
        assert read_outcome(tmp_path / "killed") == read_outcome(tmp_path / "whole")
    runs = [RunFolder(tmp_path / name) for name in ("whole", "killed")]
    assert runs[1].state == "finished"
    losses = [[record["loss"] for record in run.records("epoch")] for run in runs]
    assert losses[1] == pytest.approx(losses[0], rel=1e-5)


def test_ranks_of_different_settings_are_refused(tmp_path: Path) -> None:
    found = run_ranks(2, train_on_ranks, tmp_path / "run", 0, (0, 1))
    for error in found:
        assert isinstance(error, ConfigError)
        assert "do not have the same settings and graph" in str(error)
    assert not (tmp_path / "run").exists()


def test_more_ranks_than_entities_are_refused() -> None:
    with pytest.raises(ConfigError, match="3 processes for 2 entities"):
        Shard(2, 0, 3)


def write_on_ranks(rank: int, count: int, path: Path) -> None:
    shard = Shard(41, rank, count)
    model = build_small(build_graph(entities=41), **CHANGES)
    tensors, state = model_tensors(model)
    own = {
        name: x[..., shard.first : shard.stop, :] if ".weight" in name or ".features" in name else x
        for name, x in tensors.items()
    }
    write_ranks_checkpoint(path, own, state, shard)
    for name, tensor in load_model(path, shard=shard)[0].state_dict().items():
        assert torch.equal(tensor, own[f"model/{name}"]), name


CHANGES = {
    "features__reduce": "none",
    "features__mapped": True,
    "model__heads": "modalities",
    "model__experts": 0,
    "model__decoder": "complex",
    "model__members": 2,
    "training__loss": "softmax",
}


def test_ranks_write_what_one_process_writes(tmp_path: Path) -> None:
    model = build_small(build_graph(entities=41), **CHANGES)
    write_checkpoint(tmp_path / "one", *model_tensors(model))
    run_ranks(3, write_on_ranks, tmp_path / "three")
    expected, found = (load_file(tmp_path / name) for name in ("one", "three"))
    assert expected.keys() == found.keys()
    assert all(torch.equal(expected[name], found[name]) for name in expected)
    assert read_checkpoint(tmp_path / "one")[1] == read_checkpoint(tmp_path / "three")[1]
