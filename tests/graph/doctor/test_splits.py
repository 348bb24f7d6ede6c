"""Facts in the wrong place, on a small graph and on the published benchmarks."""

from __future__ import annotations

from dataclasses import replace

import pytest

from momok.graph import Finding, load_graph
from momok.graph.doctor.splits import check_splits
from tests.graph.small_graph import as_triples


def told(graph) -> dict[tuple[str, str], object]:
    return {(a.kind, a.unit): a for a in check_splits(graph)}


def test_a_sound_graph_has_nothing(small):
    assert list(check_splits(small)) == []


def test_overlaps_are_counted_with_their_bound(small):
    broken = replace(small, valid=small.train[:3], test=as_triples([(0, 0, 1), (2, 2, 6)]))
    found = told(broken)
    overlap = found["overlap", "test facts"]
    assert (overlap.count, overlap.total, overlap.impact) == (1, 2, 0.5)
    assert overlap.severity == "error"
    assert "at most 50.00 points" in overlap.effect
    assert overlap.examples == ("France | borders | Spain",)
    messages = [a.message for a in check_splits(broken) if a.kind == "overlap"]
    assert messages == [
        "1 of 2 test facts are also in train",
        "3 of 3 valid facts are also in train",
        "1 of 3 valid facts are also in test",
    ]
    assert "0 validation facts are in no other split" in found["overlap", "valid facts"].effect or (
        "0 are in no other split" in found["overlap", "valid facts"].effect
    )


def test_unseen_entities_and_relations(small):
    train = small.train[(small.train[:, 1] != 1) & (small.train[:, 0] != 3)]
    found = told(replace(small, train=train, test=as_triples([(0, 1, 3), (0, 2, 6)])))
    assert found["unseen-relation", "test facts"].count == 1
    entity = found["unseen-entity", "test facts"]
    assert (entity.count, entity.severity, entity.examples) == (
        1, "warning", ("France | capital | Paris",),
    )  # fmt: skip
    assert "at most 50.00 points" in entity.effect


def test_isolated_entities_and_loops(small):
    train = small.train.copy()
    train[0] = (0, 0, 0)
    without = train[(train[:, 0] != 3) & (train[:, 2] != 3)]
    found = told(replace(small, train=without))
    assert found["isolated-entity", "entities"].examples == ("Paris",)
    assert found["self-loop", "facts"].examples == ("France | borders | France",)


def test_what_reading_found_is_passed_on(small):
    findings = (
        Finding("malformed", 2, "2 lines of train.txt are malformed", ("train.txt:3: 2 labels",)),
        Finding("something-new", 1, "a kind of a later reader"),
        Finding("overlap", 9, "counted from the facts instead"),
        Finding("recorded-split", 1, "says nothing of quality"),
    )
    found = {a.kind: a for a in check_splits(replace(small, findings=findings))}
    assert set(found) == {"malformed", "something-new"}
    assert (found["malformed"].severity, found["malformed"].count) == ("error", 2)
    assert found["malformed"].examples == ("train.txt:3: 2 labels",)
    assert found["something-new"].severity == "note"


# What the published data get wrong: (kind, unit, count), per benchmark.
KNOWN = {
    "MKG-W": [("unseen-entity", "test facts", 306)],
    "MKG-Y": [("unseen-entity", "test facts", 388)],
    "DB15K": [
        ("unseen-entity", "test facts", 77),
        ("duplicate", "lines", 9904 - 7481),
        ("overlap", "valid facts", 6584),
        ("overlap", "valid facts", 824),
    ],
    "KVC16K": [
        ("unseen-entity", "test facts", 13),
        ("duplicate", "lines", 171),
        ("overlap", "test facts", 48),
        ("overlap", "valid facts", 30),
    ],
}


@pytest.mark.parametrize("name", KNOWN)
def test_the_known_faults_of_benchmarks_are_found(benchmarks, name):
    graph = load_graph(benchmarks / name, split="published")
    found = [(a.kind, a.unit, a.count) for a in check_splits(graph)]
    assert set(KNOWN[name]) <= set(found)


def test_only_73_validation_facts_of_db15k_are_usable(benchmarks):
    graph = load_graph(benchmarks / "DB15K", split="published")
    in_train, in_test = (a for a in check_splits(graph) if a.kind == "overlap")
    assert in_train.severity == "error"
    assert "73 validation facts are in no other split" in in_train.effect
    assert "73 are in no other split" in in_test.effect
    assert "data.split=clean" in in_train.remedy


@pytest.mark.parametrize("name", ["DB15K", "KVC16K"])
def test_the_clean_split_has_no_overlap(benchmarks, name):
    graph = load_graph(benchmarks / name)
    assert "overlap" not in {a.kind for a in check_splits(graph)}
