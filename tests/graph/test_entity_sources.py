"""Tables of entities and folders of pictures, and what lies beside the facts."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph.sources.entity_table import add_entity_table
from momok.graph.sources.options import TableOptions
from momok.graph.sources.pictures import add_picture_folder, keep_inside
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.reading import SourceOptions, read_sources


@pytest.fixture
def raw(tmp_path: Path) -> RawGraph:
    (tmp_path / "facts.csv").write_text("Q1,in,Q2\nQ2,in,Q3\nhttp://x/a b,in,Q3\n")
    return read_sources([tmp_path / "facts.csv"])


def add(raw: RawGraph, folder: Path, text: str, **options: bool) -> RawGraph:
    (folder / "things.csv").write_text(text)
    return add_entity_table(raw, folder / "things.csv", **options)


def test_columns_are_told_by_their_names(raw: RawGraph, tmp_path: Path) -> None:
    text = (
        "id,label,abstract,class,image,area,born,mayor\n"
        'Q1,One,"a text,\nin lines",town,a.png|b/c.jpg,12.5,1969-07-20,Ann\n'
        "Q2,,,,http://x/q2.png,-3e2,1970-01-01T00:00:00Z,\n"
    )
    read = add(raw, tmp_path, text)
    assert read.names == {"Q1": "One"}
    assert read.descriptions == {"Q1": "a text, in lines"}
    assert read.types == {"Q1": "town"}
    assert read.pictures == {
        "Q1": [str(tmp_path / "a.png"), str(tmp_path / "b/c.jpg")],
        "Q2": ["http://x/q2.png"],
    }
    assert read.numbers["area"] == {"Q1": 12.5, "Q2": -300.0}
    assert read.numbers["born"]["Q1"] == pytest.approx(1969.55, abs=0.01)
    assert read.numbers["born"]["Q2"] == 1970.0
    assert read.attributes == {"mayor": {"Q1": "Ann"}}
    assert "by column 'id', which names 2 of the 4 entities" in read.notes[-1]


def test_the_key_is_the_column_that_matches_most(raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, "id,name\n17,Q1\n18,Q2\n")
    assert "by column 'name', which names 2" in read.notes[-1]
    assert read.numbers == {"id": {"Q1": 17.0, "Q2": 18.0}}
    read = add(raw, tmp_path, "thing;note\nQ1;first\n")  # no known name: the first column
    assert read.attributes == {"note": {"Q1": "first"}}


def test_a_list_without_a_header(raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, "Q1\tOne\nQ2\tTwo\n")
    assert read.names == {"Q1": "One", "Q2": "Two"}
    read = add(raw, tmp_path, "Q3\tThree\ta number\n")
    assert (read.names, read.descriptions) == ({"Q3": "Three"}, {"Q3": "a number"})
    with pytest.raises(FormatError, match="no value of 'Q1' is an entity"):
        add(raw, tmp_path, "Q1\ta\tb\tc\nx\ta\tb\tc\n")  # four columns: what are they?


def test_rows_that_cannot_be_used_are_counted(raw: RawGraph, tmp_path: Path) -> None:
    text = "id,name\nQ1,One\nQ1,Uno\n,None\nQ9,Nine\nQ2,Two\n"
    read = add(raw, tmp_path, text)
    assert read.names == {"Q1": "One", "Q2": "Two"}
    assert [(f.kind, f.count, f.examples) for f in read.findings] == [
        ("blank-label", 1, ("things.csv:4: the label is blank",)),
        ("duplicate", 1, ("things.csv:3: 'Q1' has a row already",)),
        ("unknown-label", 1, ("things.csv:5: 'Q9'",)),
    ]
    with pytest.raises(FormatError, match=r"things.csv:4: the label is blank"):
        add(raw, tmp_path, text, strict=True)


def test_a_column_of_numbers_may_have_a_few_that_are_none(raw: RawGraph, tmp_path: Path) -> None:
    rows = "".join(f"E{i},{i}\n" for i in range(40))
    (tmp_path / "facts.csv").write_text("".join(f"E{i},in,E{i + 1}\n" for i in range(40)))
    raw = read_sources([tmp_path / "facts.csv"])
    read = add(raw, tmp_path, f"id,size\nE40,unknown\n{rows}")
    assert len(read.numbers["size"]) == 40
    assert [(f.kind, f.examples) for f in read.findings] == [
        ("no-number", ("things.csv:2: 'unknown'",))
    ]
    read = add(raw, tmp_path, f"id,size\nE38,?\nE39,?\nE40,inf\n{rows.split('E38')[0]}")
    assert read.numbers == {}
    assert len(read.attributes["size"]) == 41


def test_a_parquet_table(raw: RawGraph, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["Q1", "Q2"], "name": ["One", None], "area": [1.5, None]})
    frame.write_parquet(tmp_path / "things.parquet")
    read = add_entity_table(raw, tmp_path / "things.parquet")
    assert read.names == {"Q1": "One"}
    assert read.numbers == {"area": {"Q1": 1.5}}


def test_a_parquet_column_that_is_called_line(raw: RawGraph, tmp_path: Path) -> None:
    pl.DataFrame({"id": ["Q1"], "line": ["a"]}).write_parquet(tmp_path / "things.parquet")
    with pytest.raises(FormatError, match="has a column 'line'; call it something else"):
        add_entity_table(raw, tmp_path / "things.parquet")


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60) | st.text('Q123"\n,\t|id .-', max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_one_line(content: bytes, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("table")
    (folder / "facts.csv").write_text("Q1,in,Q2\n")
    (folder / "things.csv").write_bytes(content)
    raw, said = read_sources([folder / "facts.csv"]), ""
    try:
        raw = add_entity_table(raw, folder / "things.csv")
    except FormatError as error:
        said = str(error)
    assert bool(said) == (len(raw.notes) == 2)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name\n", "has a header and no row"),
        ("id,,name\nQ1,a,b\n", "things.csv:1: the first line must name the columns"),
        ("id,name,name\nQ1,a,b\n", "things.csv:1: the first line must name the columns"),
        ("id,line\nQ1,a\n", "each by a name of its own other than 'line'"),
        ("id,name\nQ7,a\nQ8,b\n", "no value of 'id' or 'name' is an entity of the facts"),
        ("", "is empty"),
        ("Q1\nQ2\n", "neither tabs, commas"),
    ],
)
def test_malformed_tables(text: str, message: str, raw: RawGraph, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        add(raw, tmp_path, text)


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
    read = add_picture_folder(add(raw, tmp_path, text), tmp_path / "photos")
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
