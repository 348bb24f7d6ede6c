"""Accepted facts as files, and a graph built with them."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

import momok
from momok.cli import main
from momok.serving.service import to_ntriples, to_tsv

ACCEPTED = [
    ("http://example.org/France", "http://example.org/borders", "http://example.org/Spain"),
    ("France", "lies in", '<b>日本 & "quotes"</b>'),
    ("http://example.org/a b", "urn:x", "x\ty\nz"),
]

labels = st.text(min_size=1).filter(lambda text: "\0" not in text and text.isprintable())


def test_ntriples_are_read_by_another_program() -> None:
    pyoxigraph = pytest.importorskip("pyoxigraph", reason="pyoxigraph is not installed")
    text = "".join(to_ntriples(ACCEPTED))
    form = pyoxigraph.RdfFormat.N_TRIPLES
    read = list(pyoxigraph.parse(text.encode(), format=form))
    assert len(read) == 3
    assert read[0].subject.value == "http://example.org/France"
    assert read[1].predicate.value == "urn:momok:relation/lies%20in"
    assert read[2].subject.value == "urn:momok:entity/http%3A%2F%2Fexample.org%2Fa%20b"


@given(facts=st.lists(st.tuples(labels, labels, labels), max_size=5))
def test_every_fact_is_one_line_and_different_facts_are_different(
    facts: list[tuple[str, str, str]],
) -> None:
    triples, rows = list(to_ntriples(facts)), list(to_tsv(facts))
    assert all(line.count("\n") == 1 and line.endswith(" .\n") for line in triples)
    assert all(row.count("\t") == 2 and row.count("\n") == 1 for row in rows)
    assert len(set(triples)) == len(set(facts))


def test_a_graph_is_built_with_the_accepted_facts(tmp_path: Path) -> None:
    accepted = tmp_path / "accepted.tsv"
    accepted.write_bytes("".join(to_tsv([("country:FR", "borders", "country:JP")])).encode())
    out = tmp_path / "graph"
    arguments = ["data", "build", "world", "--with-reviews", str(accepted), "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    graph = momok.load_graph(out)
    ids = graph.entities.index, graph.relations.index
    fact = [ids[0]("country:FR"), ids[1]("borders"), ids[0]("country:JP")]
    assert fact in graph.train.tolist()
    assert len(graph.train) == len(momok.load_graph("world").train) + 1
