"""Columns beside head, relation and tail: which is the weight, which are kept, and what is said."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from momok.errors import DataError, FormatError
from momok.graph import graph_from_frames, load_graph
from momok.graph.build import BuildOptions, build_graph
from momok.graph.reviewed import ReviewedFacts
from momok.graph.sources import SourceOptions, read_sources
from momok.graph.sources.fact_tables import read_table
from momok.graph.sources.raw import RawGraph, TableOptions, merge_sources

HEADER = ("head", "relation", "tail", "confidence", "year", "note")
ROWS = [
    ("a", "r", "b", "0.5", " 1990 ", "x"),
    ("b", "r", "c", "1e1", "2000\n", ""),
    ("a", "r", "b", "0.25", "1990", "y"),
    ("a", "r", "b", ".75", "1991", "z"),
]
KEPT = [("a", "r", "b", 0.75, "1990|1991"), ("b", "r", "c", 10.0, "2000")]


def write(path: Path, header: tuple[str, ...] = HEADER, rows: list[tuple[str, ...]] = ROWS) -> Path:
    tidy = [tuple(cell.strip("\n") for cell in row) for row in (header, *rows)]
    path.write_text("".join("\t".join(row) + "\n" for row in tidy if row))
    return path


def show(raw: RawGraph) -> list[tuple[object, ...]]:
    assert raw.fact_columns is not None
    return sorted(raw.fact_columns.rows())


def as_parquet(path: Path) -> Path:
    pl.DataFrame(ROWS, schema=list(HEADER), orient="row").write_parquet(path / "f.parquet")
    return path / "f.parquet"


def as_json_lines(path: Path) -> Path:
    lines = [json.dumps(dict(zip(HEADER, row, strict=True))) for row in ROWS]
    (path / "f.jsonl").write_text("\n".join(lines))
    return path / "f.jsonl"


@pytest.mark.parametrize(
    "make",
    [lambda path: write(path / "f.tsv"), as_parquet, as_json_lines],
    ids=["tsv", "parquet", "jsonl"],
)
def test_the_weight_and_what_is_kept_are_found_by_name(
    make: Callable[[Path], Path], tmp_path: Path
) -> None:
    path = make(tmp_path)
    raw = read_table(path)
    assert show(raw) == KEPT
    assert raw.fact_columns is not None
    assert raw.fact_columns.columns == ["head", "relation", "tail", "weight", "year"]
    assert "weight: 'confidence', kept: 'year'); columns not used: 'note'" in raw.notes[0]
    (finding,) = (f for f in raw.findings if f.kind == "weight")
    assert (
        finding.message == f"4 rows of {path.name} have a weight, column 'confidence': 0.25 to 10"
    )


def test_columns_are_asked_for_by_name_and_position(tmp_path: Path) -> None:
    path = write(
        tmp_path / "f.tsv", ("", "h", "r", "t", "n", "tail"), [("1", *ROWS[0][:3], "3", "x")]
    )
    named = read_table(path, TableOptions(columns=("h", "r", "t"), weight="n", kept=("tail", "1")))
    assert named.fact_columns is not None
    assert named.fact_columns.to_dicts() == [
        {"head": "a", "relation": "r", "tail": "b", "weight": 3.0, "column_1": "1", "tail_2": "x"}
    ]
    bare = write(tmp_path / "bare.tsv", (), [row[:4] for row in ROWS])
    options = TableOptions(columns=("1", "2", "3"), weight="4", header=False)
    assert show(read_table(bare, options)) == [row[:4] for row in KEPT]
    assert (
        read_table(bare, TableOptions(columns=("1", "2", "3"), header=False)).fact_columns is None
    )


def test_the_weight_may_be_declined(tmp_path: Path) -> None:
    path = write(tmp_path / "f.tsv")
    raw = read_table(path, TableOptions(weight=False))
    assert show(raw) == [row[:3] + row[4:] for row in KEPT]
    assert "columns not used: 'confidence', 'note'" in raw.notes[0]
    kept = read_table(path, TableOptions(weight=False, kept=("confidence",)))
    assert show(kept)[0] == ("a", "r", "b", "0.5|0.25|.75", "1990|1991")


@pytest.mark.parametrize("odd", ["0", "-0.5", "nan", "inf", "high", " "])
def test_a_weight_that_is_none_is_placed(odd: str, tmp_path: Path) -> None:
    path = write(tmp_path / "f.tsv", rows=[*ROWS, ("b", "r", "a", odd, "", "")])
    line = r"f\.tsv:6: the weight \(column 'confidence'\) is .*a finite number above 0"
    with pytest.raises(FormatError, match=rf"{line}; if the column is no weight: --no-weight"):
        read_table(path)
    with pytest.raises(FormatError, match=rf"{line}$"):
        read_table(path, TableOptions(weight="confidence"))


def test_a_score_may_be_something_else(tmp_path: Path) -> None:
    """As momok's own files of new facts have them: negative."""
    header = ("head", "relation", "tail", "score")
    odd = write(tmp_path / "f.tsv", header, [("a", "r", "b", "-1.5"), ("b", "r", "c", "2")])
    raw = read_table(odd)
    assert raw.fact_columns is None
    (finding,) = (f for f in raw.findings if f.kind == "weight")
    assert "not taken as their weight" in finding.message
    assert finding.examples == ("f.tsv:2: '-1.5'",)
    good = write(tmp_path / "f.tsv", header, [("a", "r", "b", "1.5"), ("b", "r", "c", "2")])
    assert show(read_table(good)) == [("a", "r", "b", 1.5), ("b", "r", "c", 2.0)]


def test_a_column_that_is_not_there_is_named(tmp_path: Path) -> None:
    path = write(tmp_path / "f.tsv")
    with pytest.raises(
        DataError, match=r"--weight: there is no column 'confidense'; did you mean conf"
    ):
        read_table(path, TableOptions(weight="confidense"))
    with pytest.raises(DataError, match=r"--keep-columns: there is no column 'date'"):
        read_table(path, TableOptions(kept=("date",)))
    with pytest.raises(DataError, match="--weight tail: this is the column of the head, relation"):
        read_table(path, TableOptions(weight="tail"))


def test_held_out_facts_may_lack_what_was_asked_for(tmp_path: Path) -> None:
    train = write(tmp_path / "a.tsv", ("head", "relation", "tail", "w"), [row[:4] for row in ROWS])
    valid = write(tmp_path / "b.tsv", HEADER[:3], [("a", "r", "c")])
    test = write(tmp_path / "c.tsv", HEADER[:4], [("c", "r", "a", "0.5")])
    options = SourceOptions(
        splits={"train": train, "valid": valid, "test": test}, table=TableOptions(weight="w")
    )
    build_graph(read_sources([], options), tmp_path / "graph")
    graph = load_graph(tmp_path / "graph")
    assert graph.to_frame("train")["weight"].to_list() == [0.75, 10.0]
    assert graph.to_frame("valid")["weight"].to_list() == [1.0]
    with pytest.raises(DataError, match="--weight: there is no column 'w'"):
        read_sources([valid], SourceOptions(table=TableOptions(weight="w")))


def test_sources_are_merged(tmp_path: Path) -> None:
    """A fact has the largest of its weights; one that no source gives a weight has 1."""
    first = read_table(write(tmp_path / "a.tsv"))
    second = read_table(
        write(
            tmp_path / "b.tsv",
            ("h", "r", "t", "source"),
            [("a", "r", "b", "B"), ("c", "r", "a", "B")],
        )
    )
    assert sorted(show(merge_sources([(None, first), (None, second)]))) == [
        ("a", "r", "b", 0.75, "1990|1991", "B"),
        ("b", "r", "c", 10.0, "2000", ""),
        ("c", "r", "a", 1.0, "", "B"),
    ]


def test_what_derives_graphs_keeps_them(tmp_path: Path) -> None:
    """Of a built graph another is built: relations left out, inverses dropped, reviews added."""
    header = ("head", "relation", "tail", "weight", "source")
    rows = [(f"e{i}", "r", f"e{(i + 1) % 20}", f"{1 + i / 4}", f"s{i}") for i in range(20)]
    rows += [(t, "is r of", h, "7", s) for h, _, t, _, s in rows]
    rows += [(f"e{i}", "odd", f"e{(3 * i) % 20}", "9", "") for i in range(20)]
    build_graph(read_sources([write(tmp_path / "f.tsv", header, rows)]), tmp_path / "first")
    reviews = ReviewedFacts(
        accepted=[("e1", "r", "new"), rows[3][:3]], rejected=[rows[2][:3], ("e5", "r", "e9")]
    )
    raw = read_sources([tmp_path / "first"], SourceOptions(leave_out=["odd"]))
    report = build_graph(
        raw, tmp_path / "second", BuildOptions(drop_inverse_leaks=True), reviews=reviews
    )
    assert report.graph.relations == ["r"]
    graph = load_graph(tmp_path / "second")
    found = {row for split in ("train", "valid", "test") for row in graph.to_frame(split).rows()}
    expected = {(*row[:3], float(row[3]), row[4]) for row in rows[:20]}
    gone = expected - found
    assert found == expected - gone | {("e1", "r", "new", 1.0, "")}
    assert gone <= {(*rows[2][:3], float(rows[2][3]), rows[2][4])}  # unless it is held out
    assert graph.fact_columns is not None
    assert {*graph.fact_columns.rows()} == expected  # what was rejected is known as it was


def test_frames_have_them_too() -> None:
    facts = pl.DataFrame(
        {
            "subject": [f"e{i}" for i in range(40)],
            "predicate": ["r", "s"] * 20,
            "object": [f"e{i % 7}" for i in range(40)],
            "sure": [0.5 + i for i in range(40)],
            "year": range(1980, 2020),
        }
    )
    graph = graph_from_frames(facts, weight="sure")
    expected = {row[:3]: (row[3], str(row[4])) for row in facts.rows()}
    for split in ("train", "valid", "test"):
        rows = graph.to_frame(split).rows()
        assert [row[3:] for row in rows] == [expected[row[:3]] for row in rows]
    assert any(f.message.startswith("40 rows of facts have a weight") for f in graph.findings)
    renamed = facts.rename({"sure": "weight"})
    assert graph_from_frames(renamed).fingerprint() == graph.fingerprint()
    plain = graph_from_frames(renamed, weight=False)
    assert plain.weights("train") is None
    split = {"valid": [("e1", "r", "e2")], "test": facts.head(1)}
    held_out = graph_from_frames(facts.tail(39), split=split, weight="sure")
    assert held_out.to_frame("valid").rows() == [("e1", "r", "e2", 1.0, "")]
    for odd, message in ((0.0, "facts:3: the weight .* is '0.0'"), (None, "facts:3: .* is blank")):
        weights = [1.0, 1.0, odd, *[1.0] * 37]
        with pytest.raises(DataError, match=message):
            graph_from_frames(facts.with_columns(sure=pl.Series(weights)), weight="sure")
    with pytest.raises(DataError, match="--weight: there is no column 'shure'; did you mean sure"):
        graph_from_frames(facts, weight="shure")
