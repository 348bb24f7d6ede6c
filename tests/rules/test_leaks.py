"""The rules that give held-out facts away, against the doctor's own marks."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph import MultimodalGraph, Vocabulary
from momok.graph.doctor.leakage import find_leaks, find_rules
from momok.rules import Rule, mine_rules
from momok.rules.leaks import Leaks
from momok.rules.table import RuleTable
from tests.rules.test_evidence import N, R, draw_facts


def read(table: RuleTable) -> list[Rule]:
    return table.read(np.arange(len(table)), "one_step")


@settings(deadline=None, max_examples=15)
@given(seed=st.integers(0, 10_000))
def test_leaks_are_the_rules_by_which_the_doctor_finds_held_out_facts(seed: int) -> None:
    facts = np.random.default_rng(seed).permutation(draw_facts(seed, 250))
    train, valid, test = np.split(facts, [len(facts) - 40, len(facts) - 20])
    graph = MultimodalGraph(
        name="random",
        entities=Vocabulary(tuple(f"e{i}" for i in range(N))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(R))),
        train=train,
        valid=valid,
        test=test,
    )
    expected = set()
    for rule in find_rules(train, N, R):
        marks = find_leaks(train, np.concatenate([valid, test]), [rule], N, R)[rule.kind]
        if marks.any():
            body = rule.body + (0 if rule.kind == "duplicate" else R)
            expected |= {(rule.head, body), (rule.head + R, (body + R) % (2 * R))}
    leaks = Leaks(graph)
    rules = mine_rules(train, N, R)
    found = set()
    for kind, table in rules.tables.items():
        for rule in table.read(np.arange(len(table)), kind):
            if leaks.include(rule):
                assert kind == "one_step"
                found.add((rule.relation, rule.first))
    assert found == expected == leaks.steps
    left = rules.leave_out(leaks.steps).tables
    one = {(r.relation, r.first) for r in read(rules.tables["one_step"])}
    kept = {(r.relation, r.first) for r in read(left["one_step"])}
    assert kept == one - leaks.steps
    assert left["two_steps"] is rules.tables["two_steps"]
