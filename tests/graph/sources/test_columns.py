"""Columns and headers of tables of facts, by names and by values."""

from __future__ import annotations

import itertools
from pathlib import Path

import polars as pl
import pytest

from momok.errors import DataError, FormatError
from momok.graph.sources.columns import find_columns, simplify_name
from momok.graph.sources.fact_tables import read_table
from momok.graph.sources.raw import RawGraph, TableOptions

# A film graph: relations repeat, persons are heads and tails.
FACTS = [
    *((f"film{i}", "country", f"city{i % 4}") for i in range(20)),
    *((f"film{i}", "starring", f"person{(i * j) % 12}") for i in range(20) for j in (1, 5)),
    *((f"person{i}", "born in", f"city{i % 3}") for i in range(12)),
]


def write(path: Path, rows: list[tuple[str, ...]], header: str = "", delimiter: str = ",") -> Path:
    lines = [header] if header else []
    lines += [delimiter.join(row) for row in rows]
    path.write_text("".join(line + "\n" for line in lines), "utf-8")
    return path


def as_facts(raw: RawGraph) -> list[tuple[str, str, str]]:
    (triples,) = raw.triples.values()
    return [(raw.entities[h], raw.relations[r], raw.entities[t]) for h, r, t in triples.tolist()]


@pytest.mark.parametrize(
    ("header", "order"),
    [
        ("Source,Target,Type,Label", "htxr"),
        ("source,head,relation,tail", "xhrt"),
        ("source,from,relation,to", "xhrt"),
        ("target,subject,label,predicate,object", "xhxrt"),
        (":START_ID(Film-ID),since:int,:END_ID(Thing),:TYPE", "hxtr"),
        ("source,metaedge,target", "hrt"),
        ("Subject ID,Predicate,Object ID", "hrt"),
        ("subject_id,subject_name,pred_id,object_name,object_id", "hxrxt"),
        ("?s,?p,?o", "hrt"),
        ("rdf:subject,rdf:predicate,rdf:object", "hrt"),
        ("headId,relationType,tailId,score", "hrtx"),
        ("# FromNodeId,ToNodeId,edge_label", "htr"),
        ("id,node1,label,node2", "xhrt"),
        ("sujet,prédicat,objet", "hrt"),
        ("Kopf,Ende,Beziehung", "htr"),
        ("subject,links to,object", "hrt"),
        ("", "hrt"),
        ("", "htr"),
        ("", "rht"),
    ],
)
def test_columns_wherever_they_stand(header: str, order: str, tmp_path: Path) -> None:
    others = itertools.cycle(["Directed", "other"][:1])
    rows = [
        tuple(next(others) if c == "x" else fact["hrt".index(c)] for c in order) for fact in FACTS
    ]
    assert as_facts(read_table(write(tmp_path / "f.csv", rows, header))) == FACTS


@pytest.mark.parametrize(
    ("first", "is_told"),
    [
        (("source", "starring", "target"), True),
        (("source", "country", "city1"), False),
        (("film1", "label", "object"), True),
        (("subject", "born in", "object"), True),
    ],
)
def test_a_first_fact_may_look_like_a_header(
    first: tuple[str, str, str], is_told: bool, tmp_path: Path
) -> None:
    raw = read_table(write(tmp_path / "f.csv", [first, *FACTS]))
    assert as_facts(raw) == [first, *FACTS]
    assert any("--header --columns 1,2,3" in note for note in raw.notes) == is_told


def test_what_is_told_by_values_says_how_to_undo_it(tmp_path: Path) -> None:
    raw = read_table(write(tmp_path / "f.csv", FACTS, "Kopf,Kante,Ende"))
    assert "if it is a fact: --no-header --columns 1,2,3" in raw.notes[1]
    raw = read_table(write(tmp_path / "f.csv", [(h, t, r) for h, r, t in FACTS]))
    assert "column 3 is taken as the relation, as it has 3 values" in raw.notes[1]
    assert raw.notes[1].endswith("if column 2 is: --columns 1,2,3")
    given = TableOptions(columns=("1", "2", "3"))
    assert read_table(tmp_path / "f.csv", given).relations[0] == "city0"


def test_a_header_may_come_again(tmp_path: Path) -> None:
    text = ("head", "relation", "tail")
    raw = read_table(write(tmp_path / "f.csv", [text, *FACTS[:30], text, *FACTS[30:]]))
    assert as_facts(raw) == FACTS
    assert [(f.kind, f.count, f.examples) for f in raw.findings] == [
        ("repeated-header", 1, ("f.csv:32",))
    ]


@pytest.mark.parametrize(
    ("header", "said"),
    [
        ("subject,predicate,relation,object", "'predicate' and 'relation' fit equally"),
        ("from,source,relation,tail", "'from' and 'source' fit equally"),
        ("source,a,b,target", "no column is called relation.*--columns source,NAME,target, or --r"),
        ("source,target,weight", "no column is called relation.*--columns source,NAME,target, or"),
        ("head,relation,a,b", "no column is called tail.*--columns head,relation,NAME"),
        ("a,b,c,d", "4 columns, and none are called head, relation and tail"),
    ],
)
def test_two_that_fit_equally_are_asked_for(header: str, said: str) -> None:
    names = header.split(",")
    rows = pl.DataFrame([names, ["1"] * len(names)], schema=names, orient="row")
    with pytest.raises(FormatError, match=said):
        find_columns(rows, TableOptions(), "f.csv:1")


def test_an_edge_list_needs_the_name_of_its_relation(tmp_path: Path) -> None:
    pairs = [(h, t) for h, _, t in FACTS]
    expected = [(h, "knows", t) for h, t in pairs]
    path = write(tmp_path / "f.tsv", pairs, delimiter="\t")
    with pytest.raises(FormatError, match="--relation TEXT for pairs of entities"):
        read_table(path)
    knows = TableOptions(relation="knows")
    assert as_facts(read_table(path, knows)) == expected
    path = write(tmp_path / "f.csv", [(*pair, "0.5") for pair in pairs], "source,target,weight")
    assert as_facts(read_table(path, knows)) == expected
    path = write(tmp_path / "f.csv", [("0.5", t, h) for h, t in pairs])
    given = TableOptions(relation="knows", columns=("3", "2"))
    assert as_facts(read_table(path, given)) == expected
    with pytest.raises(DataError, match="--columns 3,2: expected three different columns"):
        read_table(path, TableOptions(columns=("3", "2")))


@pytest.mark.parametrize(
    ("name", "simple"),
    [
        (":START_ID(Film)", "start_id"),
        ("personId:ID(Person)", "id"),
        ("born:int", "born"),
        ("prefLabel", "pref_label"),
        ("skos:prefLabel", "pref_label"),
        ("<http://x.org/ns#subject>", "subject"),
        ("  Entity  Name ", "entity_name"),
        ("?s", "s"),
        ("PRÉDICAT", "prédicat"),
    ],
)
def test_names_are_compared_in_one_form(name: str, simple: str) -> None:
    assert simplify_name(name) == simple
