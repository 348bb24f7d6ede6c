"""Labels that mean the same under a normal form."""

from __future__ import annotations

import unicodedata
from dataclasses import replace
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph import Vocabulary
from momok.graph.doctor.labels import check_labels, group_collisions

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
