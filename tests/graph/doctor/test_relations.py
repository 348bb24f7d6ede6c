"""Relations that a source read wrongly has."""

from __future__ import annotations

from dataclasses import replace

import pytest

from momok.graph import MultimodalGraph, Vocabulary
from momok.graph.doctor.relations import check_relations
from tests.graph.small_graph import as_triples


def make(small: MultimodalGraph, facts: list[tuple[str, str, str]]) -> MultimodalGraph:
    """A graph with these train facts, and the first two in the other splits."""
    entities = tuple(dict.fromkeys(x for h, _, t in facts for x in (h, t)))
    relations = tuple(dict.fromkeys(r for _, r, _ in facts))
    ids = [(entities.index(h), relations.index(r), entities.index(t)) for h, r, t in facts]
    return replace(
        small,
        entities=Vocabulary(entities),
        relations=Vocabulary(relations),
        train=as_triples(ids),
        valid=as_triples(ids[:1]),
        test=as_triples(ids[1:2]),
        entity_names=(),
        relation_names=(),
        entity_types=(),
        descriptions=(),
        pictures={},
        features={},
    )


RING = [(f"f{i}", "next", f"f{(i + 1) % 12}") for i in range(12)]


@pytest.mark.parametrize(
    ("more", "expected"),
    [
        ([], {}),
        ([(f"f{i}", "year", str(1990 + i % 9)) for i in range(12)], {"literal-tails": 12}),
        ([(f"f{i}", "born", f"1990-01-0{i}") for i in range(9)], {"literal-tails": 9}),
        (
            [(f"f{i}", "plot", f"In a long text {i} much is said") for i in range(12)],
            {"literal-tails": 12},
        ),
        ([(f"f{i}", "site", f"http://x{i}.org") for i in range(12)], {"lone-tails": 12}),
        ([(f"f{i}", f"f{i + 1}", "next") for i in range(9)], {"unrepeated-relations": 9}),
        ([("source", "metaedge", "target")], {"header-fact": 1}),
        ([(str(i), "likes", str(100 + i % 5)) for i in range(12)], {}),
    ],
)
def test_what_looks_wrong_is_named(
    more: list[tuple[str, str, str]], expected: dict[str, int], small: MultimodalGraph
) -> None:
    problems = list(check_relations(make(small, [*RING, *more])))
    assert {problem.kind: problem.count for problem in problems} == expected
