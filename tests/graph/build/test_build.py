"""Building: what a source has is what the folder reads, split as promised, whole or not at all."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok import storage
from momok.errors import DataError, StorageError
from momok.graph import load_graph
from momok.graph.build import BuildOptions, build_graph
from momok.graph.entities_file import PICTURE_LINKS, read_numbers
from momok.graph.reviewed import ReviewedFacts
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.reading import read_sources
from tests.graph.small_graph import ENTITIES, RELATIONS, TEST, TRAIN, VALID, as_triples


def make_raw(facts, **more) -> RawGraph:
    """Facts as triples of labels, all unsplit."""
    entities = list(dict.fromkeys(label for h, _, t in facts for label in (h, t)))
    relations = list(dict.fromkeys(r for _, r, _ in facts))
    ids = [(entities.index(h), relations.index(r), entities.index(t)) for h, r, t in facts]
    return RawGraph(
        entities=entities, relations=relations, triples={"all": as_triples(ids)}, **more
    )


def make_split(**more) -> RawGraph:
    return RawGraph(
        entities=list(ENTITIES),
        relations=list(RELATIONS),
        triples={"train": as_triples(TRAIN), "valid": as_triples(VALID), "test": as_triples(TEST)},
        **more,
    )


def list_facts(graph, split: str) -> list[tuple[str, str, str]]:
    entities, relations = graph.entities.labels, graph.relations.labels
    return [(entities[h], relations[r], entities[t]) for h, r, t in graph.facts(split).tolist()]


SQUARE = [(f"e{i}", r, f"e{j}") for i in range(7) for j in range(7) for r in "rs" if i != j]

LABELS = st.text(
    st.characters(exclude_characters="\t\r\n", exclude_categories=["Cs"]), min_size=1, max_size=4
)


@settings(max_examples=40, deadline=None)
@given(
    labels=st.lists(LABELS, min_size=7, max_size=7, unique=True),
    relations=st.lists(LABELS, min_size=3, max_size=3, unique=True),
    texts=st.lists(st.text(max_size=5).filter(lambda t: t.isprintable()), min_size=7, max_size=7),
)
def test_any_labels_and_texts_read_back(labels, relations, texts, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("built") / "graph"
    said = {label: text for label, text in zip(labels, texts, strict=True) if text}
    raw = replace(make_split(), entities=labels, relations=relations, descriptions=said, types=said)
    build_graph(raw, folder)
    graph = load_graph(folder, split="published")
    assert graph.entities.labels == tuple(labels)
    assert graph.relations.labels == tuple(relations)
    for split, facts in (("train", TRAIN), ("valid", VALID), ("test", TEST)):
        assert list(map(tuple, graph.facts(split).tolist())) == facts
    assert graph.descriptions == graph.entity_types == tuple(texts)


@settings(max_examples=40, deadline=None)
@given(
    facts=st.lists(
        st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("rst"), st.sampled_from("abcdefgh")),
        min_size=20,
        max_size=80,
    ),
    seed=st.integers(0, 1000),
)
def test_the_promises_of_a_built_split(facts, seed, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("built") / "graph"
    try:
        report = build_graph(make_raw(facts), folder, BuildOptions(ratio=(6, 2, 2), seed=seed))
    except DataError as error:
        assert "cannot be split" in str(error)  # noqa: PT017
        assert not folder.exists()
        return
    graph = load_graph(folder)
    parts = {split: list_facts(graph, split) for split in ("train", "valid", "test")}
    assert sorted(fact for part in parts.values() for fact in part) == sorted(set(facts))
    assert {e for h, _, t in parts["train"] for e in (h, t)} == {
        e for h, _, t in facts for e in (h, t)
    }
    assert {r for _, r, _ in parts["train"]} == {r for _, r, _ in facts}
    where = {fact: split for split, part in parts.items() for fact in part}
    for h, r, t in facts:
        assert where[h, r, t] == where.get((t, r, h), where[h, r, t])
        for pair in report.redundant:
            both = report.graph.relations[pair.first], report.graph.relations[pair.second]
            if r in both:
                for s in both:
                    assert where[h, r, t] == where.get((h, s, t), where[h, r, t])
                    assert where[h, r, t] == where.get((t, s, h), where[h, r, t])
    assert not [f for f in report.findings if f.kind == "inverse-leak"]
    assert (graph.split, graph.split_notes) == ("clean", report.split_notes)


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        build_graph(make_raw(SQUARE), tmp_path / name, BuildOptions(seed=seed, name="square"))
    read = [
        {p.name: p.read_bytes() for p in (tmp_path / name).iterdir()} for name in ("a", "b", "c")
    ]
    assert read[0] == read[1]
    assert read[0]["test.tsv"] != read[2]["test.tsv"]
    sizes = [len(read[0][f"{split}.tsv"].splitlines()) for split in ("train", "valid", "test")]
    assert sum(sizes) == len(SQUARE)
    assert sizes[1] == pytest.approx(len(SQUARE) / 10, abs=4)  # groups of up to 4 facts


def test_inverse_relations_are_found_and_dropped_when_asked(tmp_path: Path) -> None:
    ring = [(f"e{i}", "next", f"e{(i + d) % 20}") for i in range(20) for d in (1, 2, 3)]
    inverse = [(t, "previous", h) for h, _, t in ring[:50]]
    facts = [*ring, *inverse, ("e0", "previous", "lonely")]
    report = build_graph(make_raw(facts), tmp_path / "kept")
    (pair,) = report.redundant
    assert (report.graph.relations[pair.first], report.graph.relations[pair.second]) == (
        "next",
        "previous",
    )
    assert (pair.kind, pair.shared) == ("inverse", 50)
    assert (pair.first_share, pair.second_share) == (50 / 60, 50 / 51)

    report = build_graph(
        make_raw(facts), tmp_path / "dropped", BuildOptions(drop_inverse_leaks=True)
    )
    assert report.redundant == ()
    assert [(f.kind, f.count, f.examples) for f in report.findings] == [
        ("inverse-leak", 51, ("previous",)),
        ("isolated", 1, ("lonely",)),
        ("isolated", 1, ("previous",)),
    ]
    graph = load_graph(tmp_path / "dropped")
    assert graph.relations.labels == ("next",)
    facts = [fact for split in ("train", "valid", "test") for fact in list_facts(graph, split)]
    assert sorted(facts) == sorted(ring)


def test_the_relation_to_keep_can_be_chosen(tmp_path: Path) -> None:
    """Else it is the one that is named first, also where it has fewer facts."""
    ring = [(f"e{i}", "next", f"e{(i + 1) % 20}") for i in range(20)]
    back = [(t, "previous", h) for h, _, t in ring]
    for keep, expected in ((), "next"), (("previous",), "previous"), (("next",), "next"):
        options = BuildOptions(drop_inverse_leaks=True, keep=keep, overwrite=True)
        report = build_graph(make_raw([*ring[:-1], *back]), tmp_path / "graph", options)
        assert report.graph.relations == [expected]
    both = BuildOptions(drop_inverse_leaks=True, keep=("next", "previous"), overwrite=True)
    assert len(build_graph(make_raw([*ring, *back]), tmp_path / "graph", both).redundant) == 1
    options = BuildOptions(drop_inverse_leaks=True, keep=("nxt",))
    with pytest.raises(DataError, match="--keep 'nxt': there is no such relation; did you mean"):
        build_graph(make_raw([*ring, *back]), tmp_path / "other", options)


@pytest.mark.parametrize("seed", [0, 1])
def test_the_split_does_not_depend_on_the_order_of_facts(seed: int, tmp_path: Path) -> None:
    ring = [(f"e{i}", "next", f"e{(i + 1) % 40}") for i in range(40)]
    facts = [*ring, *((t, "previous", h) for h, _, t in ring)]
    facts += [(f"e{i}", "likes", f"e{i * 7 % 40}") for i in range(40)]
    splits = []
    for number, order in enumerate((facts, facts[::-1], sorted(facts), facts[60:] + facts[:60])):
        folder = tmp_path / str(number)
        build_graph(make_raw(order), folder, BuildOptions(seed=seed))
        graph = load_graph(folder, split="published")
        splits.append([sorted(list_facts(graph, s)) for s in ("train", "valid", "test")])
    assert all(split == splits[0] for split in splits)
    assert sorted(fact for split in splits[0] for fact in split) == sorted(facts)


def test_redundant_relations_of_given_splits_are_dropped(tmp_path: Path) -> None:
    ring = [(f"e{i}", "next", f"e{(i + 1) % 20}") for i in range(20)]
    raw = make_raw([*ring, *((t, "previous", h) for h, _, t in ring), ("e0", "z", "e5")])
    facts = raw.triples.pop("all")
    raw.triples.update(train=facts[:20], valid=facts[20:30], test=facts[30:])
    report = build_graph(raw, tmp_path / "kept")
    leaks = [f.count for f in report.findings if f.kind == "inverse-leak"]
    assert leaks == [10, 10]
    raw.triples["valid"] = np.concatenate([raw.triples["valid"], facts[:1]])
    build_graph(raw, tmp_path / "dropped", BuildOptions(drop_inverse_leaks=True))
    graph = load_graph(tmp_path / "dropped", split="published")
    assert graph.relations.labels == ("next", "z")
    assert graph.entities.labels == tuple(raw.entities)
    assert list_facts(graph, "test") == [("e0", "z", "e5")]


def test_given_splits_are_kept_and_what_is_wrong_with_them_is_counted(tmp_path: Path) -> None:
    raw = make_split()
    raw.triples["test"] = as_triples([*TEST, TRAIN[0], TEST[0], (1, 0, 2)])
    raw.entities.append("Nowhere")
    raw.triples["valid"] = as_triples([*VALID, (7, 0, 1)])
    report = build_graph(raw, tmp_path / "graph")
    graph = load_graph(tmp_path / "graph", split="published")
    assert list(map(tuple, graph.test.tolist())) == [*TEST, TRAIN[0], (1, 0, 2)]
    assert [(f.kind, f.count) for f in report.findings] == [
        ("duplicate", 1),
        ("overlap", 1),
        ("unseen-entity", 1),
        ("inverse-leak", 1),
    ]
    assert report.findings[-1].examples == ("Germany | borders | France",)
    mended = load_graph(tmp_path / "graph")  # the folder does not say that it is clean
    assert mended.split == "clean"
    assert TRAIN[0] not in list(map(tuple, mended.train.tolist()))


@pytest.mark.parametrize("missing", [("valid",), ("test",), ("valid", "test")])
def test_splits_that_are_missing_are_drawn_from_train(missing, tmp_path: Path) -> None:
    raw = make_raw(SQUARE)
    raw.triples["train"] = raw.triples.pop("all")
    for split in {"valid", "test"} - set(missing):
        raw.triples[split] = raw.triples["train"][:3]
    build_graph(raw, tmp_path / "graph")
    graph = load_graph(tmp_path / "graph", split="published")
    drawn = [fact for split in missing for fact in list_facts(graph, split)]
    assert all(list_facts(graph, split) for split in missing)
    assert sorted([*list_facts(graph, "train"), *drawn]) == sorted(SQUARE)


def test_reviewed_facts_join_train(tmp_path: Path) -> None:
    reviews = ReviewedFacts(
        accepted=[
            ("Spain", "capital", "Berlin"),
            ("Spain", "borders", "Andorra"),
            ("France", "borders", "Spain"),
            ("Germany", "part_of", "Europe"),
        ]
    )  # two are new, one is a train fact, one a test fact
    report = build_graph(make_split(), tmp_path / "graph", reviews=reviews)
    graph = load_graph(tmp_path / "graph", split="published")
    assert list_facts(graph, "train")[len(TRAIN) :] == [
        ("Spain", "capital", "Berlin"),
        ("Spain", "borders", "Andorra"),
    ]
    assert graph.entities.labels == (*ENTITIES, "Andorra")
    assert report.split_notes[-1] == "2 reviewed facts added to train (2 were known already)"


def test_everything_about_entities_is_written(tmp_path: Path) -> None:
    pictures = tmp_path / "from"
    pictures.mkdir()
    for name in ("a.png", "b.jpg", "weird name|<b>.png"):
        (pictures / name).write_bytes(name.encode())
    raw = make_split(
        names={"France": "La\tFrance", "borders": "an entity's"},
        relation_names={"borders": "is next to", "capital": "has the capital"},
        descriptions={"Spain": "two\nlines", "unknown": "left out"},
        types={"Paris": "city"},
        attributes={"motto": {"France": "Liberté"}, "label": {"Spain": "no column"}},
        numbers={"area": {"France": 643801.0, "unknown": 1.0}, "none": {}},
        pictures={
            "France": [str(pictures / "b.jpg"), str(pictures / "a.png"), "https://x/y.png"],
            "Spain": [str(pictures / "missing.png"), str(pictures / "b.jpg")],
            "Berlin": [str(pictures / "weird name|<b>.png")],
        },
        about="A small graph",
        licence="CC0",
        name="small",
    )
    report = build_graph(raw, tmp_path / "graph")
    graph = load_graph(tmp_path / "graph", split="published")
    assert (graph.name, graph.about, graph.licence) == ("small", "A small graph", "CC0")
    assert graph.entity_names[0] == "La France"
    assert graph.relation_names == ("is next to", "has the capital", "part of")
    assert graph.descriptions[1] == "two lines"
    assert graph.entity_types[3] == "city"
    assert graph.attributes == {
        "motto": ("Liberté", *[""] * 6),
        "label_2": ("", "no column", *[""] * 5),  # label is momok's own
    }
    assert read_numbers(tmp_path / "graph") == {"area": {"France": 643801.0}}
    content = {e: [p.read_bytes() for p in several] for e, several in graph.all_pictures.items()}
    assert content == {0: [b"b.jpg", b"a.png"], 1: [b"b.jpg"], 5: [b"weird name|<b>.png"]}
    assert (
        tmp_path / "graph" / PICTURE_LINKS
    ).read_text() == "label\turl\nFrance\thttps://x/y.png\n"
    kinds = {f.kind: f.count for f in report.findings if f.kind != "inverse-leak"}
    assert kinds == {"missing-picture": 1, "picture-url": 1}
    assert (report.pictures, report.covered["pictures"]) == (3, 3)
    assert report.covered["descriptions"] == 1


def test_pictures_can_be_linked(tmp_path: Path) -> None:
    picture = tmp_path / "a.png"
    picture.write_bytes(b"a")
    raw = make_split(pictures={"France": [str(picture)]})
    report = build_graph(raw, tmp_path / "graph", BuildOptions(link_pictures=True))
    graph = load_graph(tmp_path / "graph", split="published")
    assert graph.pictures[0].stat().st_ino == picture.stat().st_ino
    assert report.linked == 1


def test_a_graph_of_momok_is_a_source_too(tmp_path: Path) -> None:
    world = load_graph("world")
    build_graph(read_sources(["world"]), tmp_path / "graph")
    graph = load_graph(tmp_path / "graph")
    assert graph.fingerprint() == world.fingerprint()
    for column in ("entity_names", "relation_names", "descriptions", "attributes", "licence"):
        assert getattr(graph, column) == getattr(world, column)
    assert graph.pictures.keys() == world.pictures.keys()


def test_a_graph_that_was_built_can_be_built_again(tmp_path: Path) -> None:
    first = build_graph(make_raw(SQUARE), tmp_path / "graph")
    reviews = ReviewedFacts(accepted=[("e0", "r", "new")], rejected=[("e0", "r", "e0")])
    build_graph(
        read_sources([tmp_path / "graph"]),
        tmp_path / "graph",
        BuildOptions(overwrite=True),
        reviews=reviews,
    )
    graph = load_graph(tmp_path / "graph")
    assert graph.split_notes == (
        *first.split_notes,
        "1 reviewed facts added to train (0 were known already); 1 rejected ones are negatives",
    )
    again = build_graph(read_sources([tmp_path / "graph"]), tmp_path / "again")  # kept
    assert load_graph(tmp_path / "again").rejected.tolist() == graph.rejected.tolist()
    assert len(again.graph.triples["train"]) == len(graph.train)
    sizes = {split: len(graph.facts(split)) for split in ("train", "valid", "test")}
    assert sizes == first.split_sizes | {"train": first.split_sizes["train"] + 1}
    assert any(finding.kind == "recorded-split" for finding in graph.findings)


def test_a_folder_is_not_replaced_unless_asked(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    build_graph(make_split(), folder)
    with pytest.raises(DataError, match="is a graph already; --force replaces it"):
        build_graph(make_split(), folder)
    build_graph(make_split(about="again"), folder, BuildOptions(overwrite=True))
    assert load_graph(folder).about == "again"
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.txt").write_text("years of work")
    for overwrite in (False, True):
        with pytest.raises(DataError, match="mine"):
            build_graph(make_split(), tmp_path / "mine", BuildOptions(overwrite=overwrite))
    assert (tmp_path / "mine" / "thesis.txt").read_text() == "years of work"


def test_a_disk_that_refuses_leaves_nothing(tmp_path: Path, monkeypatch) -> None:
    folder = tmp_path / "graph"
    build_graph(make_split(about="first"), folder)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(storage, "_put_in_place", refuse)
    with pytest.raises(StorageError, match="No space left"):
        build_graph(make_split(about="second"), folder, BuildOptions(overwrite=True))
    assert load_graph(folder).about == "first"
    assert [path.name for path in tmp_path.iterdir()] == ["graph"]


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (make_raw([]), "has no fact"),
        (make_raw([("a", "r", "b"), ("b", "r", "c")]), "2 facts cannot be split"),
        (make_raw([("", "r", "b")]), "is blank"),
        (make_raw([("a", "", "b")]), "is blank"),
        (make_raw([("\ud800", "r", "b")]), "cannot be written as UTF-8"),
        (make_raw([("a\tb", "r", "a\nb")]), "differ in tabs or line breaks only"),
        (replace(make_split(), triples={"train": as_triples([])}), "has no fact"),
    ],
)
def test_what_cannot_be_built_is_said(raw: RawGraph, message: str, tmp_path: Path) -> None:
    with pytest.raises(DataError, match=message):
        build_graph(raw, tmp_path / "graph")
    assert not list(tmp_path.iterdir())


def test_labels_with_line_breaks_are_mended(tmp_path: Path) -> None:
    raw = replace(make_split(), entities=["La\r\nFrance", *ENTITIES[1:]])
    report = build_graph(raw, tmp_path / "graph")
    assert load_graph(tmp_path / "graph").entities.labels[0] == "La France"
    assert report.findings[0].kind == "line-break"


@pytest.mark.parametrize(
    "ratio", [(0, 1, 1), (1, -1, 1), (1, 1, float("nan")), (1, 1, float("inf"))]
)
def test_ratios_are_positive(ratio) -> None:
    with pytest.raises(DataError, match="expected three positive numbers"):
        BuildOptions(ratio=ratio)


def test_raw_graphs_check_their_ids() -> None:
    for triples in (
        {"all": as_triples([(0, 0, 7)])},
        {"all": np.zeros((2, 3))},
        {"valid": as_triples([])},
    ):
        with pytest.raises(DataError):
            RawGraph(entities=["a"], relations=["r"], triples=triples)
