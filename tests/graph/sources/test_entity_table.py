"""Tables of entities beside the facts, and their faults."""

from __future__ import annotations

from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError, FormatError
from momok.graph.sources.entity_table import add_entity_table
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.rdf_collect import parse_literals
from momok.graph.sources.reading import read_sources


@pytest.fixture
def raw(tmp_path: Path) -> RawGraph:
    (tmp_path / "facts.csv").write_text("Q1,in,Q2\nQ2,in,Q3\nhttp://x/a b,in,Q3\n")
    return read_sources([tmp_path / "facts.csv"])


def add(raw: RawGraph, folder: Path, text: str, **options: bool) -> RawGraph:
    (folder / "things.csv").write_text(text)
    return add_entity_table(raw, folder / "things.csv", **options)


def test_columns_are_told_by_their_names(raw: RawGraph, tmp_path: Path) -> None:
    text = (
        "id,label,abstract,class,image,area,born,mayor\n"
        'Q1,One,"a text,\nin lines",town,a.png|b/c.jpg,12.5,1969-07-20,Ann\n'
        "Q2,,,,http://x/q2.png,-3e2,1970-01-01T00:00:00Z,\n"
    )
    read = add(raw, tmp_path, text)
    assert read.names == {"Q1": "One"}
    assert read.descriptions == {"Q1": "a text, in lines"}
    assert read.types == {"Q1": "town"}
    assert read.pictures == {
        "Q1": [str(tmp_path / "a.png"), str(tmp_path / "b/c.jpg")],
        "Q2": ["http://x/q2.png"],
    }
    assert read.numbers["area"] == {"Q1": 12.5, "Q2": -300.0}
    assert read.numbers["born"]["Q1"] == pytest.approx(1969.55, abs=0.01)
    assert read.numbers["born"]["Q2"] == 1970.0
    assert read.attributes == {"mayor": {"Q1": "Ann"}}
    assert "by column 'id', which names 2 of the 4 entities" in read.notes[1]


def test_the_key_is_the_column_that_matches_most(raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, "id,name\n17,Q1\n18,Q2\n")
    assert "by column 'name', which names 2" in read.notes[1]
    assert read.attributes == {"id": {"Q1": "17", "Q2": "18"}}
    read = add(raw, tmp_path, "thing;note\nQ1;first\n")  # no known name: the first column
    assert read.attributes == {"note": {"Q1": "first"}}


def test_a_list_without_a_header(raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, "Q1\tOne\nQ2\tTwo\n")
    assert read.names == {"Q1": "One", "Q2": "Two"}
    read = add(raw, tmp_path, "Q3\tThree\ta number\n")
    assert (read.names, read.descriptions) == ({"Q3": "Three"}, {"Q3": "a number"})
    with pytest.raises(FormatError, match="no value of 'Q1' is an entity"):
        add(raw, tmp_path, "Q1\ta\tb\tc\nx\ta\tb\tc\n")  # four columns: what are they?


def test_rows_that_cannot_be_used_are_counted(raw: RawGraph, tmp_path: Path) -> None:
    text = "id,name\nQ1,One\nQ1,Uno\n,None\nQ9,Nine\nQ2,Two\n"
    read = add(raw, tmp_path, text)
    assert read.names == {"Q1": "One", "Q2": "Two"}
    assert [(f.kind, f.count, f.examples) for f in read.findings] == [
        ("blank-label", 1, ("things.csv:4: the label '' is blank",)),
        ("duplicate", 1, ("things.csv:3: the label 'Q1' has a row already",)),
        ("unknown-label", 1, ("things.csv:5: the label 'Q9' is in no fact",)),
    ]
    with pytest.raises(FormatError, match=r"things.csv:4: the label '' is blank"):
        add(raw, tmp_path, text, strict=True)


def test_a_column_of_numbers_may_have_a_few_that_are_none(raw: RawGraph, tmp_path: Path) -> None:
    rows = "".join(f"E{i},{i}\n" for i in range(40))
    (tmp_path / "facts.csv").write_text("".join(f"E{i},in,E{i + 1}\n" for i in range(40)))
    raw = read_sources([tmp_path / "facts.csv"])
    read = add(raw, tmp_path, f"id,size\nE40,unknown\n{rows}")
    assert len(read.numbers["size"]) == 40
    assert [(f.kind, f.examples) for f in read.findings] == [
        ("no-number", ("things.csv:2: 'unknown'",))
    ]
    read = add(raw, tmp_path, f"id,size\nE38,few\nE39,many\nE40,inf\n{rows.split('E38')[0]}")
    assert read.numbers == {}
    assert len(read.attributes["size"]) == 41


def test_dates_are_decimal_years_as_in_rdf(raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, "id,born\nQ1,1990-07-02\nQ2,1990-07-02T23:59:59Z\nQ3,-0044-03-15\n")
    literals = pl.Series(["1990-07-02", "-0044-03-15"])
    years = parse_literals(literals, pl.Series(2 * ["http://www.w3.org/2001/XMLSchema#date"]))
    assert read.numbers == {"born": {"Q1": years[0], "Q2": years[0], "Q3": years[1]}}
    assert years[0] == pytest.approx(1990 + 182 / 365)


@pytest.mark.parametrize("date", ["1990-13-45", "1990-01-32", "1990-05-x", "3-02", "03.01.90"])
def test_what_is_no_date_is_kept_as_text(date: str, raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, f"id,born\nQ1,{date}\n")
    assert read.numbers == {}
    assert read.attributes == {"born": {"Q1": date}}


def test_a_parquet_table(raw: RawGraph, tmp_path: Path) -> None:
    frame = pl.DataFrame({"id": ["Q1", "Q2"], "name": ["One", None], "area": [1.5, None]})
    frame.write_parquet(tmp_path / "things.parquet")
    read = add_entity_table(raw, tmp_path / "things.parquet")
    assert read.names == {"Q1": "One"}
    assert read.numbers == {"area": {"Q1": 1.5}}


def test_any_name_of_a_column_will_do(raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, ",id,line,note,note\n0,Q1,U6,x,y\n1,Q2,U7,,z\n")
    assert read.attributes == {
        "line": {"Q1": "U6", "Q2": "U7"},
        "note": {"Q1": "x"},
        "note_2": {"Q1": "y", "Q2": "z"},
    }
    assert "; without a name and left out: column 1" in read.notes[1]
    read = add(raw, tmp_path, '"","title of it"\n"Q1","a"\n"Q2","b"\n')  # row names of R
    assert read.attributes == {"title of it": {"Q1": "a", "Q2": "b"}}
    pl.DataFrame({"id": ["Q1"], "line": ["a"]}).write_parquet(tmp_path / "things.parquet")
    read = add_entity_table(raw, tmp_path / "things.parquet")
    assert read.attributes == {"line": {"Q1": "a"}}


@settings(max_examples=100, deadline=None)
@given(content=st.binary(max_size=60) | st.text('Q123"\n,\t|id .-', max_size=60).map(str.encode))
def test_any_bytes_are_a_table_or_one_line(content: bytes, tmp_path_factory) -> None:
    folder = tmp_path_factory.mktemp("table")
    (folder / "facts.csv").write_text("Q1,in,Q2\n")
    (folder / "things.csv").write_bytes(content)
    raw, said = read_sources([folder / "facts.csv"]), ""
    try:
        raw = add_entity_table(raw, folder / "things.csv")
    except FormatError as error:
        said = str(error)
    assert bool(said) == (len(raw.notes) == 2)
    assert "\n" not in said


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("id,name\n", "has a header and no row"),
        ("id,name\nQ7,a\nQ8,b\n", "no value of 'id' or 'name' is an entity of the facts"),
        ("", "is empty"),
        ("Q1\nQ2\n", "neither tabs, commas"),
    ],
)
def test_malformed_tables(text: str, message: str, raw: RawGraph, tmp_path: Path) -> None:
    with pytest.raises(FormatError, match=message):
        add(raw, tmp_path, text)


def test_na_is_no_value(raw: RawGraph, tmp_path: Path) -> None:
    text = '"id","name","year"\n"Q1",NA,NA\n"Q2","Two",1991\n"Q3",null,NaN\n'
    read = add(raw, tmp_path, text)
    assert read.names == {"Q2": "Two"}
    assert read.numbers == {"year": {"Q2": 1991.0}}
    [found] = read.findings
    assert (found.kind, found.count) == ("no-value", 4)
    assert found.examples[0] == "things.csv:2: column 'name'"


@pytest.mark.parametrize("cell", ["n/a", "#N/A", "\\N", "(null)", "-", "?", "NaT"])
def test_cells_that_stand_for_nothing(cell: str, raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, f"id,name,year\nQ1,{cell},{cell}\nQ2,Two,1991\n")
    assert read.names == {"Q2": "Two"}
    assert read.numbers == {"year": {"Q2": 1991.0}}


@pytest.mark.parametrize("header", ["", "Unnamed: 0", "...1"])
def test_a_column_of_row_numbers_is_left_out(header: str, raw: RawGraph, tmp_path: Path) -> None:
    read = add(raw, tmp_path, f"{header},id,name\n0,Q1,One\n1,Q2,Two\n")
    assert (read.names, read.numbers) == ({"Q1": "One", "Q2": "Two"}, {})
    assert "without a name and left out: column 1" in read.notes[-1]


def test_columns_can_be_chosen(raw: RawGraph, tmp_path: Path) -> None:
    text = "nr,thing,called,story\n1,Q1,One,first\n2,Q2,Two,second\n"
    chosen = {"key": "thing", "name": "called", "description": "story"}
    (tmp_path / "things.csv").write_text(text)
    read = add_entity_table(raw, tmp_path / "things.csv", chosen=chosen)
    assert read.names == {"Q1": "One", "Q2": "Two"}
    assert read.descriptions == {"Q1": "first", "Q2": "second"}
    read = add_entity_table(raw, tmp_path / "things.csv", chosen={"key": "thing"})
    assert "NO COLUMN IS TAKEN AS THE NAME" in read.notes[-2]
    assert read.notes[-1].endswith("if one of 'called', 'story' is: --description COLUMN")
    with pytest.raises(DataError, match="--name-column 'caled': there is no such column; did you"):
        add_entity_table(raw, tmp_path / "things.csv", chosen={"name": "caled"})


@pytest.mark.parametrize(
    ("one", "two", "expected"),
    [
        ("1234,5", "7", (1234.5, 7.0)),
        ("1.234.567,25", "3,5", (1234567.25, 3.5)),
        ("1,234,567.25", "1,000", (1234567.25, 1000.0)),
        ("31.12.1999", "1.1.2000", (1999 + 364 / 365, 2000.0)),
        ("12/31/1999", "01/01/2000", (1999 + 364 / 365, 2000.0)),
        ("31 December 1999", "1 January 2000", (1999 + 364 / 365, 2000.0)),
        ("1'234.5", "7", (1234.5, 7.0)),
        ("1\u202f234,5", "7", (1234.5, 7.0)),
        ("0,125", "1234", (0.125, 1234.0)),
        ("1,000", "1234", (1000.0, 1234.0)),
        ("\u22121.5", "7", (-1.5, 7.0)),
        ("Dec 31, 1999", "Jan 1, 2000", (1999 + 364 / 365, 2000.0)),
        ("31-Dec-1999", "01-Jan-2000", (1999 + 364 / 365, 2000.0)),
        ("19991231", "20000101", (1999 + 364 / 365, 2000.0)),
        ("1999-12-31 23:59:59", "2000-01-01 00:00:00", (1999 + 364 / 365, 2000.0)),
        ("1999-07", "2000-01", (1999 + 181 / 365, 2000.0)),
        ("01/02/1999", "03/04/2000", None),  # days or months?
        ("00012", "00345", None),  # a code
        ("03.01.90", "04.02.91", None),  # of which century?
    ],
)
def test_numbers_and_dates_as_people_write_them(
    one: str, two: str, expected: tuple[float, float] | None, raw: RawGraph, tmp_path: Path
) -> None:
    read = add(raw, tmp_path, f"id;value;zip\nQ1;{one};01067\nQ2;{two};80331\n")
    assert read.attributes["zip"] == {"Q1": "01067", "Q2": "80331"}
    if expected is None:
        assert read.numbers == {}
    else:
        assert list(read.numbers["value"].values()) == pytest.approx(expected)
