"""Search by name, against a plain scan of all names."""

from __future__ import annotations

import unicodedata

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph import MultimodalGraph, Vocabulary
from momok.serving.entity_search import EntitySearch, fold


def make_graph(names: list[str], degrees: list[int] | None = None) -> MultimodalGraph:
    """A graph with these names; facts give entities their degrees."""
    labels = tuple(f"label:{i}" for i in range(len(names)))
    facts = [(i, r, i) for i, n in enumerate(degrees or [1] * len(names)) for r in range(n)]
    train = np.array(facts, dtype=np.int64).reshape(-1, 3)
    return MultimodalGraph(
        name="names",
        entities=Vocabulary(labels),
        relations=Vocabulary(tuple("abcdefghij")),
        train=train,
        valid=train[:0],
        test=train[:0],
        entity_names=tuple(names),
    )


def search(names: list[str], text: str, limit: int = 10) -> list[str]:
    return [names[hit.entity] for hit in EntitySearch(make_graph(names)).search(text, limit)]


def test_beginnings_come_before_later_words_and_those_before_insides() -> None:
    names = ["unfair air", "Bel Air", "Airbus", "air"]
    assert search(names, "air") == ["air", "Airbus", "unfair air", "Bel Air"]


def test_well_known_entities_come_first() -> None:
    names = ["Paris, Texas", "Paris, Ontario", "Paris"]
    found = EntitySearch(make_graph(names, [2, 9, 4])).search("paris", 3)
    assert [hit.entity for hit in found] == [2, 1, 0]  # the exact name, then by degree
    assert found[0].exact


@pytest.mark.parametrize(
    ("name", "typed"),
    [
        ("Sara Däbritz", "dabritz"),
        ("Sara Däbritz", "SARA  DÄBRITZ"),
        ("日本国", "本"),
        ("Россия", "росс"),
        ("مصر", "مصر"),
        ("ﬁnland", "FIN"),
        ("İstanbul", "istanbul"),
        ("Straße", "STRASSE"),
        ("𝔐omok", "momok"),
        ("e\u0301cole", "école"),
        ("हिन्दी", "हिन्दी"),
    ],
)
def test_any_script_and_case_is_found(name: str, typed: str) -> None:
    assert search(["something", name, "else"], typed) == [name]


@pytest.mark.parametrize(
    "typed", ["Germny", "Gremany", "germani", "Zinedin Zidan", "zidane zinedine"]
)
def test_mistakes_are_forgiven(typed: str) -> None:
    names = ["Germany", "Zinedine Zidane", "Zambia", "Great Britain", "Sudan"]
    assert search(names, typed)[0] == ("Germany" if typed[0] in "Gg" else "Zinedine Zidane")
    graph = make_graph(names)
    assert EntitySearch(graph).search(typed)[0].near


def test_what_nothing_is_like_finds_nothing() -> None:
    assert search(["Germany", "Spain"], "qqqqwwww") == []
    assert search(["Germany", "Spain"], "   ") == []
    assert search(["Germany", "Spain"], "\n") == []


def test_labels_and_further_names_are_searched_too() -> None:
    graph = make_graph(["Japan", "Spain"])
    further = {"native_name": ("日本", "España"), "population": ("125", "47")}
    index = EntitySearch(
        MultimodalGraph(
            name="g",
            entities=graph.entities,
            relations=graph.relations,
            train=graph.train,
            valid=graph.valid,
            test=graph.test,
            entity_names=graph.entity_names,
            attributes=further,
        )
    )
    assert [(h.entity, h.text) for h in index.search("españa")] == [(1, "España")]
    assert [h.entity for h in index.search("label:0")] == [0]
    assert not any(hit.text == "125" for hit in index.search("125"))


letters = st.text(alphabet="ab é本\n", min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(names=st.lists(letters, min_size=1, max_size=12), typed=letters)
def test_parts_of_names_are_found_exactly_where_a_scan_finds_them(
    names: list[str], typed: str
) -> None:
    def plain(text: str) -> str:
        kept = unicodedata.normalize("NFKD", text.casefold())
        return " ".join("".join(c for c in kept if not unicodedata.combining(c)).split())

    found = [h.entity for h in EntitySearch(make_graph(names)).search(typed, 50) if not h.near]
    wanted = {i for i, name in enumerate(names) if plain(typed) and plain(typed) in plain(name)}
    wanted |= {i for i in range(len(names)) if plain(typed) and plain(typed) in f"label:{i}"}
    assert set(found) == wanted
    assert len(found) == len(wanted)


@given(st.text())
def test_folding_twice_is_folding_once(text: str) -> None:
    assert "\n" not in fold(text)
    assert fold(fold(text)) == fold(text)
