"""Problems: their ranking and grades; the report as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from momok.graph.doctor import SEVERITIES, Problem, check_graph
from momok.graph.doctor.report import grade, rank_problems


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


def test_json_has_everything(small):
    value = json.loads(json.dumps(check_graph(replace(small, valid=small.train[:1])).to_json()))
    assert value["worst"] == value["problems"][0]["severity"] == "error"
    assert value["problems"][0]["kind"] == "overlap"
    assert value["overview"]["facts"] == {"train": 10, "valid": 1, "test": 2}
