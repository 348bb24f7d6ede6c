"""Decided facts in a graph: accepted ones in train, rejected ones apart and in no split."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from momok.graph import MultimodalGraph, load_graph, write_momok_folder
from momok.graph.momok_format import find_changed_files
from momok.graph.names import Vocabulary
from momok.graph.reviewed import ReviewedFacts, apply_reviews
from tests.graph.small_graph import ENTITIES, RELATIONS, TEST, TRAIN, VALID, as_triples


def make_graph() -> MultimodalGraph:
    return MultimodalGraph(
        name="small",
        entities=Vocabulary(ENTITIES),
        relations=Vocabulary(RELATIONS),
        train=as_triples(TRAIN),
        valid=as_triples(VALID),
        test=as_triples(TEST),
    )


def label(fact: tuple[int, int, int]) -> tuple[str, str, str]:
    return ENTITIES[fact[0]], RELATIONS[fact[1]], ENTITIES[fact[2]]


def test_decided_facts_go_where_they_belong() -> None:
    graph = make_graph()
    known = {tuple(fact) for fact in graph.fact_index.facts.tolist()}
    new = [(h, 0, t) for h in range(len(ENTITIES)) for t in range(len(ENTITIES))]
    first, second, third = [fact for fact in new if fact not in known][:3]
    reviewed = ReviewedFacts(
        accepted=[label(first), label(TRAIN[0]), ("nobody", RELATIONS[0], ENTITIES[0])],
        rejected=[label(second), label(second), label(TRAIN[1]), label(TEST[0])],
    )
    result = apply_reviews(graph, reviewed)
    assert result.train.tolist() == [*map(list, [TRAIN[0], *TRAIN[2:], first])]
    assert result.rejected.tolist() == [list(second), list(TRAIN[1])]
    assert (result.valid.tolist(), result.test.tolist()) == (
        graph.valid.tolist(),
        graph.test.tolist(),
    )
    assert result.split_notes[-1] == (
        "1 reviewed facts added to train (1 were known already); 2 rejected ones are negatives, 1 "
        "of them left train (1 others are held out and stay)"
    )
    assert result.findings[-1].count == 1
    # minds change: what was rejected is accepted, what was accepted is rejected
    changed = ReviewedFacts(accepted=[label(second)], rejected=[label(first), label(third)])
    later = apply_reviews(result, changed)
    assert list(second) in later.train.tolist()
    assert list(first) not in later.train.tolist()
    assert later.rejected.tolist() == [list(TRAIN[1]), list(first), list(third)]


def test_an_accepted_fact_that_tells_a_held_out_one_is_reported() -> None:
    graph = make_graph()
    head, relation, tail = label(TEST[0])
    found = apply_reviews(graph, ReviewedFacts(accepted=[(tail, relation, head)])).findings
    assert [(finding.kind, finding.count) for finding in found] == [("inverse-leak", 1)]


def test_withheld_facts_stay_where_they_are() -> None:
    graph = replace(make_graph(), withheld=as_triples([TRAIN[1]]), train=as_triples(TRAIN[2:]))
    reviewed = ReviewedFacts(accepted=[label(TRAIN[1])], rejected=[label(TRAIN[1])])
    result = apply_reviews(graph, reviewed)
    assert result.train.tolist() == graph.train.tolist()
    assert not len(result.rejected)


def test_a_file_that_is_put_in_later_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "graph"
    write_momok_folder(make_graph(), folder)
    train = (folder / "train.tsv").read_bytes()
    (folder / "rejected.tsv").write_bytes(train)
    assert find_changed_files(folder) == ["rejected.tsv"]
    read = load_graph(folder, split="published")
    assert not len(read.rejected)  # true facts are no negatives
    found = {finding.kind: finding.count for finding in read.findings}
    assert found["overlap"] == len(TRAIN)


def test_without_decisions_nothing_changes() -> None:
    graph = make_graph()
    assert apply_reviews(graph, ReviewedFacts()) is graph


def test_rejected_facts_are_kept_with_the_graph_and_its_fingerprint(tmp_path: Path) -> None:
    graph = make_graph()
    reviewed = ReviewedFacts(rejected=[label(TRAIN[1])])
    result = apply_reviews(graph, reviewed)
    write_momok_folder(result, tmp_path / "graph")
    read = load_graph(tmp_path / "graph", split="published")
    assert np.array_equal(read.rejected, result.rejected)
    assert read.fingerprint() == result.fingerprint() != graph.fingerprint()
    rejected = tmp_path / "graph" / "rejected.tsv"
    rejected.write_text("\t".join(label(TRAIN[2])) + "\n")
    assert find_changed_files(tmp_path / "graph") == ["rejected.tsv"]
