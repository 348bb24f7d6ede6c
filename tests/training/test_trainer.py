"""Parts that are trained apart: on one thread or several, interrupted or not, the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

import momok
from momok.errors import ConfigError, TrainingError
from momok.training import RunFolder
from momok.training.checkpoint import read_checkpoint
from tests.training.small_training import (
    Interrupter,
    build_graph,
    build_small,
    expect_line,
    read_outcome,
    train_small,
)

APART: dict[str, Any] = {
    "model__heads": "modalities",
    "model__experts": 0,
    "model__decoder": "complex",
    "model__members": 2,
    "features__mapped": True,
    "training__loss": "softmax",
    "training__optimizer": "adagrad",
    "training__learning_rate": 0.1,
    "training__regulariser": "dura",
    "training__regularisation": 0.05,
    "training__candidates": "sampled",
    "training__negatives": 12,
}
STEPS = 4 * 3 * 2  # of an epoch: batches, heads, members


def read_weights(run: RunFolder) -> dict[str, torch.Tensor]:
    return read_checkpoint(run.best_checkpoint, "model/")[0]


def assert_equal_weights(run: RunFolder, other: RunFolder) -> None:
    found, expected = read_weights(run), read_weights(other)
    assert found.keys() == expected.keys()
    assert [name for name in found if not torch.equal(found[name], expected[name])] == []


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_small(tmp_path_factory.mktemp("apart") / "whole", **APART)


@pytest.mark.parametrize("threads", [2, 4, 6])
def test_any_number_of_cores_gives_the_same_bits(tmp_path: Path, whole, threads: int) -> None:
    run = train_small(tmp_path / "run", **APART, runtime__threads=threads)
    assert_equal_weights(run, whole)
    assert list(run.records("epoch")) == list(whole.records("epoch"))
    assert torch.get_num_threads() == threads  # as before the parts


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("steps", [2, STEPS + 5, 2 * STEPS, 4 * STEPS + 13])
def test_ctrl_c_in_the_midst_of_several_parts(tmp_path, whole, steps: int, threads: int) -> None:
    settings = APART | {"runtime__threads": threads}
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", reporter=Interrupter(steps=steps), **settings)
    assert RunFolder(tmp_path / "run").state == "interrupted"
    again = read_outcome(momok.resume(tmp_path / "run", progress=False))
    if threads == 1:
        assert again == read_outcome(whole)
    else:  # checkpoints name the run, whose settings are others
        assert again["metrics.jsonl"] == read_outcome(whole)["metrics.jsonl"]
        assert_equal_weights(RunFolder(tmp_path / "run"), whole)


def test_members_differ_and_a_head_has_the_mean_of_their_losses(whole, tmp_path) -> None:
    first, *_, last = whole.records("epoch")
    names = {f"loss/{head}" for head in ("structure", "image", "text")}
    assert {name for name in first if name.startswith("loss/")} == names
    assert all(last[name] < first[name] for name in names)
    assert last["loss"] == pytest.approx(sum(last[name] for name in names))
    alone = train_small(tmp_path / "one", **(APART | {"model__members": 1, "training__epochs": 1}))
    for name in names:  # of the size of one member's
        assert next(iter(alone.records("epoch")))[name] == pytest.approx(first[name], rel=0.1)
    one, other = read_weights(whole)["tables.0.weight"]
    assert not torch.allclose(one, other, atol=0.01)


def test_a_part_that_fails_ends_the_run_in_one_line(tmp_path: Path) -> None:
    settings = APART | {"training__learning_rate": 1e30, "runtime__threads": 2}
    with expect_line(TrainingError, "is not finite", "batch"):
        train_small(tmp_path / "run", **settings)


@pytest.mark.parametrize(
    "changes",
    [
        {"model__heads": "all"},
        {"model__experts": 2},
        {"model__decoder": "rotate", "training__regulariser": "l2"},
        {"features__mapped": False},
        {"training__loss": "logits", "training__regulariser": "none"},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_members_need_heads_that_share_nothing(changes: dict[str, Any]) -> None:
    with expect_line(ConfigError, "model.members = 2", "model.heads = modalities"):
        build_small(build_graph(), **(APART | changes))
