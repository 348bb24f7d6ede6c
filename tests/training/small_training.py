"""Training of the size of a test: a made-up graph of forty entities, narrow vectors."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

import momok
from momok.config import resolve_config
from momok.errors import MomokError
from momok.graph import (
    FeatureManifest,
    Features,
    MultimodalGraph,
    Vocabulary,
    load_graph,
    write_momok_folder,
)
from momok.model import ClubNetworks, MoMoK
from momok.progress import Reporter
from momok.settings import RunConfig
from momok.storage import seal, unseal
from momok.training import RunFolder
from momok.training.build import build_model
from momok.training.queries import TrainingQueries
from momok.training.step import Disentanglement, training_step

SETTINGS: dict[str, Any] = {  # all that matters here: defaults are free to change
    "preset": "experts",
    "features.reduce": "none",
    "model.experts": 3,
    "model.input_dropout": 0.3,
    "model.relation_dropout": 0.4,
    "model.query_dropout": 0.5,
    "model.structure_width": 8,
    "model.relation_width": 6,
    "model.joint_width": 8,
    "training.epochs": 6,
    "training.batch_size": 64,
    "training.validate_every": 2,
    "training.patience": 0,
    "training.learning_rate": 0.01,
    "training.learning_rate_decay": 0.95,
    "training.beta2": 0.9,
    "training.disentanglement": 0.0001,
    "runtime.threads": 1,
    "runtime.device": "cpu",
    "runtime.precision": "float32",
}


def build_graph(
    entities: int = 40, relations: int = 4, facts: int = 260, seed: int = 0, **widths: int
) -> MultimodalGraph:
    """A graph whose relations are shifts of the entities, so that there is something to learn.

    ``widths`` names the modalities with features; about a third of their rows are absent.
    """
    rng = np.random.default_rng(seed)
    heads, kinds = rng.integers(entities, size=facts), rng.integers(relations, size=facts)
    tails = (heads + 3 * kinds + rng.integers(1, 3, size=facts)) % entities
    triples = np.unique(np.stack([heads, kinds, tails], axis=1), axis=0)
    rng.shuffle(triples)
    held_out = len(triples) // 10
    features = {}
    for modality, width in (widths or {"image": 10, "text": 12}).items():
        present = rng.random(entities) < 0.7
        matrix = np.where(present[:, None], rng.normal(size=(entities, width)), 0.0)
        manifest = FeatureManifest(modality=modality, width=width)
        features[modality] = Features(matrix.astype(np.float32), present, manifest)
    return MultimodalGraph(
        name="shifts",
        entities=Vocabulary(tuple(f"e{i}" for i in range(entities))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(relations))),
        train=triples[2 * held_out :],
        valid=triples[:held_out],
        test=triples[held_out : 2 * held_out],
        features=features,
    )


def write_graph(path: Path) -> MultimodalGraph:
    """Write the made-up graph into a folder and read it from there."""
    write_momok_folder(build_graph(), path)
    return load_graph(path)


def configure(**overrides: Any) -> RunConfig:
    """The settings of a test; further ones have a double underscore for the dot."""
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    return resolve_config(overrides=SETTINGS | changes)


def train_small(
    path: Path, graph: MultimodalGraph | None = None, *, reporter: Any = False, **overrides: Any
) -> RunFolder:
    """Train into ``path``."""
    config = configure(**overrides)
    return momok.train(graph or build_graph(), config, run=path, progress=reporter)


def drop_checksums(run: Path) -> None:
    """Let a test change what the run began with, as in a run of before there were checksums."""
    change_about(run, files=None)


def change_about(run: Path, **values: Any) -> None:
    """Change what ``run.json`` says, as who writes a checksum that fits; None takes a value out."""
    path = run / "run.json"
    about = unseal(json.loads(path.read_text())) | values
    kept = {key: value for key, value in about.items() if value is not None}
    path.write_text(json.dumps(seal(kept)))


class Interrupter(Reporter):
    """Presses Ctrl-C after a number of steps, or of rankings."""

    def __init__(self, *, steps: int = 0, rankings: int = 0) -> None:
        self.steps, self.rankings = steps, rankings
        self.said: list[str] = []

    def say(self, text: str) -> None:
        """Keep what was said."""
        self.said.append(text)

    def progress(self, what: str, done: int, total: int) -> None:
        """Count down."""
        if what.startswith("training"):
            self.steps -= 1
            if self.steps == 0:
                signal.raise_signal(signal.SIGINT)
        elif done == total:
            self.rankings -= 1
            if self.rankings == 0:
                signal.raise_signal(signal.SIGINT)


def read_outcome(run: RunFolder | Path) -> dict[str, bytes]:
    """What must not depend on interruptions: file name to content."""
    folder = run.path if isinstance(run, RunFolder) else run
    files = [folder / "metrics.jsonl"]
    for part in ("checkpoints", "results"):
        files += sorted((folder / part).iterdir())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


class KilledError(Exception):
    """Stands for a killed process."""


class Killer(Reporter):
    """Stops training after some steps as a kill would: nothing is saved."""

    def __init__(self, steps: int) -> None:
        self.left = steps

    def progress(self, what: str, done: int, total: int) -> None:  # noqa: ARG002
        self.left -= what.startswith("training")
        if self.left == 0:
            raise KilledError


@contextmanager
def expect_line(kind: type[MomokError], *words: str) -> Iterator[None]:
    """Expect an error of the package, in one line that has these words."""
    with pytest.raises(kind) as caught:
        yield
    line = str(caught.value)
    assert "\n" not in line
    for word in words:
        assert word in line


def build_small(graph: MultimodalGraph | None = None, seed: int = 0, **overrides: Any) -> MoMoK:
    """An untrained model."""
    return build_model(
        graph or build_graph(), configure(**overrides), torch.Generator().manual_seed(seed)
    )


def take_step(
    model: MoMoK, graph: MultimodalGraph | None = None, **overrides: Any
) -> dict[str, Tensor]:
    """Train one step on the first sixteen queries."""
    settings = configure(**overrides).training
    model.train().noise_generator = torch.Generator().manual_seed(1)
    graph = graph or build_graph()
    queries = TrainingQueries(graph.train, graph.num_relations)
    optimizer = torch.optim.Adam([p for p in model.parameters() if p.requires_grad], lr=0.01)
    exid = None
    if settings.disentanglement and model.spec.experts > 1:
        clubs = ClubNetworks([m.width for m in model.spec.modalities])
        own = torch.optim.Adam(clubs.parameters(), lr=0.01)
        exid = Disentanglement(clubs=clubs, optimizer=own, weight=settings.disentanglement)
    return training_step(
        model, queries.batch(torch.arange(16)), optimizer, exid, generator=model.noise_generator
    )


def sum_heads(losses: Mapping[str, Tensor]) -> Tensor:
    """The task loss of a step."""
    return torch.stack([loss for name, loss in losses.items() if name.startswith("loss/")]).sum()


def copy_state(model: MoMoK) -> dict[str, Tensor]:
    """All tensors as they are now."""
    return {name: tensor.clone() for name, tensor in model.state_dict().items()}


def find_changes(before: Mapping[str, Tensor], model: MoMoK) -> set[str]:
    """Names of the tensors that are others now."""
    after = model.state_dict()
    return {name for name in before if not torch.equal(before[name], after[name])}
