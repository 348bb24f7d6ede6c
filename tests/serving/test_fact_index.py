"""Known facts by entity, roles and proposals, against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph import SPLIT_NAMES, MultimodalGraph, Vocabulary
from momok.serving.fact_index import FactIndex
from momok.serving.suggestions import RoleTable

N, R = 6, 3
triples = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1)),
    unique=True,
    max_size=25,
)


def make_graph(parts: list[list[tuple[int, int, int]]]) -> MultimodalGraph:
    train, valid, test = (np.array(p, dtype=np.int64).reshape(-1, 3) for p in parts)
    return MultimodalGraph(
        name="g",
        entities=Vocabulary(tuple(f"e{i}" for i in range(N))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(R))),
        train=train,
        valid=valid,
        test=test,
    )


@settings(deadline=None)
@given(train=triples, valid=triples, test=triples)
def test_the_facts_of_an_entity(train: list, valid: list, test: list) -> None:  # type: ignore[type-arg]
    graph = make_graph([train, valid, test])
    index = FactIndex(graph)
    parts = dict(zip(SPLIT_NAMES, (train, valid, test), strict=True))
    for entity in range(N):
        wanted = sorted(
            [(r, False, t, s) for s, part in parts.items() for h, r, t in part if h == entity]
            + [(r, True, h, s) for s, part in parts.items() for h, r, t in part if t == entity]
        )
        found = index.list_facts(entity)
        assert sorted((f.relation, f.reverse, f.other, f.split) for f in found) == wanted
        assert index.count(entity) == len(wanted)
        pages = [index.list_facts(entity, start, 2) for start in range(0, len(wanted), 2)]
        assert [fact for page in pages for fact in page] == found
        for relation, reverse, count in index.count_by_relation(entity):
            role = [f for f in found if (f.relation, f.reverse) == (relation, reverse)]
            assert index.list_relation(entity, relation, reverse, 99) == role
            assert count == len(role)
            assert index.list_relation(entity, relation, reverse, 1) == role[:1]
    known = [fact for part in parts.values() for fact in part]
    for relation in range(R):
        assert index.answers(relation).tolist() == sorted({t for _, r, t in known if r == relation})
        heads = sorted({h for h, r, _ in known if r == relation})
        assert index.answers(relation + R).tolist() == heads
    assert index.relation_counts().tolist() == [sum(r == i for _, r, _ in known) for i in range(R)]


@settings(deadline=None)
@given(train=triples)
def test_roles_are_proposed_that_go_with_an_entitys_own(train: list) -> None:  # type: ignore[type-arg]
    graph = make_graph([train, [], []])
    facts = FactIndex(graph)
    roles = {
        e: {r for h, r, _ in train if h == e} | {r + R for _, r, t in train if t == e}
        for e in range(N)
    }
    table = RoleTable(graph, facts)
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
