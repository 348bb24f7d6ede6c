"""A run that nothing tracks: what tracked ones must equal."""

from __future__ import annotations

import pytest

from momok.training import RunFolder
from tests.training.small_training import train_small


@pytest.fixture(scope="session")
def untracked(tmp_path_factory) -> RunFolder:
    return train_small(tmp_path_factory.mktemp("untracked") / "run")
