"""One small study for the tests that only read it."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from momok.studies import Study, load_study
from tests.studies.small_study import run_small


@pytest.fixture(scope="session")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A finished study."""
    return run_small(tmp_path_factory.mktemp("studies") / "small")


@pytest.fixture
def copy(whole: Study, tmp_path: Path) -> Study:
    """A copy of it that a test may change."""
    return load_study(shutil.copytree(whole.path, tmp_path / "study"))
