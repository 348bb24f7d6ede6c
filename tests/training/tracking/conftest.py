"""A run that nothing tracks: what tracked ones must equal."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from momok.training import RunFolder
from tests.training.small_training import train_small


def train(path: Path, **settings: Any) -> RunFolder:
    """Train four epochs, with validations and checkpoints after the second and the fourth."""
    return train_small(path, training__epochs=4, **settings)


@pytest.fixture(scope="session")
def untracked(tmp_path_factory) -> RunFolder:
    return train(tmp_path_factory.mktemp("untracked") / "run")
