"""A run of the size of a test: the bundled graph, narrow vectors, two epochs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import momok
from momok.config import resolve_config
from momok.graph import MultimodalGraph
from momok.training import RunFolder

SMALL = {
    "preset": "experts",
    "model.structure_width": 16,
    "model.relation_width": 16,
    "model.joint_width": 16,
    "features.reduce": "pca",
    "features.width": 16,
    "training.epochs": 2,
    "training.validate_every": 2,
    "training.learning_rate": 0.01,
    "runtime.threads": 1,
    "runtime.device": "cpu",
    "runtime.precision": "float32",
}


def train_small_run(
    path: Path, graph: MultimodalGraph | str = "world", **overrides: Any
) -> RunFolder:
    """Train into ``path``; further settings have a double underscore for the dot."""
    changes = {key.replace("__", "."): value for key, value in overrides.items()}
    config = resolve_config(overrides=SMALL | changes)
    return momok.train(graph, config, run=path, progress=False)
