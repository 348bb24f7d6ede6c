"""Problems: their ranking and grades; the shape of a graph; the report as JSON."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph.doctor import SEVERITIES, Problem, check_graph
from momok.graph.doctor.report import compute_overview, count_cardinalities, grade, rank_problems
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
