"""A trained run, once per test process."""

from __future__ import annotations

import pytest

from momok.prediction import Predictor
from momok.training import RunFolder
from tests.prediction.trained_run import train_small_run


@pytest.fixture(scope="session")
def small_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_small_run(tmp_path_factory.mktemp("runs") / "small")


@pytest.fixture(scope="session")
def predictor(small_run: RunFolder) -> Predictor:
    return Predictor(small_run)
