"""Several processes that train one model get what one process gets."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from momok.arrays import Floats
from momok.config import resolve_config
from momok.graph import MultimodalGraph
from momok.model import MoMoK
from momok.runtime import start_runtime
from momok.settings import RunConfig
from momok.shard import Shard
from momok.training.build import build_model
from momok.training.part_trainer import PartTrainer
from momok.training.queries import TrainingQueries
from momok.training.training_state import build_learners
from tests.training.rank_processes import run_ranks
from tests.training.small_training import SETTINGS, build_graph

STEPS = 20
NO_NOISE: dict[str, Any] = {  # that of a rank's own rows is another than one process draws
    "model.input_dropout": 0.0,
    "model.relation_dropout": 0.0,
    "model.query_dropout": 0.0,
    "model.fusion_dropout": 0.0,
    "model.gate_noise": False,
}
SMALL: dict[str, Any] = {
    "model.structure_width": 8,
    "training.batch_size": 64,
    "training.negatives": 12,
    "runtime.threads": 1,
    "runtime.precision": "float32",
}
CASES: dict[str, RunConfig] = {
    "default": resolve_config("default", overrides=SMALL),
    "all candidates": resolve_config(
        "complex", overrides=SMALL | {"training.candidates": "all", "training.candidate_block": 16}
    ),
    "paper": resolve_config(
        overrides=SETTINGS
        | NO_NOISE
        | {"training.loss": "probabilities", "model.score_prior": False}
    ),
    "sampled logits": resolve_config(
        overrides=SETTINGS | NO_NOISE | {"training.candidates": "sampled", "training.negatives": 12}
    ),
    "projected": resolve_config(
        overrides=SETTINGS
        | NO_NOISE
        | {
            "features.reduce": "project",
            "features.width": 6,
            "features.missing": "mean",
            "model.fusion": "concat",
            "model.decoder": "rotate",
        }
    ),
}


WEIGHTED = ("default", "paper")
"""The cases that are tried with weights of facts besides, in float64."""


def train_all(dtype: torch.dtype, shard: Shard) -> dict[str, Any]:
    """Train every case; those with weights of facts have another name."""
    found = {name: train_some(config, dtype, shard) for name, config in CASES.items()}
    weights = np.random.default_rng(0).uniform(0.1, 1, len(build_graph(entities=41).train))
    for name in WEIGHTED if dtype == torch.float64 else ():
        found[f"{name}, weighted"] = train_some(CASES[name], dtype, shard, weights)
    return found


def train_some(
    config: RunConfig, dtype: torch.dtype, shard: Shard, weights: Floats | None = None
) -> dict[str, Any]:
    """Losses and weights after some steps."""
    graph = build_graph(entities=41)
    model = build(graph, config, shard).to(dtype).train()
    model.load_state_dict(cut(build(graph, config, Shard(41)).to(dtype), shard))
    runtime = start_runtime(config.runtime)
    losses: list[float] = []
    for learner in build_learners(model, config):
        queries = TrainingQueries(graph.train, graph.num_relations, weights=weights)
        if learner.disentanglement is not None:
            learner.disentanglement.clubs.to(dtype)
        part = PartTrainer(learner, queries, config.training, runtime)
        steps = 0

        def each_step(_queries: int, part: PartTrainer = part) -> bool:
            nonlocal steps
            steps += 1
            losses.append(part.last_loss)
            return steps < STEPS

        while steps < STEPS:
            part.train_epoch(each_step)
    return {"losses": losses, "model": gather(model)}


def build(graph: MultimodalGraph, config: RunConfig, shard: Shard) -> MoMoK:
    return build_model(graph, config, torch.Generator().manual_seed(3), shard)


def has_rows(name: str) -> bool:
    return name.startswith("tables.") and name.endswith((".weight", ".features"))


def cut(model: MoMoK, shard: Shard) -> dict[str, torch.Tensor]:
    """What of a whole model is a rank's."""
    return {
        name: tensor[..., shard.first : shard.stop, :] if has_rows(name) else tensor
        for name, tensor in model.state_dict().items()
    }


def gather(model: MoMoK) -> dict[str, NDArray[Any]]:
    """All tensors, those of the tables whole, on rank 0."""
    found = {}
    for name, tensor in model.state_dict().items():
        if has_rows(name):
            parts = list(model.shard.collect(tensor, tensor.ndim - 2))
            found[name] = (torch.cat(parts, dim=-2) if parts else tensor).numpy()
        else:
            found[name] = tensor.numpy()
    return found


def on_ranks(rank: int, count: int, dtype: torch.dtype) -> dict[str, Any]:
    return train_all(dtype, Shard(41, rank, count))


def on_ranks_with_noise(rank: int, count: int) -> dict[str, Any]:
    return train_some(resolve_config(overrides=SETTINGS), torch.float32, Shard(41, rank, count))


def test_noise_of_rows_differs_and_that_of_queries_does_not() -> None:
    """Order, samples and dropout of queries stay the same on all ranks."""
    first, second = run_ranks(2, on_ranks_with_noise)
    assert first["losses"] == second["losses"]
    for name, tensor in first["model"].items():
        if not has_rows(name):
            np.testing.assert_array_equal(tensor, second["model"][name], err_msg=name)


@pytest.fixture(scope="module", params=[torch.float64, torch.float32], ids=["float64", "float32"])
def one(request: pytest.FixtureRequest) -> tuple[torch.dtype, dict[str, Any]]:
    return request.param, train_all(request.param, Shard(41))


def test_ranks_learn_what_one_process_learns(one: tuple[torch.dtype, dict[str, Any]]) -> None:
    dtype, expected = one
    count = 3 if dtype == torch.float64 else 2  # with 3 the shards are uneven
    several = run_ranks(count, on_ranks, dtype)
    tolerance = 1e-12 if dtype == torch.float64 else 1e-6
    for name, alone in expected.items():
        for found in several:
            assert found[name]["losses"] == pytest.approx(alone["losses"], rel=tolerance), name
            assert found[name]["losses"] == several[0][name]["losses"]  # to the bit
        for key, tensor in alone["model"].items():
            np.testing.assert_allclose(
                several[0][name]["model"][key],
                tensor,
                rtol=100 * tolerance,
                atol=100 * tolerance,
                err_msg=f"{name}: {key}",
            )


def build_on_ranks(rank: int, count: int) -> dict[str, Any]:
    graph = build_graph(entities=41)
    shard = Shard(41, rank, count)
    return {name: gather(build(graph, config, shard)) for name, config in CASES.items()}


def test_ranks_begin_with_what_one_process_begins_with() -> None:
    found, _, _ = run_ranks(3, build_on_ranks)
    graph = build_graph(entities=41)
    for name, config in CASES.items():
        for key, tensor in gather(build(graph, config, Shard(41))).items():
            np.testing.assert_allclose(
                found[name][key], tensor, rtol=1e-6, atol=1e-7, err_msg=f"{name}: {key}"
            )
