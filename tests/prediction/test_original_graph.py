"""The graph of a run found again: as it was, changed, gone, moved, or never in a folder."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from momok.graph import MultimodalGraph, load_graph, write_momok_folder
from momok.prediction.original_graph import GraphSource, find_source
from momok.training import RunFolder
from tests.training.small_training import build_graph, drop_checksums, train_small


def with_pictures(folder: Path) -> MultimodalGraph:
    """The made-up graph; entities 1 and 3 have pictures."""
    folder.mkdir()
    paths = {}
    for entity in (1, 3):
        paths[entity] = folder / f"{entity}.png"
        paths[entity].write_bytes(b"no picture, but a file")
    return replace(build_graph(), pictures=paths)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a graph and a run that was trained on it."""
    folder = tmp_path_factory.mktemp("source")
    write_momok_folder(with_pictures(folder / "pictures"), folder / "graph")
    train_small(folder / "run", load_graph(folder / "graph"), training__epochs=1)
    return folder


@pytest.fixture
def place(template: Path, tmp_path: Path) -> Path:
    """A copy of it in which the run says where the copied graph is."""
    folder = Path(shutil.copytree(template, tmp_path / "place"))
    drop_checksums(folder / "run")
    data = json.loads((folder / "run" / "data.json").read_text())
    data["source"] = str(folder / "graph")
    (folder / "run" / "data.json").write_text(json.dumps(data))
    return folder


def find(place: Path, moved_to: Path | str | None = None) -> GraphSource:
    run = RunFolder(place / "run")
    return find_source(run, run.load_graph(), moved_to)


def test_a_graph_as_it_was(place: Path) -> None:
    found = find(place)
    graph = load_graph(place / "graph")
    assert found.state.status == "found"
    assert found.state.remark == ""
    assert found.state.location == str(place / "graph")
    assert set(found.features) == {"image", "text"}
    assert np.array_equal(found.features["text"].matrix, graph.features["text"].matrix)
    assert set(found.pictures) == {1, 3}
    assert all(path.is_file() for path in found.pictures.values())


def test_a_graph_that_was_moved(place: Path) -> None:
    shutil.move(place / "graph", place / "elsewhere")
    missing = find(place)
    assert missing.state.status == "missing"
    assert str(place / "graph") in missing.state.remark
    assert not missing.features
    assert not missing.pictures
    assert find(place, place / "elsewhere").state.status == "found"


def test_new_facts_and_another_order_of_entities(place: Path) -> None:
    """Nothing of the features is used; pictures go by label."""
    graph = load_graph(place / "graph")
    rows = (place / "graph" / "entities.tsv").read_text().splitlines()
    (place / "graph" / "entities.tsv").write_text("\n".join([rows[0], *rows[:0:-1]]) + "\n")
    changed = find(place)
    assert changed.state.status == "changed"
    assert "fingerprint" in changed.state.remark
    assert not changed.features
    assert {graph.entities.labels[entity] for entity in changed.pictures} == {"e1", "e3"}
    assert changed.pictures[1].name == graph.pictures[1].name


def test_features_that_were_made_again(place: Path) -> None:
    graph = load_graph(place / "graph")
    text = graph.features["text"]
    other = replace(text, matrix=text.matrix * 2)
    write_momok_folder(graph.with_features({"text": other}), place / "graph2")
    assert find(place, place / "graph2").state.status == "changed"


def test_entities_that_the_run_does_not_know(place: Path) -> None:
    with (place / "graph" / "entities.tsv").open("a") as file:
        file.write("new one\t\t\tpictures/1.png\t\n")
    changed = find(place)
    assert changed.state.status == "changed"
    assert set(changed.pictures) == {1, 3}


@pytest.mark.parametrize("content", [b"", b"[]", b'{"name": "x"}', b"\xff\xfe"], ids=repr)
def test_a_run_that_does_not_say(place: Path, content: bytes) -> None:
    (place / "run" / "data.json").write_bytes(content)
    found = find(place)
    assert found.state.status == "missing"
    assert "does not say" in found.state.remark


def test_a_graph_that_cannot_be_read(place: Path) -> None:
    (place / "graph" / "train.tsv").write_text("only one column\n" * 3)
    (place / "graph" / "graph.json").write_text("{")
    found = find(place)
    assert found.state.status == "missing"
    assert "graph.json" in found.state.remark


def test_a_graph_of_no_folder(tmp_path: Path) -> None:
    train_small(tmp_path / "run", build_graph(), training__epochs=1)
    found = find(tmp_path)
    assert found.state.status == "memory"
    assert not found.features


def test_a_catalog_name(place: Path) -> None:
    found = find(place, "world")  # another graph altogether
    assert found.state.status == "changed"
    assert found.state.location == "world"
    assert not found.pictures
