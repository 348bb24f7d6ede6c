"""Sources and what lies beside them, read as one graph."""

from __future__ import annotations

import zipfile
from pathlib import Path

import polars as pl
import pytest

from momok.errors import DataError
from momok.graph.sources.raw import TableOptions
from momok.graph.sources.reading import SourceOptions, read_sources


def put(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(name.encode())


def test_what_lies_beside_the_facts_is_found(tmp_path: Path) -> None:
    put(tmp_path, "images/a.png")
    (tmp_path / "triples.tsv").write_text("a\tr\tb\n")
    (tmp_path / "entities.tsv").write_text("id\tname\na\tAnn\n")
    read = read_sources([tmp_path])
    assert read.names == {"a": "Ann"}
    assert read.pictures == {"a": [str(tmp_path / "images" / "a.png")]}
    assert read.notes[0].endswith("a file of facts is there")


def test_splits_are_told_by_names_and_options(tmp_path: Path) -> None:
    put(tmp_path / "all", "README.md")
    for split, text in (("train", "a,r,b\n"), ("val", "b,r,a\n"), ("test", "a,s,b\n")):
        (tmp_path / "all" / f"{split}.csv").write_text(text)
    read = read_sources([tmp_path / "all"])
    assert {s: f.tolist() for s, f in read.triples.items()} == {
        "train": [[0, 0, 1]],
        "valid": [[1, 0, 0]],
        "test": [[0, 1, 1]],
    }
    (tmp_path / "more.csv").write_text("c,r,a\n")
    options = SourceOptions(splits={"valid": tmp_path / "all" / "val.csv"})
    read = read_sources([tmp_path / "all" / "train.csv", tmp_path / "more.csv"], options)
    assert {s: f.tolist() for s, f in read.triples.items()} == {
        "valid": [[1, 0, 0]],
        "train": [[0, 0, 1], [2, 0, 0]],
    }


def test_a_data_set_in_an_archive(tmp_path: Path) -> None:
    pl.DataFrame({"head": ["b"], "relation": ["r"], "tail": ["a"]}).write_parquet(
        tmp_path / "b.parquet"
    )
    with zipfile.ZipFile(tmp_path / "data.zip", "w") as archive:
        archive.writestr("data/train.csv", "a,r,b\nb,s,a\nx,y\n")
        archive.write(tmp_path / "b.parquet", "data/test.parquet")
        archive.writestr("data/entities.tsv", "id\tname\na\tAnn\n")
        archive.writestr("__MACOSX/data/._train.csv", "litter")
    read = read_sources([tmp_path / "data.zip"])
    assert {s: f.tolist() for s, f in read.triples.items()} == {
        "train": [[0, 0, 1], [1, 1, 0]],
        "test": [[1, 0, 0]],
    }
    assert read.names == {"a": "Ann"}
    assert read.findings[0].examples[0].startswith("train.csv:3: expected 3 columns")
    one = read_sources([tmp_path / "data.zip" / "data" / "test.parquet"])
    assert one.entities == ["b", "a"]


def test_two_files_for_a_split_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "train.csv", "train.tsv")
    with pytest.raises(DataError, match=r"both train.csv and train.tsv may be the train facts"):
        read_sources([tmp_path])


def test_options_of_tables_reach_every_file(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("1,a,r,b\n")
    options = SourceOptions(table=TableOptions(columns=("2", "3", "4"), header=False))
    assert read_sources([tmp_path], options).entities == ["a", "b"]


def test_relations_can_be_left_out(tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_text("a,http://x/P1,b\nb,r,a\na,r,b\n")
    for given in ("http://x/P1", "P1"):
        raw = read_sources([tmp_path / "f.csv"], SourceOptions(leave_out=[given]))
        assert raw.triples["all"].tolist() == [[1, 0, 0], [0, 0, 1]]
        assert raw.relations == ["r"]
        assert raw.notes[-1] == "left out as asked: 1 facts of http://x/P1"
    with pytest.raises(DataError, match="--leave-out 'P2': there is no such relation"):
        read_sources([tmp_path / "f.csv"], SourceOptions(leave_out=["P2"]))


def test_a_folder_of_kg_bert(tmp_path: Path) -> None:
    for name, text in (
        ("train.tsv", "a\tr\tb\nb\tr\ta\n"),
        ("dev.tsv", "a\ts\tb\n"),
        ("test.tsv", "b\ts\ta\n"),
        ("entities.txt", "a\nb\n"),
        ("entity2text.txt", "a\tAnn\nb\tBob\nc\tnone\n"),
        ("entity2textlong.txt", "a\tAnn, a person\n"),
        ("relation2text.txt", "r\tis r of\n"),
    ):
        (tmp_path / name).write_text(text)
    raw = read_sources([tmp_path])
    assert (raw.names, raw.descriptions) == ({"a": "Ann", "b": "Bob"}, {"a": "Ann, a person"})
    assert raw.relation_names == {"r": "is r of"}
    assert {split: len(facts) for split, facts in raw.triples.items()} == {
        **{"train": 2, "valid": 1, "test": 1}
    }


def test_empty_splits_are_left_out(tmp_path: Path) -> None:
    (tmp_path / "train.tsv").write_text("a\tr\tb\nb\tr\ta\n")
    (tmp_path / "valid.tsv").write_text("")
    (tmp_path / "test.tsv").write_text("\n")
    raw = read_sources([tmp_path])
    assert list(raw.triples) == ["train"]
    assert raw.notes[0].endswith(
        "; valid.tsv is empty and left out; test.tsv is empty and left out"
    )


def test_a_split_of_a_header_alone_is_empty(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("head,relation,tail\na,r,b\nb,r,a\n")
    (tmp_path / "valid.csv").write_text("head,relation,tail\n")
    raw = read_sources([tmp_path])
    assert list(raw.triples) == ["train"]
    assert raw.notes[0].endswith("; valid.csv is empty and left out")


def test_what_is_left_out_is_no_entity_either(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("a,r,b\nb,r,a\na,year,1990\n")
    (tmp_path / "test.csv").write_text("b,r,c\nb,year,1991\n")
    raw = read_sources([tmp_path], SourceOptions(leave_out=["year"]))
    assert (raw.entities, raw.relations) == (["a", "b", "c"], ["r"])
    assert {split: facts.tolist() for split, facts in raw.triples.items()} == {
        "train": [[0, 0, 1], [1, 0, 0]],
        "test": [[1, 0, 2]],
    }
    assert raw.notes[-1].endswith("2 facts of year, and 2 entities that are in no other fact")
