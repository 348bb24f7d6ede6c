"""``momok predict-missing``: files, limits, and what is refused."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.prediction.missing.facts import BulkOptions, iterate_new_facts
from momok.prediction.scorer import Scorer

Invoke = Callable[..., Result]


def test_new_facts_of_relations_go_into_a_file(
    invoke: Invoke, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    path = tmp_path / "new.csv"
    result = invoke(
        "predict-missing", trained[0], "--relation", "borders", "--relation", "currency",
        "--plausible", "--per-relation", 20, "--top", 30, "--memory-mb", 8, "--out", path,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    assert result.stdout == ""
    assert "30 new facts of 2 relations" in result.stderr
    with path.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    expected = sorted(
        iterate_new_facts(
            Scorer(trained[0]),
            ["borders", "currency"],
            BulkOptions(per_relation=20, plausible=True),
        ),
        key=lambda fact: -fact.score,
    )[:30]
    # the memory decides the size of products, and that their last bit
    for name in ("score", "probability"):
        wanted = [getattr(fact, name) for fact in expected]
        assert [float(row[name]) for row in rows] == pytest.approx(wanted, rel=1e-9)
    assert list(tmp_path.iterdir()) == [path]


def test_only_heads_and_tails_that_are_asked_for(
    invoke: Invoke, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    (tmp_path / "few.txt").write_text("Japan\nPeru\n")
    call = ("predict-missing", trained[0], "--relation", "borders", "--per-relation", 10**6)
    chosen = ("--heads", tmp_path / "few.txt", "--tails", "country")
    assert invoke(*call, *chosen, "--out", tmp_path / "some.jsonl").exit_code == 0
    some = [json.loads(line) for line in (tmp_path / "some.jsonl").read_text().splitlines()]
    graph = Scorer(trained[0]).graph
    expected = [
        fact
        for fact in iterate_new_facts(
            Scorer(trained[0]), ["borders"], BulkOptions(per_relation=10**7)
        )
        if graph.entity_names[fact.head] in {"Japan", "Peru"}
        and graph.entity_types[fact.tail] == "country"
    ]
    labels = graph.entities.labels
    assert {(row["head"], row["tail"]) for row in some} == {
        (labels[fact.head], labels[fact.tail]) for fact in expected
    }
    assert [row["score"] for row in some] == pytest.approx([f.score for f in expected], rel=1e-6)


def test_the_least_probability(
    invoke: Invoke, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    paths = [tmp_path / f"new-{number}.jsonl" for number in range(2)]
    call = ("predict-missing", trained[0], "--relation", "borders", "--top", 200, "--out")
    assert invoke(*call, paths[0]).exit_code == 0
    records = [json.loads(line) for line in paths[0].read_text().splitlines()]
    assert len(records) == 200  # a limit over all relations is one of each
    least = records[50]["probability"]
    assert invoke(*call, paths[1], "--min-probability", least).exit_code == 0
    kept = [json.loads(line) for line in paths[1].read_text().splitlines()]
    expected = [record for record in records if record["probability"] >= least]
    for mine, theirs in zip(kept, expected, strict=True):
        # which pairs are scored together decides the last bit
        assert list(mine) == list(theirs)
        assert [v for v in mine.values() if not isinstance(v, float)] == [
            v for v in theirs.values() if not isinstance(v, float)
        ]
        assert [v for v in mine.values() if isinstance(v, float)] == pytest.approx(
            [v for v in theirs.values() if isinstance(v, float)], rel=1e-9
        )


def test_triples_have_the_base_that_was_given(
    invoke: Invoke, trained: tuple[Path, Result], tmp_path: Path
) -> None:
    path = tmp_path / "new.nt"
    base = "https://example.org/"
    result = invoke(
        "predict-missing", trained[0], "--relation", "borders", "--top", 2, "--out", path,
        "--rdf", "reification", "--base-iri", base,
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    lines = path.read_text().splitlines()
    assert len(lines) == 2 * (4 + 2)
    predicate = f"<{base}relation/borders>"
    assert sum(line.endswith(f"#predicate> {predicate} .") for line in lines) == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "Missing option '--out'"),
        (("--head", "France", "--out", "a.csv"), "No such option"),
        (("--relation", "bordrs", "--out", "a.csv"), "did you mean borders"),
        (("--out", "a.xlsx"), "new facts are written as .parquet, .csv"),
        (("--out", "a.nt", "--base-iri", "x"), "expected an absolute one"),
        (("--out", "a.nt", "--base-iri", "https://x.org"), "ends with /, # or :"),
        (("--out", "a.csv", "--min-probability", "2"), "not in the range"),
    ],
)
def test_mistakes_are_one_line(
    fail: Callable[..., str], trained: tuple[Path, Result], arguments: tuple[str, ...], message: str
) -> None:
    assert message in fail("predict-missing", trained[0], *arguments)


def test_a_least_probability_needs_a_calibration(
    fail: Callable[..., str], run: Path, tmp_path: Path
) -> None:
    (run / "results" / "calibration.json").unlink()
    line = fail("predict-missing", run, "--min-probability", "0.5", "--out", tmp_path / "a.csv")
    assert f"momok calibrate {run} makes it" in line
    assert not (tmp_path / "a.csv").exists()
