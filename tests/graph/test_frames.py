"""Graphs of frames, arrays and lists: equal whatever they come in, and faults in one line."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import polars as pl
import pytest

from momok.errors import DataError, FeatureError
from momok.graph import MultimodalGraph, graph_from_frames, load_graph
from momok.graph.build import build_graph
from momok.graph.sources import SourceOptions, read_sources

ROLES = ("head", "relation", "tail")
FACTS = [
    *((f"work {i}", "painted by", f"painter {i % 4}") for i in range(24)),
    *((f"work {i}", "hangs in", f"museum {i % 3}") for i in range(24)),
]
THINGS = {
    "id": ["painter 0", "work 1", "museum 2", "nobody"],
    "title": ["Paula", "", "Kunsthalle", "Nobody"],
    "text": ["Painted in oil", "", "", ""],
    "city": ["Worpswede", "", "Bremen", ""],
    "year": [1876, None, 1849, None],
}


def as_pandas(columns: dict[str, list[object]]) -> object:
    return pytest.importorskip("pandas").DataFrame(columns)


def as_columns(names: tuple[str, ...] = ROLES) -> dict[str, list[str]]:
    return {
        name: list(column) for name, column in zip(names, zip(*FACTS, strict=True), strict=True)
    }


def name_facts(graph: MultimodalGraph) -> dict[str, list[tuple[str, ...]]]:
    return {split: graph.to_frame(split).rows() for split in ("train", "valid", "test")}


def test_every_kind_of_facts_gives_the_graph_that_data_build_gives(tmp_path: Path) -> None:
    with (tmp_path / "facts.csv").open("w", newline="") as file:
        csv.writer(file).writerows([ROLES, *FACTS])
    with (tmp_path / "things.csv").open("w", newline="") as file:
        csv.writer(file).writerows([THINGS, *zip(*THINGS.values(), strict=True)])
    options = SourceOptions(entities=tmp_path / "things.csv")
    build_graph(read_sources([tmp_path / "facts.csv"], options), tmp_path / "built")
    built = load_graph(tmp_path / "built")
    things = pl.DataFrame(THINGS)
    for facts, entities in (
        (FACTS, things),
        (np.array(FACTS), things),
        (np.array(FACTS, dtype=object), things),
        (pl.DataFrame(as_columns()), things),
        (
            pl.DataFrame(as_columns()).with_columns(pl.all().cast(pl.Categorical)),
            things,
        ),
        (as_pandas(as_columns()), as_pandas(THINGS)),
        (as_pandas(as_columns()).astype("category"), as_pandas(THINGS)),  # type: ignore[attr-defined]
    ):
        graph = graph_from_frames(facts, entities, name="built")
        assert graph.fingerprint() == built.fingerprint()
        for column in ("entity_names", "descriptions", "attributes", "split", "split_notes"):
            assert getattr(graph, column) == getattr(built, column), column
    assert graph.entity_names[graph.entities.ids["painter 0"]] == "Paula"
    assert graph.attributes["city"][graph.entities.ids["museum 2"]] == "Bremen"
    kinds = {finding.kind for finding in graph.findings}
    assert kinds == {"unknown-label", "numbers"}  # of nobody; of years


def test_columns_are_found_by_name_else_the_first_three_are_taken() -> None:
    expected = graph_from_frames(FACTS).fingerprint()
    turned = pl.DataFrame(as_columns(("subject", "predicate", "object")))
    turned = turned.select("object", pl.lit(0.5).alias("weight"), "predicate", "subject")
    assert graph_from_frames(turned).fingerprint() == expected
    nameless = pl.DataFrame(as_columns(("a", "b", "c"))).with_columns(d=pl.lit(0.5))
    assert graph_from_frames(nameless).fingerprint() == expected
    ids = graph_from_frames([(int(t[-1]), r, h) for h, r, t in FACTS])
    assert "3" in ids.entities


def test_the_world_goes_to_frames_and_back() -> None:
    world = load_graph("world")
    frames = {split: world.to_frame(split) for split in ("train", "valid", "test")}
    held_out = {split: frames[split] for split in ("valid", "test")}
    again = graph_from_frames(frames["train"], world.to_frame("entities"), split=held_out)
    assert name_facts(again) == name_facts(world)
    assert again.title(again.find_entity("France")) == world.title(world.find_entity("France"))
    frames["valid"] = pl.concat([frames["valid"], frames["test"][:2]])
    mended = graph_from_frames(frames["train"], split={x: frames[x] for x in ("valid", "test")})
    assert mended.split == "clean"
    assert not {*mended.to_frame("valid").rows()} & {*mended.to_frame("test").rows()}


def test_shares_and_a_seed_split_facts() -> None:
    graph = graph_from_frames(FACTS, split=(0.5, 0.25, 0.25), seed=3)
    assert (len(graph.train), len(graph.valid), len(graph.test)) == (26, 11, 11)
    assert graph.split_notes[0].startswith("split 0.5/0.25/0.25 by seed 3")
    test = FACTS[:3]
    drawn = graph_from_frames(FACTS[3:], split={"test": test})
    assert sorted(drawn.to_frame("test").rows()) == sorted(test)
    assert len(drawn.valid) > 0


def test_features_go_to_the_entities_of_their_labels() -> None:
    things = pl.DataFrame(THINGS)
    vectors = np.arange(8.0).reshape(4, 2)
    graph = graph_from_frames(
        FACTS,
        things,
        features={"image": vectors, "text": (things["id"][:2], vectors[:2].tolist())},
    )
    image, text = graph.features["image"], graph.features["text"]
    museum = graph.entities.ids["museum 2"]
    assert image.matrix[museum].tolist() == [4.0, 5.0]
    assert (image.present.sum(), image.unmatched) == (3, ("nobody",))
    assert (text.present.sum(), text.present[museum]) == (2, False)


@pytest.mark.parametrize(
    ("facts", "message"),
    [
        (5, "facts: an int; expected a frame of pandas or polars, an array [n, 3], or a list"),
        ("facts.csv", "facts: a str; expected a frame"),
        ([], "facts: has no row; expected facts"),
        ([("a", "r")], "facts:1: ('a', 'r'); expected three labels: (head, relation, tail)"),
        ([("a", "r", None)], "facts:1: the tail is blank"),
        ([("a", "r", b"b")], "facts:1: the column '3' holds a bytes; expected texts or numbers"),
        ([("a", 1.5, "b")], "the column of the relation holds 1.5 (row 1); expected labels: texts"),
        (np.zeros((3, 3)), "facts: an array float64 [3, 3]; expected texts [n, 3]"),
        (np.array([["a", "b"]]), "facts: has 2 columns; expected three"),
        (pl.DataFrame({"head": ["a"], "x": ["r"], "y": ["b"], "tail": ["c"]}), "cannot tell which"),
        (pl.DataFrame({"h": [["a"]], "r": ["r"], "t": ["b"]}), "'h' holds List(String); expected"),
        (pl.DataFrame({"h": [0.5], "r": ["r"], "t": ["b"]}), "of the head holds Float64; expected"),
        ([("a", "r", "b")], "cannot be split"),
    ],
)  # fmt: skip
def test_facts_that_are_none(facts: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        graph_from_frames(facts)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_missing_values_of_pandas() -> None:
    pandas = pytest.importorskip("pandas")
    for missing in (None, float("nan"), pandas.NA, pandas.NaT):
        frame = pandas.DataFrame({"h": ["a", "b"], "r": ["r", "r"], "t": ["b", missing]})
        with pytest.raises(DataError, match=r"^facts:2: the tail is blank$"):
            graph_from_frames(frame)


@pytest.mark.parametrize(
    ("entities", "message"),
    [
        ([1], "entities: a list; expected a frame with a column of the labels of the facts"),
        (pl.DataFrame({"id": ["work 1", "work 1"]}), "entities:2: the label 'work 1' has a row"),
        (pl.DataFrame({"id": ["work 1", None]}), "entities:2: the label '' is blank"),
        (pl.DataFrame({"id": ["x"]}), "entities: no value of 'id' is an entity of the facts"),
        (pl.DataFrame({"id": []}), "entities: has no row"),
    ],
)
def test_entities_that_do_not_fit(entities: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        graph_from_frames(FACTS, entities)
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (np.ones((3, 4)), "whose the rows are is not said; give (labels, vectors)"),
        ((["work 1"], np.ones((2, 4))), "shape [2, 4]; expected [1, d]"),
        ((["work 1"], np.ones(1)), "shape [1]; expected [1, d]"),
        ((["work 1"] * 2, np.ones((2, 4))), "has two rows for 'work 1'"),
        ((["x"], np.ones((1, 4))), "none of its 1 labels (the first is 'x') is an entity"),
        ((["work 1"], [[float("nan")]]), "the vector of 'work 1' (row 1) holds NaN or infinity"),
        ((["work 1"], [["a"]]), "expected vectors or (labels, vectors): holds <U1 values"),
        ((1, 2, 3), "expected vectors or (labels, vectors)"),
    ],
)
def test_features_that_do_not_fit(given: object, message: str) -> None:
    with pytest.raises(FeatureError) as caught:
        graph_from_frames(FACTS, features={"image": given})
    assert str(caught.value).startswith("features 'image': ")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("split", "message"),
    [
        ((1, 2), "split: '(1, 2)'; expected three shares"),
        ("valid", "split: 'valid'; expected three shares"),
        ((80, 10, 0), "ratio 80/10/0: expected three positive numbers"),
        ({"tset": FACTS}, "split: 'tset'; expected 'valid' and 'test'"),
        ({"test": [("a", "r")]}, "test:1: ('a', 'r'); expected three labels"),
    ],
)
def test_splits_that_are_none(split: object, message: str) -> None:
    with pytest.raises(DataError) as caught:
        graph_from_frames(FACTS, split=split)  # type: ignore[arg-type]
    assert str(caught.value).startswith(message)


def test_a_graph_to_frames() -> None:
    graph = graph_from_frames(FACTS, pl.DataFrame(THINGS))
    entities = graph.to_frame("entities")
    assert entities.columns == ["label", "name", "description", "type", "city"]
    assert tuple(entities["label"]) == graph.entities.labels
    assert graph.to_frame("valid").columns == [*ROLES]
    with pytest.raises(DataError, match="'all': expected 'train', 'valid', 'test' or 'entities'"):
        graph.to_frame("all")  # type: ignore[arg-type]
