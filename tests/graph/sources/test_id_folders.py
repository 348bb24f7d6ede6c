"""OpenKE, MyGO and PyKEEN folders: the same small graph in each, and their faults."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph.sources import read_pykeen
from momok.graph.sources.formats import FOLDER_FORMATS
from momok.graph.sources.id_folders import (
    read_mygo,
    read_openke,
    read_pykeen_folder,
)
from momok.graph.sources.raw import RawGraph
from tests.graph.small_graph import ENTITIES, RELATIONS, TEST, TRAIN, VALID

SPLITS = {"train": TRAIN, "valid": VALID, "test": TEST}


def check_small(raw: RawGraph) -> None:
    assert raw.entities == list(ENTITIES)
    assert raw.relations == list(RELATIONS)
    assert {split: list(map(tuple, f.tolist())) for split, f in raw.triples.items()} == SPLITS
    assert raw.findings == []


@pytest.fixture
def openke(tmp_path: Path) -> Path:
    for name, labels in (("entity2id", ENTITIES), ("relation2id", RELATIONS)):
        lines = [str(len(labels)), *(f"{label}\t{i}" for i, label in enumerate(labels))]
        (tmp_path / f"{name}.txt").write_text("\n".join(lines) + "\n")
    for split, facts in SPLITS.items():
        lines = [str(len(facts)), *(f"{h} {t} {r}" for h, r, t in facts)]
        (tmp_path / f"{split}2id.txt").write_text("\n".join(lines) + "\n")
    return tmp_path


def test_openke(openke: Path) -> None:
    check_small(read_openke(openke))


def test_openke_dictionaries_in_any_order_and_without_a_count(openke: Path) -> None:
    lines = (openke / "entity2id.txt").read_text().splitlines()[1:]
    (openke / "entity2id.txt").write_text("\r\n".join(reversed(lines)) + "\r\n\r\n")
    check_small(read_openke(openke))


def test_openke_splits_may_be_missing(openke: Path) -> None:
    (openke / "test2id.txt").unlink()
    assert set(read_openke(openke).triples) == {"train", "valid"}


@pytest.mark.parametrize("content", ["", "0\n"])
def test_openke_splits_may_be_empty(content: str, openke: Path) -> None:
    (openke / "valid2id.txt").write_text(content)
    raw = read_openke(openke)
    assert set(raw.triples) == {"train", "test"}
    assert raw.notes == ["valid2id.txt is empty and left out"]


def test_openke_counts_what_it_cannot_use(openke: Path) -> None:
    text = (openke / "train2id.txt").read_text() + "0 1 99\n7 0 0\n0 1\n0 1 x\n"
    (openke / "train2id.txt").write_text(text)
    raw = read_openke(openke)
    assert list(map(tuple, raw.triples["train"].tolist())) == TRAIN
    assert [(f.kind, f.count) for f in raw.findings] == [
        ("malformed", 2),
        ("unknown-label", 2),
        ("count", 14),
    ]
    assert raw.findings[0].examples == ("train2id.txt:14: '0 1'", "train2id.txt:15: '0 1 x'")


def test_openke_in_another_order_is_told(openke: Path) -> None:
    lines = ["3", "0 0 6", "3 1 4", "5 2 6"]
    (openke / "train2id.txt").write_text("\n".join(lines) + "\n")
    with pytest.raises(FormatError, match="the columns are in another order"):
        read_openke(openke)


@pytest.fixture
def mygo(tmp_path: Path) -> Path:
    (tmp_path / "entities.txt").write_text("\n".join(ENTITIES) + "\n")
    (tmp_path / "relations.txt").write_text("\n".join(RELATIONS) + "\n")
    for split, facts in SPLITS.items():
        lines = (f"{h}\t{r}\t{t}\n" for h, r, t in facts)
        (tmp_path / f"{split}.txt").write_text("".join(lines))
    return tmp_path


def test_mygo_by_ids(mygo: Path) -> None:
    check_small(read_mygo(mygo))


def test_mygo_by_labels(mygo: Path) -> None:
    for split, facts in SPLITS.items():
        lines = (f"{ENTITIES[h]}\t{RELATIONS[r]}\t{ENTITIES[t]}\n" for h, r, t in facts)
        (mygo / f"{split}.txt").write_text("".join(lines))
    check_small(read_mygo(mygo))


def test_mygo_numbers_with_the_dictionaries_of_the_benchmark(mygo: Path) -> None:
    for name, labels in (("entities", ENTITIES), ("relations", RELATIONS)):
        (mygo / f"{name}.txt").write_text("".join(f"{i}\n" for i in range(len(labels))))
    for name, labels in (("entity2id", ENTITIES), ("relation2id", RELATIONS)):
        lines = (f"{label} {i}\n" for i, label in enumerate(labels))
        (mygo / f"{name}.txt").write_text("".join(lines))
    check_small(read_mygo(mygo))


def test_mygo_counts_unknown_labels(mygo: Path) -> None:
    (mygo / "valid.txt").write_text("2\t0\t0\n2\t0\t7\n")
    raw = read_mygo(mygo)
    assert raw.triples["valid"].tolist() == [[2, 0, 0]]
    assert [(f.kind, f.examples) for f in raw.findings] == [
        ("unknown-label", ("valid.txt: 2 | 0 | 7",))
    ]
    with pytest.raises(FormatError, match=r"valid.txt: 2 \| 0 \| 7"):
        read_mygo(mygo, strict=True)


class Factory:
    """What a TriplesFactory has, without PyKEEN."""

    def __init__(self, facts, **more) -> None:
        self.mapped_triples = np.array(facts)
        self.num_entities, self.num_relations = len(ENTITIES), 2 * len(RELATIONS)
        self.real_num_relations = len(RELATIONS)
        self.entity_to_id = {label: i for i, label in reversed(list(enumerate(ENTITIES)))}
        self.relation_to_id = {label: i for i, label in enumerate(RELATIONS)}
        self.__dict__.update(more)


def test_a_factory_and_a_data_set() -> None:
    raw = read_pykeen(Factory([*TRAIN, (0, 3, 1)]))  # the last is one that PyKEEN added
    assert raw.entities == list(ENTITIES)
    assert list(map(tuple, raw.triples["all"].tolist())) == TRAIN

    class Dataset:
        training, validation, testing = Factory(TRAIN), Factory(VALID), Factory(TEST)

    check_small(read_pykeen(Dataset()))


def test_a_factory_without_labels_has_its_ids() -> None:
    raw = read_pykeen(Factory(TRAIN, entity_to_id=None, relation_to_id=None))
    assert raw.entities == list("0123456")
    assert raw.relations == list("012")


def test_what_is_no_factory_is_said() -> None:
    with pytest.raises(DataError, match="dict is neither a PyKEEN TriplesFactory"):
        read_pykeen({})


def test_what_pykeen_itself_writes(tmp_path: Path) -> None:
    pytest.importorskip("pykeen")
    from pykeen.datasets.base import EagerDataset
    from pykeen.triples import TriplesFactory

    labels = np.array([[ENTITIES[h], RELATIONS[r], ENTITIES[t]] for h, r, t in TRAIN])
    entities = {label: i for i, label in enumerate(ENTITIES)}
    relations = {label: i for i, label in enumerate(RELATIONS)}
    factories = [
        TriplesFactory.from_labeled_triples(
            np.array([[ENTITIES[h], RELATIONS[r], ENTITIES[t]] for h, r, t in facts]),
            entity_to_id=entities,
            relation_to_id=relations,
            filter_out_candidate_inverse_relations=False,
        )
        for facts in (TRAIN, TEST, VALID)
    ]
    dataset = EagerDataset(*factories, metadata={"name": "small"})
    raw = read_pykeen(factories[0])
    facts = [(raw.entities[h], raw.relations[r], raw.entities[t]) for h, r, t in raw.triples["all"]]
    assert sorted(facts) == sorted(map(tuple, labels.tolist()))

    for name, source in (
        ("one", factories[0].to_path_binary),
        ("all", dataset.to_directory_binary),
    ):
        source(tmp_path / name)
        assert FOLDER_FORMATS["pykeen"].recognise(tmp_path / name)
        for pickled in (tmp_path / name).rglob("*.pth"):
            pickled.write_bytes(b"not looked at")
    raw = read_pykeen_folder(tmp_path / "one")
    assert raw.entities == list(ENTITIES)
    assert sorted(map(tuple, raw.triples["all"].tolist())) == sorted(TRAIN)
    raw = read_pykeen_folder(tmp_path / "all")
    assert {s: sorted(map(tuple, f.tolist())) for s, f in raw.triples.items()} == {
        split: sorted(facts) for split, facts in SPLITS.items()
    }


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("entity_to_id", "label\tid\na\t0\n", "expected the header id, label"),
        ("entity_to_id", "id\tlabel\n1\ta\n2\tb\n", "none has the id 0"),
        ("entity_to_id", "id\tlabel\n0\ta\n1\ta\n", "'a' has an id already, on line 2"),
        ("numeric_triples", "h\tr\tt\n0\t0\t1\n", "expected the header head relation tail"),
        ("numeric_triples", "head\trelation\ttail\n", "has no fact"),
        ("numeric_triples", "head\trelation\ttail\n0\t0\t5\n", "expected ids"),
    ],
)
def test_malformed_pykeen_folders(file: str, text: str, message: str, tmp_path: Path) -> None:
    texts = {
        "entity_to_id": "id\tlabel\n0\ta\n1\tb\n",
        "relation_to_id": "id\tlabel\n0\tr\n",
        "numeric_triples": "head\trelation\ttail\n0\t0\t1\n",
    }
    for name, content in (texts | {file: text}).items():
        (tmp_path / f"{name}.tsv.gz").write_bytes(gzip.compress(content.encode()))
    with pytest.raises(FormatError, match=message) as caught:
        read_pykeen_folder(tmp_path)
    assert f"{file}.tsv.gz" in str(caught.value)


@settings(max_examples=60, deadline=None)
@given(
    file=st.sampled_from(["entity2id", "relation2id", "train2id", "valid2id"]),
    content=st.binary(max_size=40) | st.text("012 \n\t-ab\r", max_size=40).map(str.encode),
)
def test_any_bytes_are_openke_or_one_line(file: str, content: bytes, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("openke")
    texts = {
        "entity2id": b"2\na\t0\nb\t1\n",
        "relation2id": b"1\nr\t0\n",
        "train2id": b"2\n0 1 0\n1 0 0\n",
        "valid2id": b"1\n0 0 0\n",
    }
    for name, text in (texts | {file: content}).items():
        (folder / f"{name}.txt").write_bytes(text)
    raw, said = None, ""
    try:
        raw = read_openke(folder)
    except (DataError, FormatError) as error:
        said = str(error)
    assert (raw is None) == said.startswith(str(folder))
    assert "\n" not in said
