"""Killed at any moment: what the next command does with what was left."""

from __future__ import annotations

import shutil
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

import momok
from momok.errors import RunError
from momok.progress import Reporter
from momok.storage import lock_file, name_draft
from momok.training import RunFolder
from tests.training.small_training import (
    Interrupter,
    KilledError,
    build_graph,
    configure,
    expect_line,
    read_outcome,
    train_small,
)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_small(tmp_path_factory.mktemp("runs") / "run", training__epochs=2).path


@pytest.fixture
def begun(whole: Path, tmp_path: Path) -> Path:
    """What a process has left that was killed while it made the run folder."""
    run = Path(shutil.copytree(whole, tmp_path / "run"))
    for part in ("checkpoints", "results"):
        shutil.rmtree(run / part)
    (run / "run.json").unlink()
    (run / "data.json").unlink()
    name_draft(run / "data.json").write_bytes(b"{")
    return run


def test_train_takes_over_a_folder_that_was_being_made(begun: Path, whole: Path) -> None:
    with expect_line(RunError, "not a complete run folder", "the same command begins again in it"):
        momok.resume(begun, progress=False)
    assert read_outcome(train_small(begun, training__epochs=2)) == read_outcome(whole)
    assert not list(begun.glob(".*.partial"))


def test_a_folder_that_another_process_is_making_is_left_alone(begun: Path) -> None:
    before = sorted(begun.iterdir())
    with lock_file(begun / ".lock"), expect_line(RunError, "another process is making a run here"):
        train_small(begun)
    assert sorted(begun.iterdir()) == before


@pytest.mark.parametrize("name", ["checkpoints", "thesis.txt"])
def test_a_folder_with_anything_else_is_left_alone(begun: Path, name: str) -> None:
    (begun / name).mkdir()
    with expect_line(RunError, "neither empty nor a run"):
        train_small(begun)
    assert (begun / name).exists()


def test_finished_is_the_last_thing_that_is_written(tmp_path: Path) -> None:
    states = []

    def finish(run: RunFolder, _: Reporter) -> None:
        states.append(run.state)
        if len(states) == 1:
            raise KilledError

    path = tmp_path / "run"
    with pytest.raises(KilledError):
        momok.train(
            build_graph(),
            configure(training__epochs=1),
            run=path,
            progress=False,
            finish=finish,
        )
    assert RunFolder(path).state == "trained"
    for part in (path, path / "results"):
        name_draft(part / "something").write_bytes(b"half")
    assert momok.resume(path, progress=False, finish=finish).state == "finished"
    assert states == ["trained", "trained"]
    assert not list(path.rglob(".*.partial"))
    with expect_line(RunError, "nothing to resume"):
        momok.resume(path, progress=False)


@pytest.fixture
def heeded() -> Iterator[None]:
    """Ctrl-C is heeded, which a shell that starts the tests in the background has ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.usefixtures("heeded")
def test_signals_after_training_say_how_to_go_on(tmp_path: Path, number: signal.Signals) -> None:
    def finish(_run: RunFolder, _reporter: Reporter) -> None:
        signal.raise_signal(number)

    reporter, before = Interrupter(), signal.getsignal(number)
    with pytest.raises(KeyboardInterrupt):
        momok.train(
            build_graph(),
            configure(training__epochs=1),
            run=tmp_path / "run",
            progress=reporter,
            finish=finish,
        )
    assert f"interrupted; go on with: momok resume {tmp_path / 'run'}" in reporter.said
    assert signal.getsignal(number) == before
    assert momok.resume(tmp_path / "run", progress=False).state == "finished"
