"""Roles that go together, against plain loops."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph.fact_index import FactIndex
from momok.serving.suggestions import RoleTable

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
