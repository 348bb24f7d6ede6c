"""Folders of pictures: which file shows which entity."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from momok.errors import DataError
from momok.graph.sources.entity_table import add_entity_table
from momok.graph.sources.pictures import add_picture_folder, keep_inside, split_paths
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.reading import read_sources


@pytest.fixture
def raw(tmp_path: Path) -> RawGraph:
    (tmp_path / "facts.csv").write_text("Q1,in,Q2\nQ2,in,Q3\nhttp://x/a b,in,Q3\n")
    return read_sources([tmp_path / "facts.csv"])


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_pictures_are_named_by_labels(raw: RawGraph, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    put(folder, "Q1.png", "Q1_2.JPG", "Q2/x.webp", "Q2/y.gif", "deep/er/Q3.jpeg")
    put(folder, "http%3A%2F%2Fx%2Fa%20b.bmp", "http___x_a_b-3.png", "Q9.png", "notes.txt")
    put(folder, "http%3A%2F%2Fx%2Fa%20b_2.bmp")
    read = add_picture_folder(raw, folder)
    names = {
        label: [str(Path(p).relative_to(folder)) for p in paths]
        for label, paths in read.pictures.items()
    }
    assert names == {
        "Q1": ["Q1.png", "Q1_2.JPG"],
        "Q2": ["Q2/x.webp", "Q2/y.gif"],
        "Q3": ["deep/er/Q3.jpeg"],
        "http://x/a b": [
            "http%3A%2F%2Fx%2Fa%20b.bmp",
            "http%3A%2F%2Fx%2Fa%20b_2.bmp",
            "http___x_a_b-3.png",
        ],
    }
    assert [(f.kind, f.count, f.examples) for f in read.findings] == [
        ("unknown-picture", 1, ("Q9.png",))
    ]


def test_paths_and_addresses_are_looked_up_in_the_folder(raw: RawGraph, tmp_path: Path) -> None:
    put(tmp_path / "photos", "one.png", "two words.png")
    text = (
        "id,picture\nQ1,elsewhere/one.png\nQ2,http://x/pics/two%20words.png\nQ3,http://x/no.png\n"
    )
    (tmp_path / "things.csv").write_text(text)
    with_paths = add_entity_table(raw, tmp_path / "things.csv")
    read = add_picture_folder(with_paths, tmp_path / "photos")
    assert read.pictures == {
        "Q1": [str(tmp_path / "photos" / "one.png")],
        "Q2": [str(tmp_path / "photos" / "two words.png")],
        "Q3": ["http://x/no.png"],
    }
    assert read.findings == []


def test_links_that_lead_out_are_not_followed(raw: RawGraph, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    put(tmp_path, "secret/Q1.png", "secret/s.png")
    put(folder, "Q3.png")
    (folder / "Q1.png").symlink_to(tmp_path / "secret" / "Q1.png")
    (folder / "Q2").symlink_to(tmp_path / "secret")
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "Q2.png").symlink_to(folder / "Q3.png")  # inside: allowed
    os.mkfifo(folder / "Q1.jpg")  # reading it would wait for ever
    read = add_picture_folder(raw, folder)
    assert read.pictures == {"Q2": [str(folder / "Q2.png")], "Q3": [str(folder / "Q3.png")]}
    assert [(f.kind, f.examples) for f in read.findings] == [("outside-picture", ("Q1.png",))]


def test_a_table_cannot_name_files_elsewhere(raw: RawGraph, tmp_path: Path) -> None:
    inside, secret = tmp_path / "mine", tmp_path / "secret.png"
    put(inside, "a.png")
    secret.write_bytes(b"secret")
    (inside / "link.png").symlink_to(secret)
    paths = [f"{inside}/a.png", f"{inside}/../secret.png", str(secret), f"{inside}/link.png"]
    given = RawGraph(
        entities=raw.entities,
        relations=raw.relations,
        triples=raw.triples,
        pictures={"Q1": [*paths, "https://x/y.png", "a\0b"], "Q2": [str(secret)]},
    )
    kept = keep_inside(given, [inside])
    assert kept.pictures == {"Q1": [f"{inside}/a.png", "https://x/y.png"]}
    assert [(f.kind, f.count) for f in kept.findings] == [("outside-picture", 5)]
    assert keep_inside(given, [inside, tmp_path]).pictures["Q2"] == [str(secret)]


@pytest.mark.parametrize("present", [(), ("notes.txt",)])
def test_a_folder_without_pictures_is_said(present, raw: RawGraph, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    with pytest.raises(DataError, match="there is no such folder"):
        add_picture_folder(raw, folder)
    folder.mkdir()
    put(folder, *present)
    with pytest.raises(DataError, match="has no picture"):
        add_picture_folder(raw, folder)


@pytest.mark.parametrize(
    ("label", "name", "file"),
    [
        ("/m/0abc", "", "m.0abc/bing_1.jpg"),
        ("/m/0abc", "", "m_0abc.png"),
        ("/m/0abc", "", "0abc_2.png"),
        ("http://www.wikidata.org/entity/Q42", "", "Q42.jpg"),
        ("Q42", "Douglas Adams", "Douglas Adams.jpg"),
        ("Q42", "Douglas Adams", "douglas_adams-1.jpg"),
        ("Zo\u00eb", "", "Zoe\u0308.png"),
        ("New_York", "", "new york.png"),
        ("m.0abc", "", "m_0abc.png"),
        ("/m/0abc", "", "m-0abc.png"),
        ("wd:Q42", "", "Q42.png"),
        ("<http://x.org/Q42>", "", "Q42.png"),
        ("Q42", "", "Q42 (2).png"),
        ("Q42", "", "Q42/large/a.png"),
    ],
)
def test_a_file_may_be_called_otherwise(label: str, name: str, file: str, tmp_path: Path) -> None:
    raw = RawGraph(
        entities=["x", label],
        relations=["r"],
        triples={"all": np.array([[0, 0, 1]])},
        names={label: name} if name else {},
    )
    (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
    put(tmp_path, file, "film.heic", "film")
    read = add_picture_folder(raw, tmp_path)
    assert read.pictures == {label: [str(tmp_path / file)]}
    assert read.findings[0].count == 2
    assert "are of kinds that are not read (.heic, none)" in read.findings[0].message


def test_no_match_says_how_a_file_is_called(raw: RawGraph, tmp_path: Path) -> None:
    put(tmp_path, "other.png")
    note = add_picture_folder(raw, tmp_path).notes[-1]
    assert note.endswith(
        "0 of 1 pictures belong to entities; a picture of 'Q1' should be called 'Q1.png'"
    )


@pytest.mark.parametrize(
    "cell", ["a/b.png|c.png", "a\\b.png; c.png", "['a/b.png', 'c.png']", '["a/b.png","c.png"]']
)
def test_several_pictures_in_a_cell(cell: str) -> None:
    assert split_paths(cell) == ["a/b.png", "c.png"]
    assert split_paths("a.png, b c.png") == ["a.png", "b c.png"]
    assert split_paths("a.png b.jpg") == ["a.png", "b.jpg"]
    assert split_paths("a b.png") == ["a b.png"]
    assert split_paths("https://x/a;b.png") == ["https://x/a;b.png"]
