"""Runs on graphs whose facts have weights: kept in the run, and only their ratios count."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest

import momok
from momok.config import resolve_config
from momok.graph import MultimodalGraph
from momok.graph.fact_columns import KEYS, label_facts
from momok.settings import RunConfig
from momok.training import RunFolder
from momok.training.checkpoint import load_model
from tests.training.small_training import SETTINGS, Interrupter, build_graph, read_outcome

CONFIGS = {
    "default": resolve_config(
        "default",
        overrides={
            "model.structure_width": 8,
            "training.epochs": 4,
            "training.validate_every": 2,
            "training.batch_size": 32,
            "training.negatives": 16,
            "evaluation.pool": "equal",
            "runtime.threads": 1,
            "runtime.precision": "float32",
        },
    ),
    "experts": resolve_config(overrides=SETTINGS | {"training.epochs": 4}),
}


def weigh(scale: float = 1.0, *, alike: bool = False) -> MultimodalGraph:
    graph = build_graph()
    weights = np.random.default_rng(0).uniform(0.1, 1, len(graph.train))
    facts = label_facts(graph.train, graph.entities.labels, graph.relations.labels)
    if alike:
        weights[:] = 1.0
    return replace(graph, fact_columns=facts.with_columns(weight=pl.lit(scale * weights)))


def tensors_of(run: RunFolder) -> dict[str, bytes]:
    model, _ = load_model(run.best_checkpoint)
    return {name: tensor.numpy().tobytes() for name, tensor in model.state_dict().items()}


@pytest.fixture(scope="module", params=CONFIGS.values(), ids=CONFIGS)
def weighted(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> tuple[RunConfig, RunFolder, list[str]]:
    reporter = Interrupter()  # which never interrupts
    path = tmp_path_factory.mktemp("weighted") / "run"
    run = momok.train(weigh(), request.param, run=path, progress=reporter)
    return request.param, run, reporter.said


def test_a_run_keeps_the_weights_and_says_so(weighted) -> None:
    _, run, said = weighted
    given = weigh().weights("train")
    assert given is not None
    assert f"  train facts count by weight, {given.min():g} to {given.max():g}" in said
    kept = run.load_graph()
    assert kept.to_frame("train").columns == [*KEYS, "weight"]
    assert kept.weights("train").tolist() == given.tolist()
    assert "graph/facts.tsv" in run.read_about()["files"]


def test_weights_of_one_size_are_none_to_the_bit(weighted, tmp_path: Path) -> None:
    config, run, _ = weighted
    plain = momok.train(build_graph(), config, run=tmp_path / "plain", progress=False)
    alike = momok.train(weigh(0.3, alike=True), config, run=tmp_path / "alike", progress=False)
    assert tensors_of(alike) == tensors_of(plain)
    assert alike.identity == plain.identity
    assert run.identity != plain.identity
    assert tensors_of(run) != tensors_of(plain)


def test_only_the_ratios_of_weights_count(weighted, tmp_path: Path) -> None:
    """To the bit, as a power of two is what all are multiplied by."""
    config, run, _ = weighted
    scaled = momok.train(weigh(2.0**-20), config, run=tmp_path / "scaled", progress=False)
    assert tensors_of(scaled) == tensors_of(run)


def test_a_run_with_weights_goes_on_to_the_bit(weighted, tmp_path: Path) -> None:
    config, run, _ = weighted
    with pytest.raises(KeyboardInterrupt):
        momok.train(weigh(), config, run=tmp_path / "cut", progress=Interrupter(steps=7))
    momok.resume(tmp_path / "cut", progress=False)
    assert read_outcome(tmp_path / "cut") == read_outcome(run)
