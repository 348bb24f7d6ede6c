"""Runs of a small graph whose labels are hostile, trained once per test process."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import momok
from momok.config import resolve_config
from momok.reporting.report import write_report
from momok.training import RunFolder
from tests.reporting.report.hostile_graph import write_hostile_graph

SETTINGS = {
    "preset": "experts",
    "model.structure_width": 8,
    "model.relation_width": 8,
    "model.joint_width": 8,
    "model.experts": 2,
    "features.width": 8,
    "training.epochs": 3,
    "training.validate_every": 1,
    "training.batch_size": 64,
    "training.learning_rate": 0.02,
    "runtime.threads": 1,
    "runtime.device": "cpu",
    "runtime.precision": "float32",
}
RUNS = {"first": {"seed": 0}, "second": {"seed": 1}, "narrow": {"model.modalities": "structure"}}


@pytest.fixture(scope="session")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_hostile_graph(tmp_path_factory.mktemp("graphs") / "hostile")


@pytest.fixture(scope="session")
def trained(graph_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two seeds of the same settings, and another setting."""
    folder = tmp_path_factory.mktemp("runs")
    for name, changes in RUNS.items():
        config = resolve_config(overrides=SETTINGS | changes)
        momok.train(graph_folder, config, run=folder / name, progress=False)
    return {name: folder / name for name in RUNS}


@pytest.fixture
def copy_run(trained: dict[str, Path], tmp_path: Path) -> Callable[[str], Path]:
    """Gives a copy of a run that a test may change."""
    return lambda name: Path(shutil.copytree(trained[name], tmp_path / name))


@pytest.fixture(scope="session")
def single_page(trained: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The report of one run."""
    out = tmp_path_factory.mktemp("single") / "page.html"
    return write_report([trained["first"]], out=out)


@pytest.fixture(scope="session")
def several_page(trained: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The comparison of two settings, one with two seeds."""
    out = tmp_path_factory.mktemp("several") / "page.html"
    return write_report(list(trained.values()), out=out)


@pytest.fixture(scope="session")
def first_run(trained: dict[str, Path]) -> RunFolder:
    return RunFolder(trained["first"])
