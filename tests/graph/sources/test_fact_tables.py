"""Facts from text tables and Parquet: what the csv module writes is read, faults are placed."""

from __future__ import annotations

import bz2
import csv
import gzip
import io
import re
import zipfile
from pathlib import Path

import polars as pl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph.sources.fact_tables import read_table
from momok.graph.sources.raw import RawGraph, TableOptions


def list_facts(raw: RawGraph) -> list[tuple[str, str, str]]:
    """The facts as labels, in order."""
    (triples,) = raw.triples.values()
    return [(raw.entities[h], raw.relations[r], raw.entities[t]) for h, r, t in triples.tolist()]


def read(path: Path, content: str | bytes, **options: object) -> RawGraph:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return read_table(path, TableOptions(**options))  # type: ignore[arg-type]


def tidy(label: str) -> str:
    """What is left of a label: blanks around it and line breaks are no part of it."""
    return re.sub(r"[ \t\r\n]+", " ", label).strip(" ")


ANY = st.text(st.characters(exclude_characters="\0\ufeff", exclude_categories=["Cs"]), max_size=6)
NASTY = st.text(st.sampled_from('a"\n,;\t \r'), max_size=5)
LABEL = ANY | NASTY


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(st.tuples(LABEL, LABEL, LABEL), min_size=1, max_size=6),
    delimiter=st.sampled_from([",", ";", "\t", "|"]),
    ending=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
)
def test_what_csv_writes_is_read(rows, delimiter, ending, quoting, tmp_path_factory) -> None:
    expected = [tuple(map(tidy, row)) for row in rows]
    expected = [row for row in expected if all(row)]
    assume(expected)
    text = io.StringIO()
    csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting).writerows(rows)
    path = tmp_path_factory.mktemp("table") / "facts.csv"
    raw = read(path, text.getvalue(), delimiter=delimiter, header=False, quotes=True)
    assert [tuple(map(tidy, fact)) for fact in list_facts(raw)] == expected
    assert len(set(raw.entities)) == len(raw.entities)
    dropped = [f.count for f in raw.findings if f.kind in ("blank-label", "malformed")]
    blank_lines = sum(not any(field.strip(" \t\r\n") for field in row) for row in rows)
    assert sum(dropped) <= len(rows) - len(expected) <= sum(dropped) + blank_lines


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60) | st.text('a"\n,\t| .', max_size=40).map(str.encode))
def test_any_bytes_give_facts_or_one_line(content, tmp_path_factory) -> None:
    path = tmp_path_factory.mktemp("table") / "facts.csv"
    said, facts = "", []
    try:
        facts = list_facts(read(path, content))
    except (FormatError, DataError) as error:
        said = str(error)
    assert all(all(fact) for fact in facts)
    assert bool(facts) != (said.startswith(str(path)) and "\n" not in said)


@pytest.mark.parametrize(
    ("text", "facts"),
    [
        ("a\tr\tb\n", [("a", "r", "b")]),
        ("a,r,b", [("a", "r", "b")]),
        ("a;r;b\n\n\n", [("a", "r", "b")]),
        ("a|r|b\r\n", [("a", "r", "b")]),
        ("a r b .\nc  r\td\n", [("a", "r", "b"), ("c", "r", "d")]),
        ("\ufeffa,r,b\n", [("a", "r", "b")]),
        ("\ufeffhead,relation,tail\na,r,b\n", [("a", "r", "b")]),
        ("Subject;Predicate;Object\na;r;b\n", [("a", "r", "b")]),
        ("source,target,type,weight\na,b,r,1\n", [("a", "r", "b")]),
        (":START_ID,:TYPE,:END_ID\na,r,b\n", [("a", "r", "b")]),
        ('a,r,"b, c"\n', [("a", "r", "b, c")]),
        ('a,r,"b ""c"""\n', [("a", "r", 'b "c"')]),
        ('a,r,"b\nc"\nd,r,e\n', [("a", "r", "b c"), ("d", "r", "e")]),
        (
            'a\tplays\t12" single\nb\tplays\tc\n',
            [("a", "plays", '12" single'), ("b", "plays", "c")],
        ),
        ('"Weird Al" Yankovic\tsings\tb\n', [('"Weird Al" Yankovic', "sings", "b")]),
        ('"a"\tr\t"b"\n', [("a", "r", "b")]),
        ('a,r,12" single\nb,r,c\n', [("a", "r", '12" single'), ("b", "r", "c")]),
    ],
)
def test_dialects_are_found(text: str, facts: list[tuple[str, str, str]], tmp_path: Path) -> None:
    assert list_facts(read(tmp_path / "facts.txt", text)) == facts


def test_columns_by_name_and_position(tmp_path: Path) -> None:
    text = "id,what,who,whom\n1,likes,Ann,Bob\n"
    expected = [("Ann", "likes", "Bob")]
    for columns in (("who", "what", "whom"), ("3", "2", "4")):
        raw = read(tmp_path / "facts.csv", text, columns=columns, header=True)
        assert list_facts(raw) == expected
    raw = read(tmp_path / "facts.csv", "1,likes,Ann,Bob\n", columns=("3", "2", "4"))
    assert list_facts(raw) == expected
    assert "columns not used: 1" in raw.notes[0]


def test_a_header_that_is_a_fact_is_told(tmp_path: Path) -> None:
    raw = read(tmp_path / "facts.csv", "who,what,whom\nAnn,likes,Bob\n")
    assert list_facts(raw)[0] == ("who", "what", "whom")
    assert "--header" in raw.notes[1]
    raw = read(tmp_path / "facts.csv", "who,what,whom\nAnn,likes,Bob\n", header=True)
    assert list_facts(raw) == [("Ann", "likes", "Bob")]
    raw = read(tmp_path / "facts.csv", "head,relation,tail\n", header=False)
    assert list_facts(raw) == [("head", "relation", "tail")]


def test_unusable_lines_are_counted_and_placed(tmp_path: Path) -> None:
    text = "a,r,b\nonly two,columns\n,r,b\na,r,b,c\n c ,r,d\ne,r,\n" + "x,r,y\n" * 4
    raw = read(tmp_path / "facts.csv", text)
    assert list_facts(raw) == [("a", "r", "b"), ("c", "r", "d")] + [("x", "r", "y")] * 4
    found = {f.kind: (f.count, f.examples) for f in raw.findings}
    assert found["malformed"][0] == 2
    assert found["malformed"][1][0].startswith("facts.csv:2: expected 3 columns, found 2")
    assert found["malformed"][1][1].startswith("facts.csv:4: expected 3 columns, found more")
    assert found["blank-label"] == (
        2,
        ("facts.csv:3: the head is blank", "facts.csv:6: the tail is blank"),
    )
    assert found["blanks"] == (1, ("facts.csv:5",))


def test_lines_keep_their_numbers_behind_records_of_several_lines(tmp_path: Path) -> None:
    text = 'a,r,"b\n\nc"\n\n"d",r,e\n"f" g,r,h\ni,,j\n' + "x,r,y\n" * 3
    raw = read(tmp_path / "facts.csv", text)
    examples = [example for finding in raw.findings for example in finding.examples]
    assert "facts.csv:6: expected 3 columns, found a quote in the middle of a field" in examples
    assert "facts.csv:7: the relation is blank" in examples


def test_strict_stops_at_the_first(tmp_path: Path) -> None:
    text = "a,r,b\na,r\n,r,b\n" + "x,r,y\n" * 3
    with pytest.raises(FormatError, match=r"facts.csv:2: "):
        read(tmp_path / "facts.csv", text, strict=True)
    with pytest.raises(FormatError, match=r"facts.csv:2: the head is blank"):
        read(tmp_path / "facts.csv", "a,r,b\n,r,b\n", strict=True)


def test_labels_are_numbered_in_order_of_appearance(tmp_path: Path) -> None:
    raw = read(tmp_path / "facts.tsv", "b\tr\ta\na\ts\tb\nb\tr\tc\n")
    assert raw.entities == ["b", "a", "c"]
    assert raw.relations == ["r", "s"]
    assert raw.triples["all"].tolist() == [[0, 0, 1], [1, 1, 0], [0, 0, 2]]


@pytest.mark.parametrize("name", ["facts.tsv.gz", "facts.tsv.bz2", "facts.zip"])
def test_packed_tables(name: str, tmp_path: Path) -> None:
    content = b"a\tr\tb\n"
    path = tmp_path / name
    if name.endswith("zip"):
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("facts.tsv", content)
        packed = path.read_bytes()
    else:
        packed = (gzip if name.endswith("gz") else bz2).compress(content)
    assert list_facts(read(path, packed)) == [("a", "r", "b")]


def test_parquet(tmp_path: Path) -> None:
    path = tmp_path / "facts.parquet"
    frame = pl.DataFrame(
        {
            "when": [1.5, 2.5, 3.5],
            "object": ["b", None, "c d "],
            "subject": [1, 2, 3],
            "predicate": ["r", "r", "s"],
        }
    )
    frame.write_parquet(path)
    raw = read_table(path)
    assert list_facts(raw) == [("1", "r", "b"), ("3", "s", "c d")]
    assert "columns not used: 'when'" in raw.notes[0]
    blank = next(f for f in raw.findings if f.kind == "blank-label")
    assert blank.examples == ("facts.parquet:2: the tail is blank",)


@pytest.mark.parametrize("columns", [("a", "r"), ("a", "r", "b", "c")])
def test_parquet_columns_must_be_told(columns: tuple[str, ...], tmp_path: Path) -> None:
    path = tmp_path / "facts.parquet"
    pl.DataFrame({name: ["x"] for name in columns}).write_parquet(path)
    with pytest.raises(FormatError, match="head, relation and tail"):
        read_table(path)


def test_stray_quotes_swallow_no_lines(tmp_path: Path) -> None:
    lines = [f"film{i},starring,person{i}" for i in range(40)]
    lines[4] = '"film X,starring,person1'
    lines[9] = 'film9,starring,"A, B"'
    lines[20] = "film20,of three columns"
    lines[30] = 'film Y",starring,person2'
    text = "".join(line + "\n" for line in lines)
    raw = read(tmp_path / "facts.csv", text)
    facts = [(f"film{i}", "starring", f"person{i}") for i in range(40)]
    facts[4] = ('"film X', "starring", "person1")
    facts[9] = ("film9", "starring", "A, B")
    facts[30] = ('film Y"', "starring", "person2")
    del facts[20]
    assert list_facts(raw) == facts
    found = {f.kind: f.examples for f in raw.findings}
    assert "facts.csv:21: expected 3 columns, found 2" in found["malformed"][0]
    # The first stray quote ends where the quoted field of line 10 begins, the second at line 31.
    lines[9] = "film9,starring,person9"
    raw = read(tmp_path / "facts.csv", "".join(line + "\n" for line in lines))
    [stray] = [f for f in raw.findings if f.kind == "stray-quote"]
    place = "facts.csv:5: quote opened at line 5 closes at 31: 26 lines in one field"
    assert stray.examples == (place,)
    with pytest.raises(FormatError, match=place):
        read(tmp_path / "facts.csv", "".join(line + "\n" for line in lines), strict=True)


def test_fields_over_several_lines_are_fields(tmp_path: Path) -> None:
    text = 'a,r,"one, two\nthree"\n"b\nc",r,d\n' * 3
    raw = read(tmp_path / "facts.csv", text)
    assert list_facts(raw) == [("a", "r", "one, two three"), ("b c", "r", "d")] * 3
    assert {f.kind for f in raw.findings} == {"blanks"}


def test_a_relation_in_the_last_column_is_said_where_tails_are_no_heads(tmp_path: Path) -> None:
    path = tmp_path / "facts.csv"
    kinds = ("country", "director", "starring")
    rows = (
        f"film{i},person{(3 * i + j) % 19},{kind}\n"
        for i in range(40)
        for j, kind in enumerate(kinds)
    )
    path.write_text("".join(rows))
    [_, doubt] = read_table(path).notes
    assert "if that is the relation: --columns 1,3,2" in doubt


@pytest.mark.parametrize("quote", ["", '"'])
def test_a_header_without_the_name_of_the_row_numbers(quote: str, tmp_path: Path) -> None:
    """R's ``write.table`` gives its header one field less than its rows."""
    lines = ["head\trelation\ttail", "7\ta\tr\tb", "8\tb\tr\tc", "9\tb\ts\ta"]
    text = "\n".join("\t".join(f"{quote}{x}{quote}" for x in line.split("\t")) for line in lines)
    raw = read(tmp_path / "r.tsv", text)
    assert list_facts(raw) == [("a", "r", "b"), ("b", "r", "c"), ("b", "s", "a")]


def test_a_first_line_that_is_short_of_something_else_is_malformed(tmp_path: Path) -> None:
    raw = read(tmp_path / "f.tsv", "a\tr\n" + "".join(f"e{i}\tr\te{i + 1}\n" for i in range(30)))
    assert len(list_facts(raw)) == 30
    assert [finding.kind for finding in raw.findings][:1] == ["malformed"]
