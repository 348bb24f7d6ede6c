"""The four published benchmarks: the counts of their faults, and values that must not move."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pytest

from momok.graph import MultimodalGraph, load_graph
from momok.graph.triples import encode_triples, is_member, mark_unseen


@dataclass(frozen=True)
class Expected:
    """Sizes of the distinct facts as published and clean; faults as (kind, file) to count."""

    entities: int
    relations: int
    published: tuple[int, int, int]
    clean: tuple[int, int, int]
    unseen_test: int
    faults: dict[str, list[int]]


EXPECTED = {
    "MKG-W": Expected(15000, 169, (34196, 4276, 4274), (34196, 4276, 4274), 306, {}),
    "MKG-Y": Expected(15000, 28, (21310, 2665, 2663), (21310, 2665, 2663), 388, {}),
    "DB15K": Expected(
        12842,
        279,
        (79222, 7481, 9902),
        (79222 - 7408, 7481, 9902),
        77,
        {"duplicate": [9904 - 7481], "overlap": [6584, 824]},
    ),
    "KVC16K": Expected(
        16015,
        4,
        (180190 - 171, 22520, 22523),
        (180190 - 171 - 48 - 35, 22520, 22523),
        13,
        {"duplicate": [171, 3, 2], "overlap": [30, 48, 5]},
    ),
}
CLEAN_PRINTS = {
    "MKG-W": "f6ca16f8c2ace1b2",
    "MKG-Y": "d74554e8de41ee3e",
    "DB15K": "484111fd565e5b8c",
    "KVC16K": "7516be34c3a0437f",
}


def sizes(graph: MultimodalGraph) -> tuple[int, int, int]:
    return len(graph.train), len(graph.valid), len(graph.test)


def keys(graph: MultimodalGraph, split) -> np.ndarray:
    return encode_triples(graph.facts(split), graph.num_entities, graph.num_relations)


@pytest.mark.parametrize("name", EXPECTED)
def test_published_counts(benchmarks, name):
    graph, expected = load_graph(benchmarks / name, split="published", strict=True), EXPECTED[name]
    assert (graph.num_entities, graph.num_relations) == (expected.entities, expected.relations)
    assert sizes(graph) == expected.published
    assert (graph.split, graph.split_notes) == ("published", ())
    unseen = mark_unseen(graph.train, graph.test, graph.num_entities)
    assert unseen.sum() == expected.unseen_test
    counts: dict[str, list[int]] = {}
    for finding in graph.findings:
        counts.setdefault(finding.kind, []).append(finding.count)
    assert counts.pop("unseen-entity")[-1] == expected.unseen_test
    assert counts == expected.faults


@pytest.mark.parametrize("name", EXPECTED)
def test_clean_split(benchmarks, name):
    published = load_graph(benchmarks / name, split="published")
    clean = load_graph(benchmarks / name)
    assert sizes(clean) == EXPECTED[name].clean
    assert (clean.test == published.test).all()
    train, valid, test = (keys(clean, split) for split in ("train", "valid", "test"))
    for first, second in ((train, valid), (train, test), (valid, test)):
        assert not is_member(first, second).any()
    assert is_member(train, keys(published, "train")).all()
    for column in (slice(0, 3, 2), 1):
        shown = np.unique(clean.train[:, column])
        assert (shown == np.unique(published.train[:, column])).all()
    assert clean.fingerprint().startswith(CLEAN_PRINTS[name])


@pytest.mark.parametrize("name", ["MKG-W", "MKG-Y"])
def test_sound_benchmarks_are_left_alone(benchmarks, name):
    published = load_graph(benchmarks / name, split="published")
    clean = load_graph(benchmarks / name)
    assert clean.fingerprint() == published.fingerprint()
    assert clean.split_notes == (
        "no fact is in two splits: train, valid and test are as published",
    )


def test_notes_of_db15k(benchmarks):
    assert load_graph(benchmarks / "DB15K").split_notes == (
        "7,408 of 7,481 validation facts dropped (6,584 in train, 824 in test), 7,408 moved from "
        "train to validation instead (seed 0; every entity and relation keeps a train fact)",
        "now 71,814 train, 7,481 validation, 9,902 test facts",
    )


def test_notes_of_kvc16k(benchmarks):
    assert load_graph(benchmarks / "KVC16K").split_notes == (
        "48 train facts that are in test taken out of train",
        "35 of 22,520 validation facts dropped (30 in train, 5 in test), 35 moved from train to "
        "validation instead (seed 0; every entity and relation keeps a train fact)",
        "now 179,936 train, 22,520 validation, 22,523 test facts",
    )


def test_first_facts_and_names(benchmarks):
    graph = load_graph(benchmarks / "MKG-W", split="published")
    head, relation, tail = graph.train[0]
    assert graph.entities.labels[head] == "http://www.wikidata.org/entity/Q370252"
    assert graph.relations.labels[relation] == "http://www.wikidata.org/entity/P161"
    assert graph.entity_names[head] == "My Darling Clementine"
    assert graph.entity_names[tail] == "Linda Darnell"
    graph = load_graph(benchmarks / "DB15K", split="published")
    head, relation, tail = graph.train[0]
    assert graph.entities.labels[head] == "http://dbpedia.org/resource/The_Longest_Yard_(2005_film)"
    assert graph.entity_names[head] == "The Longest Yard (2005 film)"
    assert (graph.relation_names[relation], graph.entity_names[tail]) == ("editing", "Dean Semler")
    graph = load_graph(benchmarks / "MKG-Y", split="published")
    assert graph.entity_names[3] == "FC Jūrmala"
    graph = load_graph(benchmarks / "KVC16K", split="published")
    assert graph.entity_names[2] == graph.entities.labels[2] == "约瑟夫·维萨里奥诺维奇·斯大林"


def test_the_variable_finds_them(benchmarks, monkeypatch):
    monkeypatch.setenv("MOMOK_DATA", str(benchmarks))
    assert load_graph("mkg-y").num_entities == 15000
