"""Facts in JSON, Arrow and other forms that are no text tables, and files that are refused."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import polars as pl
import pytest

from momok.errors import FormatError
from momok.graph.sources.fact_tables import read_table
from momok.graph.sources.formats import detect_format
from momok.graph.sources.raw import TableOptions

FACTS = [("a b", "in", "c"), ('"d"', "in, on", "1.50"), ("é\t", "in", "'f'")]
LABELS = [tuple(cell.strip() for cell in fact) for fact in FACTS]


def read(path: Path, text: str, **options: object) -> list[tuple[str, str, str]]:
    path.write_text(text, "utf-8")
    raw = read_table(path, TableOptions(**options))  # type: ignore[arg-type]
    (triples,) = raw.triples.values()
    return [(raw.entities[h], raw.relations[r], raw.entities[t]) for h, r, t in triples.tolist()]


def as_object(fact: tuple[str, ...]) -> dict[str, str]:
    return dict(zip(("subject", "predicate", "object"), fact, strict=True))


@pytest.mark.parametrize(
    "text",
    [
        "".join(json.dumps(as_object(fact)) + "\n" for fact in FACTS),
        "".join(json.dumps(fact) + "\n" for fact in FACTS),
        json.dumps(FACTS),
        json.dumps([as_object(fact) for fact in FACTS], indent=2),
        "".join(f"{fact}\n" for fact in FACTS),
        "".join(f"{list(fact)},\n" for fact in FACTS),
        repr(FACTS),
    ],
)
@pytest.mark.parametrize("name", ["f.jsonl", "f.json", "f.txt"])
def test_json_and_tuples(name: str, text: str, tmp_path: Path) -> None:
    assert read(tmp_path / name, text) == LABELS
    assert detect_format(tmp_path / name)[0] == "table"


def test_numbers_of_json_stay_as_they_are_written(tmp_path: Path) -> None:
    text = (
        '{"head": 1.50, "relation": "r", "tail": 2}\n{"tail": null, "head": 1, "relation": "r"}\n'
    )
    assert read(tmp_path / "f.jsonl", text) == [("1.50", "r", "2")]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('{"head": "a"}\n{"head": [1]}\n', "f.jsonl:2: expected 1 texts or numbers"),
        ('["a", "r", "b"]\n["a", "r"]\n', "f.jsonl:2: expected 3 texts"),
        ('["a", "r", "b"]\n["a", "r", \n', "f.jsonl:2: is JSON in its beginning; expected a list"),
        (
            '{"head": {"vars": []}, "results": {}}',
            "is one JSON object, which holds 'head', 'results'",
        ),
    ],
)
def test_json_that_holds_no_facts(text: str, said: str, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=said):
        read(tmp_path / "f.jsonl", text)


def test_json_ld_is_rdf(tmp_path: Path) -> None:
    (tmp_path / "f.json").write_text('{"@context": {}, "@id": "http://x/a"}')
    assert detect_format(tmp_path / "f.json")[0] == "rdf"


def test_arrow(tmp_path: Path) -> None:
    frame = pl.DataFrame([as_object(fact) for fact in FACTS])
    frame.write_ipc(tmp_path / "f.arrow")
    raw = read_table(tmp_path / "f.arrow")
    assert raw.entities == ["a b", '"d"', "é", "c", "1.50", "'f'"]


def test_fields_in_single_quotes(tmp_path: Path) -> None:
    facts = [("O''Hara", "in", "a, b"), ("c", "in", "d")] * 5
    text = "head,relation,tail\n" + "".join("'{}','{}','{}'\n".format(*fact) for fact in facts)
    assert read(tmp_path / "f.csv", text) == [("O'Hara", "in", "a, b"), ("c", "in", "d")] * 5
    assert read(tmp_path / "f.tsv", "'s Gravenhage\tin\tb\n'a'\tin\tb\n")[1][0] == "'a'"


@pytest.mark.parametrize("quotes", ["\u201c\u201d", "\u201e\u201c", "\u00ab\u00bb"])
def test_fields_in_typographic_quotes(quotes: str, tmp_path: Path) -> None:
    left, right = quotes
    fact = ",".join(f"{left}{label}{right}" for label in ("a, b", "r", "c"))
    assert read(tmp_path / "f.csv", f"{fact}\n" * 3) == [("a, b", "r", "c")] * 3
    one = f"a,r,{left}b{right}\n" + "a,r,c\n" * 9  # here they mean themselves
    assert read(tmp_path / "f.csv", one)[0] == ("a", "r", f"{left}b{right}")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xd0\xcf\x11\xe0\xa1\xb1", "an Excel workbook of the old kind; save it as CSV"),
        (b"SQLite format 3\0", "an SQLite database"),
        (b"\x80\x04\x95\0", "a pickle"),
        (b"<!DOCTYPE html>\n<p>a,r,b", "a page of HTML"),
        (b'<?xml version="1.0"?>\n<graphml xmlns="x">', "GraphML or GEXF"),
        (b"graph [\n node [ id 1 ]\n", "GML"),
        (b"digraph {\n a -> b\n}", "a graph of Graphviz"),
        (b"INSERT INTO f VALUES ('a','r','b');\n", "a script for a database"),
        (b"(a, r, b)\n(c, r, d)\n(e, r, f)\n", "a list of terms in brackets"),
        (b"in(a,b).\nin(c,d).\nin(e,f).\n", "a list of terms in brackets"),
        (b"| head | relation | tail |\n|---|:-:|---|\n| a | r | b |\n", "a table in Markdown"),
        (b"head | relation | tail\n--- | --- | ---\na | r | b\n", "a table in Markdown"),
        (b"- [a, r, b]\n- [c, r, d]\n", "YAML"),
        (b"@prefix x: <http://x/> .\nx:a x:r x:b .", "Turtle or SPARQL"),
    ],
)
def test_other_formats_are_refused_by_name(content: bytes, said: str, tmp_path: Path) -> None:
    (tmp_path / "f.csv").write_bytes(content)
    with pytest.raises(FormatError, match=f"f.csv: is {said}"):
        read_table(tmp_path / "f.csv")


@pytest.mark.parametrize(("part", "kind"), [("xl/workbook.xml", "Excel"), ("content.xml", "OpenD")])
def test_workbooks_are_refused_by_name(part: str, kind: str, tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "f.xlsx", "w") as archive:
        for name in ("[Content_Types].xml", part):
            archive.writestr(name, "<x/>")
    for read_it in (detect_format, read_table):
        with pytest.raises(FormatError, match=f"f.xlsx: is an {kind}"):
            read_it(tmp_path / "f.xlsx")


def test_an_encoding_can_be_named(tmp_path: Path) -> None:
    text = "a,r,Zürich\n"
    for encoding in ("cp1252", "utf-16"):
        (tmp_path / "f.csv").write_bytes(text.encode(encoding))
        assert (
            read_table(tmp_path / "f.csv", TableOptions(encoding=encoding)).entities[1] == "Zürich"
        )
        with pytest.raises(FormatError, match="--encoding"):
            read_table(tmp_path / "f.csv")
    (tmp_path / "f.csv").write_bytes(b"a,r,\x81\n")
    with pytest.raises(FormatError, match=r"is no text in cp1252"):
        read_table(tmp_path / "f.csv", TableOptions(encoding="cp1252"))


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16"])
def test_json_has_an_encoding_too(encoding: str, tmp_path: Path) -> None:
    (tmp_path / "f.jsonl").write_bytes('["a", "r", "Z\u00fcrich"]\n'.encode(encoding))
    raw = read_table(tmp_path / "f.jsonl", TableOptions(encoding=encoding))
    assert raw.entities == ["a", "Z\u00fcrich"]
