"""An interrupted or killed run, resumed, equals the uninterrupted one byte for byte."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import momok
from momok.errors import RunError
from momok.progress import Reporter
from momok.training import RunFolder
from tests.training.small_training import (
    SETTINGS,
    Interrupter,
    KilledError,
    Killer,
    build_graph,
    drop_checksums,
    read_outcome,
    train_small,
    write_graph,
)

EPOCHS = 16  # of the runs that other processes begin: a second or two after the first few
# Runs momok with a SIGKILL at the n-th checkpoint, half of it on the disk.
KILL_IN_WRITE = """
import os, signal, sys
from momok.training import checkpoint
left, save = int(sys.argv.pop(1)), checkpoint.save_file
def save_file(tensors, path, metadata):
    global left
    left -= 1
    save(tensors, path, metadata)
    if left == 0:
        os.truncate(path, os.path.getsize(path) // 2)
        os.kill(os.getpid(), signal.SIGKILL)
checkpoint.save_file = save_file
from momok.cli import main
main()
"""


@pytest.fixture(scope="module")
def graph_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("graphs") / "shifts"
    write_graph(path)
    return path


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory: pytest.TempPathFactory, graph_folder: Path) -> dict[str, bytes]:
    """What the long run comes to when nothing happens to it."""
    path = tmp_path_factory.mktemp("runs") / "whole"
    graph = momok.load_graph(graph_folder)
    return read_outcome(train_small(path, graph, training__epochs=EPOCHS))


def start(*command: str | Path, python: tuple[str, ...] = ("-m", "momok")) -> subprocess.Popen[str]:
    settings = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONWARNINGS": "error"}
    return subprocess.Popen(
        [sys.executable, *python, *map(str, command)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=settings,
    )


def start_training(graph: Path, run: Path, **more: tuple[str, ...]) -> subprocess.Popen[str]:
    pairs = [f"{key}={value}" for key, value in {**SETTINGS, "training.epochs": EPOCHS}.items()]
    settings = [part for pair in pairs for part in ("--set", pair)]
    return start("train", graph, "--run", run, *settings, **more)


def wait(process: subprocess.Popen[str], reached: Callable[[], bool]) -> None:
    until = time.monotonic() + 60
    while not reached():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < until, "nothing happened for a minute"
        time.sleep(0.005)


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    process.communicate()
    assert process.returncode == -signal.SIGKILL


def count_lines(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def test_a_run_killed_again_and_again(tmp_path, graph_folder, uninterrupted) -> None:
    run, chance = tmp_path / "run", random.Random()
    log = run / "metrics.jsonl"
    process = start_training(graph_folder, run)
    wait(process, (run / "run.json").exists)
    time.sleep(chance.random() * 0.02)  # before the first checkpoint, most likely
    kill(process)
    process = start("resume", run)
    lines = chance.randint(3, 12)
    wait(process, lambda: count_lines(log) >= lines)
    time.sleep(chance.random() * 0.1)  # anywhere in an epoch or a validation
    kill(process)
    assert RunFolder(run).state == "training"
    outcome = read_outcome(momok.resume(run, progress=False))
    assert outcome == uninterrupted, f"killed after {lines} lines"


@pytest.mark.parametrize("checkpoint", [1, 4])
def test_a_run_killed_while_it_writes_a_checkpoint(
    tmp_path, graph_folder, uninterrupted, checkpoint
) -> None:
    run = tmp_path / "run"
    python = ("-c", KILL_IN_WRITE, str(checkpoint))
    process = start_training(graph_folder, run, python=python)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert len(list((run / "checkpoints").glob(".*.partial"))) == 1
    # every validation of the first ones is better than the one before: best, last, best, last
    assert RunFolder(run).last_checkpoint.exists() == (checkpoint > 2)
    assert read_outcome(momok.resume(run, progress=False)) == uninterrupted


def test_ctrl_c_in_a_terminal(tmp_path, graph_folder, uninterrupted) -> None:
    run = tmp_path / "run"
    process = start_training(graph_folder, run)
    wait(process, lambda: count_lines(run / "metrics.jsonl") >= 3)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert f"interrupted and saved; go on with: momok resume {run}" in errors
    assert "Traceback" not in errors
    assert RunFolder(run).state == "interrupted"
    assert read_outcome(momok.resume(run, progress=False)) == uninterrupted


BATCHES = 4  # of an epoch of the small settings


@pytest.fixture(scope="module", params=["float32", "bfloat16"])
def whole(request, tmp_path_factory) -> tuple[str, dict[str, bytes]]:
    path = tmp_path_factory.mktemp("whole") / request.param
    run = train_small(path, runtime__precision=request.param)
    return request.param, read_outcome(run)


@pytest.mark.parametrize(
    "when",
    [
        {"steps": 1},
        {"steps": BATCHES + 2},
        {"steps": 2 * BATCHES},
        {"steps": 3 * BATCHES},
        {"steps": 6 * BATCHES},
        {"rankings": 1},
        {"rankings": 3},
    ],
    ids=str,
)
def test_ctrl_c_at_any_moment(tmp_path, whole, when) -> None:
    precision, expected = whole
    reporter = Interrupter(**when)
    run = tmp_path / "run"
    before = signal.getsignal(signal.SIGINT)  # ignored, where a shell started us in the background
    with pytest.raises(KeyboardInterrupt):
        train_small(run, reporter=reporter, runtime__precision=precision)
    assert RunFolder(run).state == "interrupted"
    assert reporter.said[-1] == f"interrupted and saved; go on with: momok resume {run}"
    assert signal.getsignal(signal.SIGINT) is before
    assert read_outcome(momok.resume(run, progress=False)) == expected


@pytest.mark.parametrize("steps", [2, 2 * BATCHES + 1])
def test_sampled_candidates_and_lazy_updates_go_on_as_well(tmp_path, steps) -> None:
    settings = {"training__candidates": "sampled", "training__negatives": 12}
    whole = train_small(tmp_path / "whole", **settings)
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", reporter=Interrupter(steps=steps), **settings)
    again = momok.resume(tmp_path / "run", progress=False)
    assert read_outcome(again) == read_outcome(whole)
    assert read_outcome(whole) != read_outcome(train_small(tmp_path / "all"))


def test_the_settings_of_these_tests_have_four_batches(tmp_path) -> None:
    class Counter(Reporter):
        steps = 0

        def progress(self, what: str, done: int, total: int) -> None:
            if what.startswith("training"):
                assert total == BATCHES
                self.steps = done

    counter = Counter()
    train_small(tmp_path / "run", reporter=counter, training__epochs=1)
    assert counter.steps == BATCHES


def test_early_stopping_remembers(tmp_path) -> None:
    settings = {
        "training__epochs": 60,
        "training__validate_every": 1,
        "training__patience": 3,
        "training__learning_rate": 0.05,
    }
    whole = train_small(tmp_path / "whole", **settings)
    validations = len(list(whole.records("valid")))
    assert 4 < validations < 60
    with pytest.raises(KeyboardInterrupt):  # in the last step: two validations have been in vain
        train_small(
            tmp_path / "run", reporter=Interrupter(steps=validations * BATCHES - 1), **settings
        )
    again = momok.resume(tmp_path / "run", progress=False)
    assert read_outcome(again) == read_outcome(whole)


def test_a_second_ctrl_c_stops_at_once_and_the_checkpoint_before_is_good(tmp_path) -> None:
    class Impatient(Interrupter):
        def progress(self, what: str, done: int, total: int) -> None:
            super().progress(what, done, total)
            if self.steps == 0:
                signal.raise_signal(signal.SIGINT)

    run = tmp_path / "run"
    with pytest.raises(KeyboardInterrupt):
        train_small(run, reporter=Impatient(steps=2 * BATCHES + 1))
    assert RunFolder(run).state == "training"
    whole = train_small(tmp_path / "whole")
    assert read_outcome(momok.resume(run, progress=False)) == read_outcome(whole)


def test_ctrl_c_while_the_chosen_model_is_tested(tmp_path) -> None:
    class Late(Reporter):
        def progress(self, what: str, done: int, total: int) -> None:  # noqa: ARG002
            if what == "ranking test":
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", reporter=Late())
    whole = train_small(tmp_path / "whole")
    assert read_outcome(momok.resume(tmp_path / "run", progress=False)) == read_outcome(whole)


def test_one_seed_gives_the_same_bytes_and_another_seed_others(tmp_path) -> None:
    first, second = (read_outcome(train_small(tmp_path / name, seed=3)) for name in "ab")
    other = read_outcome(train_small(tmp_path / "c", seed=4))
    assert first == second
    assert first.keys() == other.keys()
    assert all(first[name] != other[name] for name in first)


def test_a_finished_run_is_not_resumed(tmp_path) -> None:
    run = train_small(tmp_path / "run", training__epochs=1)
    with pytest.raises(RunError, match="this run is finished; there is nothing to resume") as e:
        momok.resume(run.path, progress=False)
    assert "\n" not in str(e.value)


def test_a_run_under_way_is_not_resumed(tmp_path) -> None:
    class Meddler(Reporter):
        tried = 0

        def progress(self, what: str, done: int, total: int) -> None:  # noqa: ARG002
            if not self.tried:
                self.tried += 1
                with pytest.raises(RunError, match="another process is training in this run"):
                    momok.resume(tmp_path / "run", progress=False)

    meddler = Meddler()
    run = train_small(tmp_path / "run", reporter=meddler)
    assert meddler.tried
    assert read_outcome(run) == read_outcome(train_small(tmp_path / "whole"))


def test_a_run_is_resumed_from_another_folder(tmp_path, monkeypatch) -> None:
    """Killed before its first checkpoint, trained on a graph given by a relative path."""
    write_graph(tmp_path / "shifts")
    monkeypatch.chdir(tmp_path)

    graph = momok.load_graph("./shifts")
    with pytest.raises(KilledError):
        train_small(tmp_path / "run", graph, reporter=Killer(1))
    assert not RunFolder(tmp_path / "run").last_checkpoint.exists()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    again = momok.resume(tmp_path / "run", progress=False)
    assert read_outcome(again) == read_outcome(train_small(tmp_path / "whole", graph))


def test_a_graph_made_in_memory_is_gone_before_the_first_checkpoint(tmp_path) -> None:
    run = train_small(tmp_path / "run", build_graph(), training__epochs=1)
    run.set_state("training")
    run.last_checkpoint.unlink()
    with pytest.raises(RunError, match="its graph was made in memory"):
        momok.resume(run.path, progress=False)


def test_a_run_that_goes_on_elsewhere_says_that_its_numbers_will_differ(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", reporter=Interrupter(steps=5))
    drop_checksums(tmp_path / "run")
    place = tmp_path / "run" / "environment.json"
    environment = json.loads(place.read_text())
    place.write_text(json.dumps(environment | {"threads": 64}))
    listener = Interrupter()
    momok.resume(tmp_path / "run", progress=listener)
    assert [line for line in listener.said if "it began with" in line] == [
        "  it began with threads 64 (now 1): the numbers will differ in their last digits"
    ]


def test_a_run_that_goes_on_as_it_was_says_nothing_of_the_kind(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train_small(tmp_path / "run", reporter=Interrupter(steps=5))
    listener = Interrupter()
    momok.resume(tmp_path / "run", progress=listener)
    assert not any("it began with" in line for line in listener.said)
