"""Labels that mean the same under a normal form, and relations that a source read wrongly has."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph import MultimodalGraph, Vocabulary
from momok.graph.doctor.labels import check_labels, check_relations, group_collisions
from tests.graph.small_graph import as_triples

TEXTS = st.text(st.characters(categories=("L", "N")), min_size=1, max_size=8)


@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("http://x/Caf%C3%A9", "http://x/Café", "escaped"),
        ("Café", "Cafe\u0301", "unicode"),
        ("http://x/Caf%C3%A9", "http://x/Cafe\u0301", "unicode"),
        ("Mount_Rushmore", "Mount Rushmore", "lookalike"),
        ("http://dbpedia.org/x", "https://www.dbpedia.org/x/", "lookalike"),
        ("zero\u200bwidth", "zerowidth", "lookalike"),
        ("\uff21\uff22\uff23", "ABC", "lookalike"),
        ("ﬁnal", "final", "lookalike"),
        ("Paris", "PARIS", "case"),
        ("Straße", "STRASSE", "case"),
    ],
)
def test_collisions_are_named_by_the_first_form_that_shows_them(first, second, kind):
    assert group_collisions(["other", first, second]) == {kind: [(1, 2)]}


def test_a_group_that_grows_is_told_again_at_the_wider_form():
    groups = group_collisions(["a%20b", "a b", "A b", "c"])
    assert groups == {"escaped": [(0, 1)], "case": [(0, 1, 2)]}


def test_different_labels_do_not_collide():
    assert group_collisions(["Paris", "Paris (Texas)", "100%", "50%", "約瑟夫", "约瑟夫"]) == {}


@given(TEXTS)
def test_any_text_collides_with_its_own_forms(text):
    for other in (quote(text), unicodedata.normalize("NFD", text), f"{text}_"):
        if other != text:
            groups = next(iter(group_collisions([text, other]).values()))
            assert groups == [(0, 1)]


@given(st.lists(st.text(max_size=6), unique=True, max_size=12))
def test_any_labels_are_examined_and_groups_partition(labels):
    for groups in group_collisions(labels).values():
        members = [i for ids in groups for i in ids]
        assert len(set(members)) == len(members)
        assert all(len(ids) > 1 for ids in groups)


def test_findings(small):
    labels = ("France", "france", "Germany", "Par\u200bis", "Madrid", "Ber\x1blin", "Europe")
    names = ("F", "f", "Germany", "P", "M", "B", "E")
    graph = replace(
        small,
        entities=Vocabulary(labels),
        relations=Vocabulary(("part of", "part_of", "x")),
        entity_names=names,
        relation_names=(),
    )
    stages = []
    found = {
        (a.kind, a.unit): a
        for a in check_labels(graph, lambda what, done, total: stages.append((what, done, total)))
    }
    assert set(found) == {
        ("case-collision", "entities"),
        ("invisible-characters", "entities"),
        ("lookalike-collision", "relations"),
        ("shared-name", "entities"),
    }
    assert found["case-collision", "entities"].examples == ("France = france",)
    assert found["invisible-characters", "entities"].count == 2
    assert found["lookalike-collision", "relations"].severity == "warning"
    assert found["shared-name", "entities"].examples == ("f (2 entities)",)
    assert stages[-1] == ("checking labels", 3, 3)


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
