"""Files of new facts: each format reads back what was written, hostile labels included."""

from __future__ import annotations

import csv
import json
import re
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import polars
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import ConfigError
from momok.prediction.missing.files import (
    FORMATS,
    SCHEMA,
    FileOptions,
    choose_format,
    write_facts,
)

COLUMNS = SCHEMA.names()

HOSTILE = (
    "=HYPERLINK(\"http://evil\")", "+1", "-k", "@SUM(A1)", "\tTab", "\rreturn", "'quoted",
    'a,"b"\nnew line', "<b>", "a > b", "東京", "\u202egnp.exe", "nul\x00", "http://ok.example/é",
    "http://not ok", "urn:isbn:1", "city:FR/Paris", "100%", "", "back\\slash", "_:blank",
)  # fmt: skip


def make_rows(labels: tuple[str, ...], calibrated: bool = True, first: int = 1) -> polars.DataFrame:
    count = len(labels)
    columns = {
        "rank": list(range(first, first + count)),
        "relation": [labels[-1]] * count,
        "relation_name": ["=name"] * count,
        "head": list(labels),
        "head_name": [label.upper() for label in labels],
        "tail": list(reversed(labels)),
        "tail_name": list(labels),
        "probability": [1 / (3 + i) if calibrated else None for i in range(count)],
        "score": [1 / (2 + i) for i in range(count)],
        "tail_answer": [1e-300] * count,
        "head_answer": [1.0] * count,
    }
    return polars.DataFrame(columns, schema=SCHEMA)


def as_records(*blocks: polars.DataFrame) -> list[dict[str, Any]]:
    return polars.concat(blocks).to_dicts()


def read_csv(path: Path) -> list[dict[str, Any]]:
    """As a program would: numbers, and one apostrophe taken off."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    texts = [name for name in COLUMNS if "relation" in name or name[:4] in ("head", "tail")]
    for row in rows:
        for name in COLUMNS:
            if name in texts and not name.endswith("answer"):
                row[name] = row[name].removeprefix("'")
            else:
                row[name] = float(row[name]) if row[name] else None  # type: ignore[assignment]
    return rows


@pytest.mark.parametrize("calibrated", [True, False])
@pytest.mark.parametrize("ending", [".parquet", ".csv", ".jsonl"])
def test_tables_read_back(tmp_path: Path, ending: str, calibrated: bool) -> None:
    count = len(HOSTILE)
    blocks = make_rows(HOSTILE, calibrated), make_rows(HOSTILE[:3], calibrated, first=count + 1)
    path = tmp_path / f"facts{ending}"
    write_facts(path, ending, iter(blocks), FileOptions())
    if ending == ".parquet":
        records = polars.read_parquet(path).to_dicts()
    elif ending == ".csv":
        records = read_csv(path)
    else:
        records = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    assert records == as_records(*blocks)
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("ending", FORMATS)
def test_no_facts_give_a_file_without_rows(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"facts{ending}"
    write_facts(path, ending, iter(()), FileOptions())
    if ending == ".parquet":
        assert polars.read_parquet(path).columns == list(COLUMNS)
    else:
        assert path.read_text() == (",".join(COLUMNS) + "\n" if ending == ".csv" else "")


@settings(deadline=None)
@given(st.lists(st.text(st.characters(codec="utf-8"), max_size=8), min_size=1, max_size=4))
def test_no_cell_of_csv_is_a_formula(tmp_path_factory: pytest.TempPathFactory, texts: Any) -> None:
    path = tmp_path_factory.mktemp("csv") / "facts.csv"
    rows = make_rows(tuple(texts))
    write_facts(path, ".csv", iter([rows]), FileOptions())
    with path.open(encoding="utf-8", newline="") as file:
        cells = [row[1:7] for row in csv.reader(file)][1:]
    for place, row in enumerate(cells):
        assert not any(cell.startswith(("=", "+", "-", "@", "\t", "\r")) for cell in row)
        assert row[2].removeprefix("'") == rows["head"][place]


# One line of N-Triples, or of N-Triples-star; written from the grammar, not from the writer.
IRI = r"<([^\x00-\x20<>\"{}|^`\\]*)>"
LITERAL = r'"([^"\\\n\r]*)"\^\^' + IRI
STAR = re.compile(rf"<< {IRI} {IRI} {IRI} >> {IRI} {LITERAL} \.")


def decode(iri: str, kind: str, base: str = "urn:momok:") -> str:
    prefix = base + kind
    return unquote(iri.removeprefix(prefix)) if iri.startswith(prefix) else iri


def test_quoted_triples_say_probability_and_score(tmp_path: Path) -> None:
    path = tmp_path / "facts.nt"
    rows = make_rows(HOSTILE)
    write_facts(path, ".nt", iter([rows]), FileOptions())
    found: dict[tuple[str, ...], dict[str, float]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        match = STAR.fullmatch(line)
        assert match, line
        head, relation, tail, said, value, kind = match.groups()
        assert kind == "http://www.w3.org/2001/XMLSchema#double"
        fact = decode(head, "entity/"), decode(relation, "relation/"), decode(tail, "entity/")
        found.setdefault(fact, {})[said] = float(value)
    expected = {
        (record["head"], record["relation"], record["tail"]): {
            "urn:momok:probability": record["probability"],
            "urn:momok:score": record["score"],
        }
        for record in as_records(rows)
    }
    assert found == expected


@pytest.mark.parametrize("form", ["reification", "rdf12"])
def test_other_forms_are_read_by_a_library(tmp_path: Path, form: Any) -> None:
    oxigraph = pytest.importorskip("pyoxigraph")
    path = tmp_path / "facts.nt"
    rows = make_rows(HOSTILE, calibrated=False)
    base = "https://example.org/graph#"
    write_facts(path, ".nt", iter([rows]), FileOptions(rdf=form, base_iri=base))
    rdf = "http://www.w3.org/1999/02/22-rdf-syntax-ns#"
    said: dict[str, dict[str, Any]] = {}
    for triple in oxigraph.parse(path=str(path), format=oxigraph.RdfFormat.N_TRIPLES):
        said.setdefault(triple.subject.value, {})[triple.predicate.value] = triple.object
    assert len(said) == len(HOSTILE)
    for record in as_records(rows):
        statement = said[f"fact{record['rank']}"]
        if form == "rdf12":
            quoted = statement[f"{rdf}reifies"]
            terms = quoted.subject, quoted.predicate, quoted.object
        else:
            terms = tuple(statement[rdf + role] for role in ("subject", "predicate", "object"))
        kinds = "entity/", "relation/", "entity/"
        fact = [decode(term.value, kind, base) for term, kind in zip(terms, kinds, strict=True)]
        assert fact == [record["head"], record["relation"], record["tail"]]
        assert float(statement["urn:momok:score"].value) == record["score"]
        assert "urn:momok:probability" not in statement  # the run is not calibrated


@pytest.mark.parametrize("name", ["facts", "facts.txt", "facts.parquet.gz"])
def test_other_endings_are_refused(name: str) -> None:
    with pytest.raises(ConfigError, match=r"\.parquet, \.csv, \.jsonl, \.nt"):
        choose_format(Path(name))


@pytest.mark.parametrize("base", ["", "example", "http://a b/", "urn:"])
def test_a_base_that_is_no_iri_is_refused(base: str) -> None:
    with pytest.raises(ConfigError, match="expected an absolute one"):
        FileOptions(base_iri=base)


def test_another_form_of_rdf_is_refused() -> None:
    with pytest.raises(ConfigError, match="star, rdf12, reification"):
        FileOptions(rdf="turtle")  # type: ignore[arg-type]
