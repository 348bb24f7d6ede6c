"""Finding graphs by name and by folder."""

from __future__ import annotations

import re

import pytest

from momok.errors import DataError
from momok.graph import CATALOG, load_graph


@pytest.fixture
def data_folder(benchmark_folder, tmp_path, monkeypatch):
    """A folder of graphs in MOMOK_DATA with a stand-in for MKG-W in it."""
    benchmark_folder().rename(tmp_path / "MKG-W")
    monkeypatch.setenv("MOMOK_DATA", str(tmp_path))
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    return tmp_path


@pytest.mark.usefixtures("data_folder")
@pytest.mark.parametrize("name", ["MKG-W", "mkg-w", "MKGW", "mkg_w"])
def test_names_in_any_spelling(name):
    graph = load_graph(name)
    assert (graph.name, graph.source, graph.num_entities) == ("MKG-W", "MKG-W", 7)


def test_places_without_the_variable(data_folder, monkeypatch):
    monkeypatch.delenv("MOMOK_DATA")
    monkeypatch.chdir(data_folder)
    assert load_graph("MKG-W").name == "MKG-W"
    home = data_folder / "home" / ".local" / "share" / "momok"
    home.mkdir(parents=True)
    (data_folder / "MKG-W").rename(home / "DB15K")
    assert load_graph("db15k").name == "DB15K"


def test_a_graph_that_is_not_here(data_folder):
    with pytest.raises(DataError, match="DB15K is not on this machine") as caught:
        load_graph("DB15K")
    assert str(data_folder / "DB15K") in str(caught.value)
    assert "set MOMOK_DATA" in str(caught.value)


def test_an_unknown_name_gets_suggestions():
    with pytest.raises(DataError, match="no graph and no folder 'wrold'; did you mean world"):
        load_graph("wrold")
    with pytest.raises(DataError, match="the catalog has world, MKG-W, MKG-Y, DB15K, KVC16K"):
        load_graph("zzzz")


@pytest.mark.usefixtures("data_folder")
def test_folders(monkeypatch, tmp_path):
    graph = load_graph(tmp_path / "MKG-W")
    assert (graph.name, graph.source) == ("MKG-W", str(tmp_path / "MKG-W"))
    assert load_graph(str(tmp_path / "MKG-W")).source == str(tmp_path / "MKG-W")
    monkeypatch.chdir(tmp_path)
    assert load_graph("./MKG-W").source == "MKG-W"
    for missing in (tmp_path / "none", "none/at/all"):
        with pytest.raises(DataError, match=re.escape(f"{missing}: there is no such folder")):
            load_graph(missing)
    with pytest.raises(DataError, match=r"is no graph: neither graph\.json"):
        load_graph(tmp_path)
    file = tmp_path / "MKG-W" / "train.txt"
    with pytest.raises(DataError, match="is a file; expected the folder of a graph") as caught:
        load_graph(file)
    assert f"momok data build {file} --out FOLDER makes of a file of facts" in str(caught.value)
    with pytest.raises(DataError, match=r"not a list; momok\.graph_from_frames\(facts\) makes"):
        load_graph([("a", "r", "b")])  # type: ignore[arg-type]


def test_an_unknown_split():
    with pytest.raises(DataError, match="split 'tidy': expected 'clean' or 'published'"):
        load_graph("world", split="tidy")


def test_the_catalog():
    assert [entry.name for entry in CATALOG if entry.bundled] == ["world"]
    assert all(entry.origin for entry in CATALOG if not entry.bundled)


def test_the_bundled_world():
    world = load_graph("World", strict=True)
    assert (world.name, world.source, world.split) == ("world", "world", "clean")
    assert world.findings == ()
    assert world.split_notes == (
        "no fact is in two splits: train, valid and test are as published",
    )
    assert world.entity_names[world.find_entity("country:FR")] == "France"
    assert world.features["image"].present[world.find_entity("country:FR")]
    assert world.pictures[world.find_entity("country:FR")].is_file()
