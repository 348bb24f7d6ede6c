"""A small run of the world graph, made through the command line once per worker."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from momok.cli import main

TINY = (
    "preset=experts",
    "model.structure_width=16",
    "model.relation_width=8",
    "model.joint_width=16",
    "features.reduce=pca",
    "features.width=16",
    "training.epochs=2",
    "training.validate_every=1",
    "training.learning_rate=0.01",
    "runtime.threads=1",
)

Invoke = Callable[..., Result]


@pytest.fixture(scope="session")
def invoke() -> Invoke:
    """Runs a command on a terminal of 120 columns: ``invoke("config", "--json")``."""

    def call(*arguments: object, columns: int = 120) -> Result:
        runner = CliRunner(env={"COLUMNS": str(columns)})
        return runner.invoke(main, [str(argument) for argument in arguments])

    return call


@pytest.fixture(scope="session")
def fail(invoke: Invoke) -> Callable[..., str]:
    """Runs a command that must fail in one line, with exit 2; gives the line."""

    def call(*arguments: object) -> str:
        result = invoke(*arguments)
        assert result.exit_code == 2, result.output
        assert isinstance(result.exception, SystemExit), result.exc_info
        assert result.stdout == ""
        [line] = result.stderr.splitlines()
        assert line.startswith("momok: ")
        return line

    return call


@pytest.fixture(scope="session")
def trained(invoke: Invoke, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Result]:
    """A run folder and what ``momok train`` said while it made it."""
    folder = tmp_path_factory.mktemp("runs") / "tiny run"
    settings = [part for setting in TINY for part in ("--set", setting)]
    result = invoke("train", "world", *settings, "--run", folder, "--seed", 5)
    assert result.exit_code == 0, result.output
    return folder, result


@pytest.fixture
def run(trained: tuple[Path, Result], tmp_path: Path) -> Path:
    """A copy of the run folder that a test may change."""
    return Path(shutil.copytree(trained[0], tmp_path / "run"))
