"""Roles that go together, against plain loops; what the review queue says of a fact."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph.fact_index import FactIndex
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.serving.suggestions import (
    RoleTable,
    compute_probability,
    find_contradicted,
    rank_new_facts,
)

N, R = 6, 3
triples = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1)),
    unique=True,
    max_size=25,
)


@settings(deadline=None)
@given(train=triples)
def test_roles_are_proposed_that_go_with_an_entitys_own(train: list[tuple[int, int, int]]) -> None:
    facts = np.array(train, dtype=np.int64).reshape(-1, 3)
    roles = {
        e: {r for h, r, _ in train if h == e} | {r + R for _, r, t in train if t == e}
        for e in range(N)
    }
    table = RoleTable(FactIndex([facts], N, R))
    for entity in range(N):
        proposed = table.propose(entity, 2 * R)
        if not roles[entity]:
            assert len(proposed) == 2 * R
            continue
        together = set().union(*(own for own in roles.values() if own & roles[entity]))
        assert set(proposed) == together
        fits = [max(_chance(roles, own, role) for own in roles[entity]) for role in proposed]
        assert fits == sorted(fits, reverse=True)


def _chance(roles: dict[int, set[int]], own: int, role: int) -> float:
    having = [mine for mine in roles.values() if own in mine]
    return sum(role in mine for mine in having) / len(having)


@pytest.mark.parametrize("calibrated", [False, True])
def test_a_fact_has_one_probability_however_it_is_decided(own_run: Path, calibrated: bool) -> None:
    if calibrated:
        calibrate_run(own_run)
    predictor = Predictor(own_run, calibrated=calibrated)
    assert (predictor.calibration is not None) == calibrated
    graph = predictor.graph
    found = rank_new_facts(predictor, 0)
    assert found
    for (head, relation, tail), probability in found[:20]:
        ids = graph.find_entity(head), graph.find_relation(relation), graph.find_entity(tail)
        assert compute_probability(predictor, ids) == pytest.approx(probability, abs=1e-5)


def test_a_symmetric_relation_offers_a_fact_in_one_direction(own_run: Path) -> None:
    predictor = Predictor(own_run)
    graph = predictor.graph
    for relation, label in enumerate(graph.relations.labels):
        known = {(h, t) for h, r, t in graph.fact_index.facts.tolist() if r == relation}
        share = sum((t, h) in known for h, t in known) / len(known)
        offered = {(head, tail) for (head, _, tail), _ in rank_new_facts(predictor, relation)}
        mirrored = {(tail, head) for head, tail in offered} & offered
        assert not mirrored or share < 0.8, label


def test_a_second_answer_contradicts_where_nearly_all_have_one() -> None:
    capitals = [(country, 0, 20 + country) for country in range(12)]
    rivers = [(country, 1, 40 + river) for country in range(12) for river in range(2)]
    facts = FactIndex([np.array(capitals + rivers)], 50, 2)
    assert find_contradicted(facts, (3, 0, 45)) == [(3, 0, 23)]
    assert find_contradicted(facts, (3, 0, 24)) == [(3, 0, 23), (4, 0, 24)]
    assert find_contradicted(facts, (3, 0, 23)) == []
    assert find_contradicted(facts, (13, 0, 45)) == []
    assert find_contradicted(facts, (3, 1, 49)) == []
    few = FactIndex([np.array(capitals[:5])], 50, 2)
    assert find_contradicted(few, (3, 0, 45)) == []
