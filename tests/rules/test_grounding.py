"""The rules that speak for an answer, against the evidence that they add up to."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph import load_graph
from momok.rules import KINDS, RuleLimits, mine_rules
from tests.rules.test_evidence import N, R, draw_facts


@settings(deadline=None, max_examples=3)
@given(seed=st.integers(0, 10_000))
def test_the_rules_of_an_answer_add_up_to_its_evidence(seed: int) -> None:
    facts = draw_facts(seed)
    known = set(map(tuple, facts.tolist()))
    rules = mine_rules(facts, N, R)
    heads, relations = (x.ravel() for x in np.meshgrid(np.arange(N), np.arange(2 * R)))
    found = rules.find_evidence(heads, relations)
    values = {
        (int(heads[row]), int(relations[row]), int(column)): value
        for row, column, value in zip(found.rows, found.columns, found.values.T, strict=True)
    }
    for head, relation in zip(heads.tolist(), relations.tolist(), strict=True):
        for answer in range(N):
            groundings = rules.ground(head, relation, answer)
            sums = dict.fromkeys(KINDS, 0.0)
            for each in groundings:
                sums[each.rule.kind] += each.weight
                assert known.issuperset(each.facts)
                ends = {end for h, _, t in each.facts for end in (h, t)}
                assert head in ends
                if each.rule.kind != "constant":
                    assert answer in ends
            expected = values.get((head, relation, answer), np.zeros(len(KINDS)))
            assert list(sums.values()) == pytest.approx(expected, rel=1e-5)
            weights = [each.weight for each in groundings]
            assert weights == sorted(weights, reverse=True)


def test_a_path_is_shown_by_the_entity_in_the_fewest_facts() -> None:
    """0 and 1 are joined by way of 2, which much is joined with, and of 3."""
    path = [(0, 0, 2), (2, 1, 1), (0, 0, 3), (3, 1, 1), (0, 2, 1)]
    facts = np.array([*path, *((2, 2, x) for x in range(5, 11))])
    [found] = mine_rules(facts, N, R).ground(0, 2, 1)
    assert found.facts == ((0, 0, 3), (3, 1, 1))
    assert (found.ways, found.rule.support, found.rule.body) == (2, 2, 2)
    [turned] = mine_rules(facts, N, R).ground(1, 2 + R, 0)
    assert turned.facts == ((3, 1, 1), (0, 0, 3))


def test_the_rules_of_answers_of_the_world() -> None:
    graph = load_graph("world")
    limits = RuleLimits(candidates=graph.num_entities + 1)
    rules = mine_rules(graph.train, graph.num_entities, graph.num_relations, limits=limits)
    facts = graph.test[::40]
    heads, relations, _ = facts.T
    found = rules.find_evidence(heads, relations)
    for row, (head, relation, tail) in enumerate(facts.tolist()):
        here = found.values[:, (found.rows == row) & (found.columns == tail)]
        expected = here[:, 0] if here.size else np.zeros(len(KINDS))
        sums = dict.fromkeys(KINDS, 0.0)
        for each in rules.ground(head, relation, tail):
            sums[each.rule.kind] += each.weight
        assert list(sums.values()) == pytest.approx(expected, rel=1e-5)
