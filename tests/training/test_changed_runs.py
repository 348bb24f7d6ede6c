"""A file of a run that was changed, cut, lost or exchanged: the same answers, or one line."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from momok.errors import CheckpointError, MomokError
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.training import RunFolder, evaluate_run, resume
from tests.training.small_training import build_graph, expect_line, train_small

_FLIPS = 6  # bytes that are changed in turn, over the whole file


def _make(path: Path, seed: int) -> Path:
    run = train_small(
        path,
        build_graph(),
        seed=seed,
        preset="default",
        model__experts=0,
        model__decoder="complex",
        model__heads="modalities",
        model__modalities=("structure", "text"),
        training__loss="softmax",
        training__disentanglement=0.0,
        training__epochs=2,
        evaluation__pool="heads+rules",
    )
    calibrate_run(run)
    return run.path


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Two runs that differ in the seed alone."""
    folder = tmp_path_factory.mktemp("runs")
    return _make(folder / "run", 0), _make(folder / "other", 1)


def _ask(run: Path) -> list[float | None]:
    """Numbers that a run answers with."""
    predictor = Predictor(run)
    found: list[float | None] = []
    for answer in predictor.predict(head="e3", relation="r1", k=5):
        found += [answer.score, answer.probability]
    why = predictor.explain("e3", "r1", "e7")
    found += [why.probability, why.calibrated]
    predictor.run.load_graph()
    found.append(evaluate_run(predictor.run, "test").overall["answer"].mrr)
    return found


def _flip(place: float) -> Callable[[Path, Path], None]:
    def change(path: Path, _: Path) -> None:
        content = bytearray(path.read_bytes())
        if content:
            content[int(place * len(content))] ^= 1
        path.write_bytes(content)

    return change


def _exchange(path: Path, other: Path) -> None:
    shutil.copy(other, path)


CHANGES: dict[str, Callable[[Path, Path], object]] = {
    **{f"flipped at {i}": _flip((i + 0.37) / _FLIPS) for i in range(_FLIPS)},
    "cut": lambda path, _: os.truncate(path, path.stat().st_size // 2),
    "lost": lambda path, _: path.unlink(),
    "exchanged": _exchange,
}
FILES = (
    "run.json",
    "config.json",
    "data.json",
    "environment.json",
    "graph/graph.json",
    "graph/entities.tsv",
    "graph/relations.tsv",
    "graph/train.tsv",
    "graph/valid.tsv",
    "graph/test.tsv",
    "checkpoints/best.safetensors",
    "checkpoints/pool.safetensors",
    "checkpoints/rules.safetensors",
    "results/calibration.json",
    "metrics.jsonl",
)


def test_every_file_is_named_here(runs: tuple[Path, Path]) -> None:
    found = {str(path.relative_to(runs[0])) for path in runs[0].rglob("*") if path.is_file()}
    others = {"timing.jsonl", ".lock", "checkpoints/last.safetensors"}
    others |= {name for name in found if name.startswith("results/")} - set(FILES)
    assert found == set(FILES) | others


@pytest.mark.parametrize("how", CHANGES)
@pytest.mark.parametrize("name", FILES)
def test_the_same_answers_or_one_line(
    runs: tuple[Path, Path], tmp_path: Path, name: str, how: str
) -> None:
    expected = _ask(runs[0])
    run = Path(shutil.copytree(runs[0], tmp_path / "run"))
    CHANGES[how](run / name, runs[1] / name)
    line, found = "", list[float | None]()
    try:
        found = _ask(run)
    except MomokError as error:
        line = str(error)
    if line:
        assert "\n" not in line
        assert str(run) in line
        return
    if (name, how) == ("results/calibration.json", "lost"):
        expected[1:12:2] = [None] * 6  # scores stay, and nothing is said of how sure
    assert found == expected


def test_lines_that_changed_places_and_lines_that_are_gone(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    for number, change in enumerate((np.flip, lambda lines: lines[: len(lines) // 2])):
        run = Path(shutil.copytree(runs[0], tmp_path / f"{number}"))
        path = run / "graph" / "train.tsv"
        lines = path.read_text().splitlines(keepends=True)
        path.write_text("".join(change(lines)))
        with pytest.raises(MomokError, match=r"graph/train\.tsv: changed"):
            RunFolder(run).load_graph()


def test_the_state_of_training_of_another_run_is_not_resumed(
    runs: tuple[Path, Path], tmp_path: Path
) -> None:
    run = RunFolder(Path(shutil.copytree(runs[0], tmp_path / "run")))
    shutil.copy(RunFolder(runs[1]).last_checkpoint, run.last_checkpoint)
    run.set_state("interrupted")
    with expect_line(CheckpointError, "last.safetensors: it belongs to another run"):
        resume(run.path, progress=False)
