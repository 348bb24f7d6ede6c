"""Tails that are numbers or texts: noted, and on request what their heads have."""

from __future__ import annotations

from pathlib import Path

import pytest

from momok.errors import DataError
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.reading import SourceOptions, read_sources

PLOT = "A long text about a film that nobody else has, number {}."


def read(folder: Path, *literals: str) -> RawGraph:
    lines = [f"f{i}\tin\tcity{i % 3}\nf{i}\tyear\t{1990 + i % 9}\n" for i in range(12)]
    lines += [f"f{i}\tplot\t{PLOT.format(i)}\n" for i in range(12)]
    lines += ["f0\tyear\t2024\n", "f1\treleased\t1991-07-02\n", "f2\tdescription\tshort\n"]
    (folder / "f.tsv").write_text("".join(lines))
    return read_sources([folder / "f.tsv"], SourceOptions(literals=literals))


def test_they_are_noted_with_the_option_that_takes_them(tmp_path: Path) -> None:
    [found] = read(tmp_path).findings
    assert (found.kind, found.count) == ("literal-tails", 2)
    assert "25 facts" in found.message
    assert "--literals year --literals plot" in found.message
    assert found.examples[0] == "year: 10 tails, such as 1990"


def test_they_become_numbers_and_texts_of_the_heads(tmp_path: Path) -> None:
    raw = read(tmp_path, "year", "plot", "released", "description")
    assert raw.findings == []
    assert raw.numbers["year"] == {f"f{i}": 1990.0 + i % 9 for i in range(12)}  # the first counts
    assert raw.numbers["released"]["f1"] == pytest.approx(1991 + 182 / 365)
    assert raw.attributes == {"plot": {f"f{i}": PLOT.format(i) for i in range(12)}}
    assert raw.descriptions == {"f2": "short"}
    assert sorted(raw.entities) == sorted(
        [*(f"f{i}" for i in range(12)), "city0", "city1", "city2"]
    )
    assert raw.relations == ["in"]
    facts = [[raw.entities[h], raw.entities[t]] for h, _, t in raw.triples["all"]]
    assert facts == [[f"f{i}", f"city{i % 3}"] for i in range(12)]
    assert "1 are left out, as their heads have one already" in " ".join(raw.notes)


def test_a_relation_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match="--literals 'yaer': there is no such relation; did you mean"
    ):
        read(tmp_path, "yaer")
