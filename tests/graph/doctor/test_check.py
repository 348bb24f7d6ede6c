"""The whole check: names, folders, graphs in memory; the shape; the ranking; the JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.errors import DataError
from momok.graph import load_graph, write_momok_folder
from momok.graph.doctor import CHECKS, SEVERITIES, Problem, check_graph
from momok.graph.doctor.overview import compute_overview, count_cardinalities
from momok.graph.doctor.report import grade, rank_problems
from momok.graph.triples import CARDINALITIES, classify_cardinality


def make_problem(severity="note", impact=0.0, count=1, message="m") -> Problem:
    return Problem(
        check="splits", kind="k", severity=severity, count=count, unit="facts", message=message,
        effect="e", remedy="r", impact=impact,
    )  # fmt: skip


def test_the_worst_stands_first():
    ranked = [
        make_problem("error", 0.1),
        make_problem("warning", 0.9),
        make_problem("warning", 0.2, 7),
        make_problem("warning", 0.2, 3),
        make_problem("note", 1.0),
        make_problem("note", 1.0, message="n"),
    ]
    assert rank_problems(reversed(ranked)) == tuple(ranked)


def test_impact_is_the_share_that_is_counted_unless_it_is_said():
    counted = {"check": "splits", "kind": "k", "severity": "note", "count": 3, "unit": "facts"}
    said = {"message": "m", "effect": "e", "remedy": "r"}
    assert Problem(**counted, **said, total=4).impact == 0.75
    assert Problem(**counted, **said, total=4, impact=0.0).impact == 0.0
    assert Problem(**counted, **said).impact == 0.0


@pytest.mark.parametrize(
    ("share", "severity"), [(1, "error"), (0.1, "error"), (0.01, "warning"), (0.0001, "note")]
)
def test_grades(share, severity):
    assert grade(share) == severity


def test_levels_reached(small):
    report = replace(check_graph(small), problems=(make_problem("warning"),))
    assert [report.reaches(level) for level in SEVERITIES] == [False, True, True]
    assert not replace(report, problems=()).reaches("note")


def test_a_graph_in_memory_is_checked_as_it_is(small):
    report = check_graph(small)
    assert (report.name, report.problems, report.worst) == ("small", (), None)
    assert report.checks == CHECKS


def test_the_world_by_name_is_sound():
    stages = []
    report = check_graph("world", lambda what, done, total: stages.append((what, done, total)))
    assert report.worst == "note"
    assert {stage for stage, _, _ in stages} >= {"checking facts", "checking labels"}
    assert all(0 <= done <= total for _, done, total in stages)
    covered = {c.modality: (c.entities, c.by_type[0]) for c in report.overview.coverage}
    assert covered["pictures"] == covered["image"] == (250, ("country", 250, 250))


def test_a_folder_that_loading_refuses_is_checked(small, tmp_path):
    write_momok_folder(small, tmp_path / "g")
    (tmp_path / "g/features").mkdir()
    (tmp_path / "g/features/text.json").write_text("{")
    (tmp_path / "g/entities.tsv").write_text(
        "label\tpicture\n" + "".join(f"{x}\t/etc/hosts\n" for x in small.entities.labels)
    )
    with pytest.raises(DataError):
        load_graph(tmp_path / "g")
    found = {(a.kind, a.severity) for a in check_graph(tmp_path / "g").problems}
    assert found == {("unreadable-features", "error"), ("picture-outside", "error")}


def test_a_published_folder_with_a_fault_of_every_reader(benchmark_folder):
    folder = benchmark_folder(
        train="France borders Spain .\nFrance borders Spain .\nFrance borders\n"
        "France borders Narnia .\nGermany part_of Europe .\n",
        valid="France borders Spain .\n",
    )
    found = {a.kind: a.count for a in check_graph(folder).problems}
    assert {k: found[k] for k in ("duplicate", "malformed", "unknown-label", "overlap")} == {
        "duplicate": 1, "malformed": 1, "unknown-label": 1, "overlap": 1,
    }  # fmt: skip


def test_skipped_checks_are_not_made(small):
    broken = replace(small, valid=small.train[:1])
    assert check_graph(broken).worst == "error"
    report = check_graph(broken, skip=["splits", "pictures"])
    assert report.checks == ("leakage", "labels", "features")
    assert {a.check for a in report.problems} <= {"leakage", "labels", "features"}


def test_what_cannot_be_read_is_an_error(tmp_path):
    with pytest.raises(DataError, match="is no graph"):
        check_graph(tmp_path)
    with pytest.raises(DataError, match="no graph and no folder 'wrold'"):
        check_graph("wrold")


def test_json_has_everything(small):
    value = json.loads(json.dumps(check_graph(replace(small, valid=small.train[:1])).to_json()))
    assert value["worst"] == value["problems"][0]["severity"] == "error"
    assert value["problems"][0]["kind"] == "overlap"
    assert value["overview"]["facts"] == {"train": 10, "valid": 1, "test": 2}


def test_degrees_of_the_small_graph(small):
    degrees = compute_overview(small, ()).degrees
    counts = dict.fromkeys(small.entities.labels, 0)
    for split in (small.train, small.valid, small.test):
        for head, _, tail in split.tolist():
            counts[small.entities.labels[head]] += 1
            counts[small.entities.labels[tail]] += 1
    assert degrees.hub == max(counts, key=counts.get)
    assert degrees.largest == max(counts.values())
    assert degrees.mean == pytest.approx(np.mean(list(counts.values())))
    for low, high, count in degrees.histogram:
        assert count == sum(low <= value <= high for value in counts.values())
    assert sum(count for _, _, count in degrees.histogram) == len(counts)


@given(st.lists(st.tuples(*[st.integers(0, 4)] * 3), min_size=1, max_size=40))
def test_cardinalities_are_those_of_evaluation(facts):
    train = np.array(facts, dtype=np.int64)
    kinds = classify_cardinality(train, 5, 5)
    counted = count_cardinalities(train, 5, 5)
    for code, cardinality in enumerate(counted):
        assert cardinality.kind == CARDINALITIES[code]
        assert cardinality.relations == (kinds == code).sum()
        distinct = {fact for fact in facts if kinds[fact[1]] == code}
        assert cardinality.facts == len(distinct)
