"""Supporting facts against a plain loop over all train facts."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from momok.prediction.evidence import TrainFacts

ENTITIES = 8
Triple = tuple[int, int, int]

facts_strategy = st.lists(
    st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 7)),
    min_size=1,
    max_size=40,
    unique=True,
)


def other_end(fact: Triple, entity: int) -> int:
    return fact[2] if fact[0] == entity else fact[0]


def expected_order(facts: list[Triple], explained: Triple, entity: int, other: int) -> list[int]:
    """Rows of the facts about ``entity``, by reason, relation, degree of the other end, row."""
    degree = {e: sum(e in (h, t) for h, _, t in facts) for e in range(ENTITIES)}
    near = {other_end(f, other) for f in facts if other in (f[0], f[2])} - {entity, other}
    keys = []
    for row, fact in enumerate(facts):
        if entity not in (fact[0], fact[2]) or fact == explained:
            continue
        end, same = other_end(fact, entity), fact[1] == explained[1]
        reason = 0 if end == other else 1 if end in near else 2 if same else 3
        keys.append((reason, not same, degree[end], row))
    return [key[-1] for key in sorted(keys)]


@given(facts=facts_strategy, explained=st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 7)))  # fmt: skip  # noqa: E501
def test_support_is_that_of_a_plain_loop(facts: list[Triple], explained: Triple) -> None:
    table = TrainFacts(np.array(facts, dtype=np.int64), ENTITIES)
    for entity, other in (explained[::2], explained[::-2]):
        found, count = table.find_support(
            entity, other, explained[1], np.array(explained), limit=100
        )
        assert [support.fact for support in found] == expected_order(
            facts, explained, entity, other
        )
        assert count == len(found)
        first, same_count = table.find_support(
            entity, other, explained[1], np.array(explained), limit=3
        )
        assert first == found[:3]
        assert same_count == count
        for support in found:
            if support.reason != "path":
                assert support.via is None
                continue
            assert support.via is not None
            step = facts[support.via]
            assert {step[0], step[2]} == {other, other_end(facts[support.fact], entity)}
            joins = [f for f in facts if {f[0], f[2]} == {step[0], step[2]}]
            assert step[1] == explained[1] or all(f[1] != explained[1] for f in joins)


def test_a_worked_example() -> None:
    facts = np.array([(0, 0, 1), (1, 1, 0), (0, 2, 2), (2, 0, 1), (0, 0, 3), (0, 1, 4)])
    found, count = TrainFacts(facts, 5).find_support(0, 1, 0, np.array([0, 0, 1]), limit=10)
    assert [(s.fact, s.reason, s.via) for s in found] == [
        (1, "direct", None),
        (2, "path", 3),
        (4, "relation", None),
        (5, "other", None),
    ]
    assert count == 4
