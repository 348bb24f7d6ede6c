"""momok's own folder: what is written reads back, whole or not at all, and faults are placed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok import storage
from momok.errors import DataError, FormatError, StorageError
from momok.graph import (
    MultimodalGraph,
    Vocabulary,
    load_graph,
    read_momok_folder,
    write_momok_folder,
)
from tests.graph.small_graph import as_features, as_triples


@pytest.fixture
def folder(small, tmp_path) -> Path:
    write_momok_folder(small, tmp_path / "graph")
    return tmp_path / "graph"


@pytest.fixture
def rich(small, tmp_path) -> MultimodalGraph:
    """The small graph with everything a graph may have."""
    (tmp_path / "flags").mkdir()
    (tmp_path / "flags" / "fr.png").write_bytes(b"blue white red")
    (tmp_path / "flags" / "es").write_bytes(b"red gold red")
    matrix = np.arange(14, dtype=np.float32).reshape(7, 2)
    matrix[[3, 5]] = 0
    present = np.array([1, 1, 1, 0, 1, 0, 1], dtype=bool)
    return replace(
        small,
        features={"text": as_features("text", matrix, present)},
        entity_names=("La France", *small.entity_names[1:]),
        descriptions=("wine,\tcheese\nand bread", *[""] * 6),
        entity_types=("country",) * 3 + ("city",) * 3 + ("continent",),
        attributes={"since": ("843", *[""] * 6)},
        pictures={0: tmp_path / "flags" / "fr.png", 1: tmp_path / "flags" / "es"},
        split="clean",
        split_notes=("3 facts moved", "zwölf dropped"),
        about="Seven places",
        licence="CC0-1.0",
    )


def test_everything_reads_back(rich, tmp_path):
    write_momok_folder(rich, tmp_path / "out")
    read = load_graph(tmp_path / "out")
    for name in (
        "name", "entities", "relations", "entity_names", "relation_names", "entity_types",
        "attributes", "split", "split_notes", "about", "licence",
    ):  # fmt: skip
        assert getattr(read, name) == getattr(rich, name), name
    assert read.fingerprint() == rich.fingerprint()
    assert read.descriptions[0] == "wine, cheese and bread"
    assert read.features["text"].manifest == rich.features["text"].manifest
    assert read.pictures[0].read_bytes() == b"blue white red"
    assert read.pictures[1].read_bytes() == b"red gold red"
    assert [f.kind for f in read.findings] == ["recorded-split"]


def test_a_snapshot_has_no_features_and_pictures(rich, tmp_path):
    write_momok_folder(rich, tmp_path / "run" / "graph", with_features=False)
    files = sorted(path.name for path in (tmp_path / "run" / "graph").rglob("*"))
    assert files == [
        "entities.tsv", "graph.json", "relations.tsv", "test.tsv", "train.tsv", "valid.tsv",
    ]  # fmt: skip
    read = load_graph(tmp_path / "run" / "graph")
    assert (read.features, read.pictures) == ({}, {})
    assert read.fingerprint() == replace(rich, features={}).fingerprint()


@pytest.mark.parametrize("recorded", ["clean", "published"])
@pytest.mark.parametrize("asked", ["clean", "published"])
def test_a_recorded_split_is_left_alone(small, tmp_path, recorded, asked):
    faulty = replace(small, test=small.train[:2], split=recorded, split_notes=("as it was",))
    write_momok_folder(faulty, tmp_path / "out")
    read = load_graph(tmp_path / "out", split=asked)
    assert (read.split, read.split_notes) == (recorded, ("as it was",))
    assert read.fingerprint() == faulty.fingerprint()


def test_a_split_that_is_not_recorded_is_made_clean(folder):
    about = json.loads((folder / "graph.json").read_text())
    del about["split"]
    (folder / "graph.json").write_text(json.dumps(about))
    (folder / "test.tsv").write_text((folder / "train.tsv").read_text().split("\n")[0] + "\n")
    assert load_graph(folder).split_notes[0].startswith("1 train facts that are in test")
    assert load_graph(folder, split="published").split_notes == ()


hostile = st.text(
    st.characters(blacklist_characters="\t\n\r", blacklist_categories=("Cs",)),
    min_size=1,
    max_size=6,
) | st.sampled_from(
    ["\ufeffA", " ", "a ", "<a>", "a\u2028b", "\x85", "\u00a0", "#", '"', "label", ".", "a .", "-1"]
)


@given(
    labels=st.lists(hostile, min_size=2, max_size=8, unique=True),
    relations=st.lists(hostile, min_size=1, max_size=3, unique=True),
    data=st.data(),
)
@settings(max_examples=100, deadline=None)
def test_hostile_labels_read_back(tmp_path_factory, labels, relations, data):
    n, r = len(labels), len(relations)
    fact = st.tuples(st.integers(0, n - 1), st.integers(0, r - 1), st.integers(0, n - 1))
    splits = [
        data.draw(st.lists(fact, min_size=1, max_size=8, unique=True).map(as_triples))
        for _ in range(3)
    ]
    names = tuple(data.draw(hostile) for _ in labels)
    graph = MultimodalGraph(
        name=data.draw(hostile),
        entities=Vocabulary(tuple(labels)),
        relations=Vocabulary(tuple(relations)),
        train=splits[0],
        valid=splits[1],
        test=splits[2],
        entity_names=names,
    )
    folder = tmp_path_factory.mktemp("hostile") / "graph"
    write_momok_folder(graph, folder)
    read = load_graph(folder)
    assert read.fingerprint() == graph.fingerprint()
    assert (read.entity_names, read.relation_names) == (names, graph.relation_names)
    assert read.name == graph.name


@pytest.mark.parametrize("label", ["", "a\tb", "a\nb", "a\rb", "\ud800"])
def test_labels_that_cannot_be_written(small, tmp_path, label):
    bad = replace(small, entities=Vocabulary((label, *small.entities.labels[1:])))
    with pytest.raises(DataError, match="cannot be written"):
        write_momok_folder(bad, tmp_path / "out")
    assert list(tmp_path.iterdir()) == []


def test_relations_in_order_of_appearance(folder):
    (folder / "relations.tsv").unlink()
    (folder / "train.tsv").write_text("Paris\tpart_of\tEurope\nFrance\tborders\tSpain\n")
    (folder / "test.tsv").write_text("France\tcapital\tParis\n")
    read = read_momok_folder(folder)
    assert read.relations.labels == ("part_of", "borders", "capital")
    assert read.train.tolist() == [[3, 0, 6], [0, 1, 1]]
    assert read.relation_names == ("part of", "borders", "capital")


def test_many_relations_in_order_of_appearance(folder):
    (folder / "relations.tsv").unlink()
    names = [f"r{number * 7 % 40}" for number in range(40)]
    for split, part in (("train", names[:30]), ("valid", names[25:35]), ("test", names[30:])):
        lines = [f"France\t{relation}\tSpain\n" for relation in part]
        (folder / f"{split}.tsv").write_text("".join(lines))
    assert read_momok_folder(folder).relations.labels == tuple(names)


def test_entities_with_few_columns_crlf_and_byte_order_mark(folder):
    text = "\ufefflabel\tname\r\nFrance\tLa France\r\nSpain\r\n"
    (folder / "entities.tsv").write_bytes(text.encode())
    for split in ("train", "valid", "test"):
        (folder / f"{split}.tsv").write_bytes(b"\xef\xbb\xbfFrance\tborders\tSpain\r\n")
    read = read_momok_folder(folder)
    assert read.entity_names == ("La France", "Spain")
    assert read.descriptions == read.entity_types == ("", "")
    assert read.train.tolist() == [[0, 0, 1]]


MALFORMED = [
    ("graph.json", '{"format": "momok-graph",\n"version": }', "graph.json:2: is not JSON"),
    ("graph.json", '{"format": "other"}', 'expected an object with "format": "momok-graph"'),
    ("graph.json", "[]", "expected an object"),
    ("graph.json", '{"format": "momok-graph", "version": 2}', "version 2 of the format"),
    (
        "graph.json",
        '{"format": "momok-graph", "version": 1, "split": "new"}',
        "split 'new', expected",
    ),
    ("entities.tsv", "", "entities.tsv:1: expected a header with a column 'label'"),
    ("entities.tsv", "France\tLa France\n", "entities.tsv:1: expected a header"),
    ("entities.tsv", "label\tname\tname\n", "a column has no name or the name of another"),
    ("entities.tsv", "label\tname\n", "has a header and no row"),
    ("entities.tsv", "label\tname\nA\tB\tC\n", "entities.tsv:2: 3 columns, the header has 2"),
    ("entities.tsv", "name\tlabel\nA\t\n", "entities.tsv:2: the label is blank"),
    ("entities.tsv", "label\nA\n\nB\nA\n", "entities.tsv:5: 'A' is listed already, on line 2"),
    ("relations.tsv", "label\nborders\nborders\n", "relations.tsv:3: 'borders' is listed"),
    ("entities.tsv", "label\nA\n", "train split is empty.*unknown entity 'France'"),
    ("train.tsv", "", "train.tsv: the train split is empty"),
    ("train.tsv", None, "train.tsv: the file is missing"),
    ("entities.tsv", None, "entities.tsv: the file is missing"),
]


@pytest.mark.parametrize(("file", "text", "message"), MALFORMED)
def test_malformed_folder_is_one_clear_line(folder, file, text, message):
    if text is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(text)
    with pytest.raises(DataError, match=message) as caught:
        load_graph(folder)
    assert str(folder) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "path",
    ["/etc/passwd", "../secret.png", "a/../../secret.png", "a/../es.png", "a\0b", "link.png"],
)
def test_pictures_stay_in_the_folder(folder, path):
    (folder.parent / "secret.png").write_bytes(b"secret")
    (folder / "link.png").symlink_to(folder.parent / "secret.png")
    text = (
        (folder / "entities.tsv").read_text().replace("Spain\tSpain\t\t", f"Spain\tSpain\t\t{path}")
    )
    (folder / "entities.tsv").write_text(text)
    with pytest.raises(
        FormatError, match=r"entities.tsv:3: the picture .* is not inside the folder"
    ):
        load_graph(folder)


def test_a_missing_picture_is_a_finding(folder):
    text = (
        (folder / "entities.tsv").read_text().replace("Spain\tSpain\t\t", "Spain\tSpain\t\tes.png")
    )
    (folder / "entities.tsv").write_text(text)
    read = load_graph(folder)
    assert read.pictures == {}
    finding = next(f for f in read.findings if f.kind == "missing-picture")
    assert finding.examples == ("entities.tsv:3: no file 'es.png'",)
    with pytest.raises(FormatError, match=r"entities.tsv:3: no file 'es.png'"):
        load_graph(folder, strict=True)


def test_several_pictures_stand_in_one_cell(folder):
    (folder / "pictures").mkdir()
    for name in ("a.png", "b.png"):
        (folder / "pictures" / name).write_bytes(name.encode())
    (folder / "entities.tsv").write_text(
        "label\tpicture\nFrance\tpictures/b.png|pictures/a.png|pictures/c.png\n"
        "Spain\tpictures/a.png\nGermany\nEurope\n"
    )
    read = load_graph(folder)
    names = {e: [p.name for p in several] for e, several in read.all_pictures.items()}
    assert names == {0: ["b.png", "a.png"], 1: ["a.png"]}
    assert {e: p.name for e, p in read.pictures.items()} == {0: "b.png", 1: "a.png"}
    assert [f.count for f in read.findings if f.kind == "missing-picture"] == [1]

    write_momok_folder(read, folder.parent / "copy")
    again = load_graph(folder.parent / "copy")
    content = {e: [p.read_bytes() for p in several] for e, several in again.all_pictures.items()}
    assert content == {0: [b"b.png", b"a.png"], 1: [b"a.png"]}


def test_the_second_of_several_pictures_stays_in_the_folder(folder):
    (folder / "flag.png").write_bytes(b"")
    (folder / "entities.tsv").write_text(
        "label\tpicture\nFrance\tflag.png|../flag.png\nSpain\nGermany\nEurope\n"
    )
    with pytest.raises(FormatError, match=r"entities.tsv:2: the picture .* is not inside"):
        load_graph(folder)


def test_pictures_that_contradict_each_other_are_refused(small, tmp_path):
    with pytest.raises(DataError, match="all_pictures"):
        replace(small, pictures={0: tmp_path / "a"}, all_pictures={0: (tmp_path / "b",)})


@pytest.mark.parametrize("path", ["loop.png", "x" * 300, "pictures"])
def test_a_path_that_is_no_file_is_a_missing_picture(folder, path):
    (folder / "loop.png").symlink_to(folder / "loop.png")
    (folder / "pictures").mkdir()
    (folder / "entities.tsv").write_text(
        f"label\tpicture\nFrance\t{path}\nSpain\nGermany\nEurope\n"
    )
    assert "missing-picture" in [finding.kind for finding in load_graph(folder).findings]


def test_nothing_is_overwritten_unasked(small, folder, tmp_path):
    with pytest.raises(DataError, match="exists already"):
        write_momok_folder(small, folder)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    with pytest.raises(DataError, match="exists already"):
        write_momok_folder(small, tmp_path / "mine", overwrite=True)
    assert (tmp_path / "mine" / "thesis.txt").exists()
    (tmp_path / "empty").mkdir()
    write_momok_folder(small, tmp_path / "empty")
    write_momok_folder(replace(small, name="other"), folder, overwrite=True)
    assert load_graph(folder).name == "other"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "graph", "mine"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_full_disk_leaves_things_as_they_were(rich, folder, monkeypatch, overwrite):
    def refuse(path, content):
        path.write_bytes(content[: len(content) // 2])
        raise OSError(28, "No space left on device")

    target = folder if overwrite else folder.with_name("new")
    before = load_graph(folder).fingerprint()
    monkeypatch.setattr(storage, "write_through", refuse)
    with pytest.raises(StorageError, match=r"No space left on device"):
        write_momok_folder(rich, target, overwrite=overwrite)
    assert load_graph(folder).fingerprint() == before
    assert sorted(p.name for p in folder.parent.iterdir()) == ["flags", "graph"]


def test_tables_that_were_changed_are_a_finding(small, tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    write_momok_folder(small, folder)
    assert "changed" not in {finding.kind for finding in load_graph(folder).findings}
    lines = (folder / "train.tsv").read_text().splitlines(keepends=True)
    (folder / "train.tsv").write_text("".join(reversed(lines)))
    [found] = [f for f in load_graph(folder).findings if f.kind == "changed"]
    assert found.examples == ("train.tsv: its checksum is another one",)


def test_a_changed_text_of_graph_json_is_a_finding(small, tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    write_momok_folder(small, folder)
    about = folder / "graph.json"
    about.write_text(about.read_text().replace(f'"name": "{small.name}"', '"name": "another"'))
    [found] = [f for f in load_graph(folder).findings if f.kind == "changed"]
    assert found.examples == ("graph.json: its checksum is another one",)
    about.write_text('{"format": "momok-graph", "version": 1}')  # as people write it
    assert "changed" not in {finding.kind for finding in load_graph(folder).findings}
