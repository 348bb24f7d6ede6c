"""Weights of facts and texts about them: merged, looked up, written, and kept where facts move."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph import (
    MultimodalGraph,
    Vocabulary,
    load_graph,
    make_clean,
    read_momok_folder,
    write_momok_folder,
)
from momok.graph.catalog import find_writable_folder
from momok.graph.doctor import check_graph
from momok.graph.fact_columns import KEYS, merge_fact_columns
from momok.graph.momok_format import find_changed_files
from momok.studies.plan import Scenario
from momok.studies.scenarios import damage_graph

COLUMNS = (*KEYS, "weight", "year")
ROWS = [
    ("a", "r", "b", 0.1, "1990"),
    ("a", "r", "c", 1 / 3, ""),
    ("b", "r", "c", 1e-300, "2001|2002"),
    ("c", "s", "a", 40.0, "“1999”, or so"),
]


def to_frame(rows: list[tuple[object, ...]], columns: tuple[str, ...] = COLUMNS) -> pl.DataFrame:
    types = {name: pl.Float64 if name == "weight" else pl.String for name in columns}
    return pl.DataFrame(rows, schema=types, orient="row")


def build(columns: pl.DataFrame | None) -> MultimodalGraph:
    """Train: a r b, b r c, c s a, c r a; valid: a r c; test: b s c."""
    return MultimodalGraph(
        name="letters",
        entities=Vocabulary(("c", "a", "b")),
        relations=Vocabulary(("r", "s")),
        train=np.array([[1, 0, 2], [2, 0, 0], [0, 1, 1], [0, 0, 1]]),
        valid=np.array([[1, 0, 0]]),
        test=np.array([[2, 1, 0]]),
        fact_columns=columns,
    )


def weights_of(graph: MultimodalGraph) -> dict[str, list[float]]:
    found = {}
    for split in ("train", "valid", "test"):
        weights = graph.weights(split)
        assert weights is not None
        found[split] = weights.tolist()
    return found


WEIGHTS = {"train": [0.1, 1e-300, 40.0, 1.0], "valid": [1 / 3], "test": [1.0]}


def test_facts_have_their_weights_in_the_order_of_the_split() -> None:
    graph = build(to_frame(ROWS[::-1]))
    assert weights_of(graph) == WEIGHTS
    assert graph.to_frame("train").rows() == [ROWS[0], ROWS[2], ROWS[3], ("c", "r", "a", 1.0, "")]
    assert graph.to_frame("test").rows() == [("b", "s", "c", 1.0, "")]
    texts = build(to_frame(ROWS).drop("weight"))
    assert texts.weights("train") is None
    assert texts.to_frame("valid").columns == ["head", "relation", "tail", "year"]
    assert build(None).weights("train") is None


def test_a_folder_gives_back_what_was_written(tmp_path: Path) -> None:
    foreign = ("a", "r", "a", 2.0, "never")
    write_momok_folder(build(to_frame([*ROWS, foreign])), tmp_path / "graph")
    graph = read_momok_folder(tmp_path / "graph")
    assert graph.fact_columns is not None
    assert graph.fact_columns.rows() == ROWS  # to the bit, and of its own facts alone
    assert not graph.findings or {f.kind for f in graph.findings} == {"recorded-split"}
    assert graph.fingerprint() == build(to_frame(ROWS)).fingerprint()
    write_momok_folder(build(None), tmp_path / "plain")
    assert not (tmp_path / "plain" / "facts.tsv").exists()


def test_weights_are_of_the_fingerprint_and_texts_are_not() -> None:
    plain, weighted = build(None), build(to_frame(ROWS))
    assert weighted.fingerprint() != plain.fingerprint()
    assert build(to_frame(ROWS).drop("weight")).fingerprint() == plain.fingerprint()
    assert build(to_frame(ROWS).drop("year")).fingerprint() == weighted.fingerprint()
    held_out = to_frame(
        [(*row[:3], 7.0, "") if row[2] == "c" and row[0] == "a" else row for row in ROWS]
    )
    assert build(held_out).fingerprint() == weighted.fingerprint()  # valid counts as it did


def test_a_changed_table_of_facts_is_noticed(tmp_path: Path) -> None:
    write_momok_folder(build(to_frame(ROWS)), tmp_path / "graph")
    table = tmp_path / "graph" / "facts.tsv"
    table.write_text(table.read_text().replace("40.0", "4") + "a\tr\tx\t1\t\n")
    assert find_changed_files(tmp_path / "graph") == ["facts.tsv"]
    graph = load_graph(tmp_path / "graph")
    assert weights_of(graph)["train"] == [0.1, 1e-300, 4.0, 1.0]
    (unknown,) = (f for f in graph.findings if f.kind == "unknown-fact")
    assert (unknown.count, unknown.examples) == (1, ("a | r | x",))
    problems = {
        problem.kind: problem.severity for problem in check_graph(tmp_path / "graph").problems
    }
    assert problems["unknown-fact"] == problems["changed"] == "warning"


@pytest.mark.parametrize("weight", ["0", "-1", "nan", "inf", "", "much"])
def test_a_weight_that_is_none_is_placed(weight: str, tmp_path: Path) -> None:
    write_momok_folder(build(to_frame(ROWS)), tmp_path / "graph")
    table = tmp_path / "graph" / "facts.tsv"
    table.write_text(table.read_text().replace("40.0", weight))
    with pytest.raises(FormatError, match=r"facts\.tsv:5: the weight is .*a finite number above 0"):
        load_graph(tmp_path / "graph")


def test_a_frame_that_does_not_fit_is_refused() -> None:
    twice = build(to_frame([*ROWS, ROWS[0]]))
    with pytest.raises(DataError, match="a fact is there twice"):
        twice.weights("train")
    for odd, message in (
        (to_frame([(*ROWS[0][:3], 0.0, "")]), "finite numbers above 0"),
        (to_frame(ROWS).drop("tail"), "expected texts in head, relation and tail"),
        (to_frame(ROWS).with_columns(year=pl.lit(1990)), "expected texts in head"),
        (to_frame(ROWS).select(KEYS), "expected texts in head"),
    ):
        with pytest.raises(DataError, match=message):
            build(odd)


def test_columns_stay_where_facts_change_places() -> None:
    graph = build(to_frame(ROWS))
    moved = replace(graph, train=np.concatenate([graph.train, graph.test, graph.valid]))
    clean = make_clean(moved)  # a r c and b s c leave train, another comes to valid
    assert clean.split_notes
    for split in ("train", "valid", "test"):
        expected = {row[:3]: row[3:] for row in ROWS}
        for row in clean.to_frame(split).rows():
            assert row[3:] == expected.get(row[:3], (1.0, ""))
    fewer = damage_graph(graph, Scenario(kind="sparse"), 0.5, 3)
    assert len(fewer.train) == 2
    assert fewer.to_frame("train").rows() == [
        row for row in graph.to_frame("train").rows() if row in fewer.to_frame("train").rows()
    ]


def test_a_withheld_fact_keeps_its_columns(tmp_path: Path) -> None:
    graph = build(to_frame(ROWS))
    graph = replace(graph, train=graph.train[1:], withheld=graph.train[:1])
    write_momok_folder(graph, tmp_path / "graph")
    again = read_momok_folder(tmp_path / "graph")
    assert again.fact_columns is not None
    assert again.fact_columns.rows() == ROWS


def test_a_copy_to_encode_into_has_them(tmp_path: Path) -> None:
    write_momok_folder(build(to_frame(ROWS)), tmp_path / "graph")
    copy = find_writable_folder(str(tmp_path / "graph"), tmp_path / "copy")
    assert weights_of(load_graph(copy)) == WEIGHTS


facts = st.tuples(st.sampled_from("ab"), st.just("r"), st.sampled_from("ab"))
weighted = st.lists(st.tuples(facts, st.floats(0.1, 9), st.sampled_from(["", "x", "y"])))
texts_alone = st.lists(st.tuples(facts, st.sampled_from(["x", "z"])))


@settings(deadline=None)
@given(first=weighted, second=texts_alone)
def test_of_a_fact_that_is_there_twice_the_largest_weight_counts(first, second) -> None:
    merged = merge_fact_columns(
        [
            to_frame([(*fact, weight, text) for fact, weight, text in first]),
            None,
            to_frame([(*fact, text) for fact, text in second], (*KEYS, "year")),
        ]
    )
    if not first and not second:
        assert merged is None
        return
    assert merged is not None
    found = {row[:3]: dict(zip(merged.columns[3:], row[3:], strict=True)) for row in merged.rows()}
    assert len(found) == len(merged)
    assert set(found) == {fact for fact, *_ in (*first, *second)}
    for fact, columns in found.items():
        weights = [weight for own, weight, _ in first if own == fact]
        texts = [text for own, *_, text in (*first, *second) if own == fact and text]
        assert columns["year"] == "|".join(dict.fromkeys(texts))
        assert columns.get("weight", 1.0) == max(weights, default=1.0)
