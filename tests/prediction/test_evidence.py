"""Supporting facts and similar entities against plain loops."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph.fact_index import FactIndex
from momok.prediction.evidence import SimilarityTable, find_support

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


def is_symmetric(facts: list[Triple], relation: int) -> bool:
    own = [fact for fact in facts if fact[1] == relation]
    return 2 * sum(f[0] != f[2] and f[::-1] in facts for f in own) > len(own)


def expected_order(facts: list[Triple], explained: Triple, entity: int, other: int) -> list[int]:
    """Rows of the facts about ``entity``, by reason, relation, degree of the other end, row."""
    degree = {e: sum((h, t).count(e) for h, _, t in facts) for e in range(ENTITIES)}
    near = {other_end(f, other) for f in facts if other in (f[0], f[2])} - {entity, other}
    keys = []
    for row, fact in enumerate(facts):
        if entity not in (fact[0], fact[2]) or fact == explained:
            continue
        before = set(facts[:row]) - {explained}
        if is_symmetric(facts, fact[1]) and fact[::-1] in before and fact[0] != fact[2]:
            continue
        end, same = other_end(fact, entity), fact[1] == explained[1]
        reason = 0 if end == other else 1 if end in near else 2 if same else 3
        keys.append((reason, not same, degree[end], row))
    return [key[-1] for key in sorted(keys)]


@given(facts=facts_strategy, explained=st.tuples(st.integers(0, 7), st.integers(0, 2), st.integers(0, 7)))  # fmt: skip  # noqa: E501
def test_support_is_that_of_a_plain_loop(facts: list[Triple], explained: Triple) -> None:
    train = FactIndex([np.array(facts, dtype=np.int64)], ENTITIES, 3)
    for entity, other in (explained[::2], explained[::-2]):
        found, count = find_support(train, entity, other, explained, limit=100)
        assert [support.fact for support in found] == expected_order(
            facts, explained, entity, other
        )
        assert count == len(found)
        first, same_count = find_support(train, entity, other, explained, limit=3)
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
    found, count = find_support(FactIndex([facts], 5, 3), 0, 1, (0, 0, 1), limit=10)
    assert [(s.fact, s.reason, s.via) for s in found] == [
        (1, "direct", None),
        (2, "path", 3),
        (4, "relation", None),
        (5, "other", None),
    ]
    assert count == 4


def make_table(seed: int, entities: int = 30) -> SimilarityTable:
    rng = np.random.default_rng(seed)
    matrix = rng.normal(size=(entities, 4)).astype(np.float32)
    matrix[entities // 2] = 0.0  # a vector without a direction
    matrix[1] = matrix[2]  # a tie
    present = rng.random(entities) < 0.8
    present[[0, 1, 2]] = True
    return SimilarityTable(vectors="features", matrix=matrix, present=present)


def cosine(table: SimilarityTable, a: int, b: int) -> float:
    x, y = table.matrix[a].astype(np.float64), table.matrix[b].astype(np.float64)
    length = np.sqrt((x @ x) * (y @ y))
    return float(x @ y / length) if length else 0.0


@given(seed=st.integers(0, 10**6), limit=st.integers(0, 8), size=st.integers(0, 30))
def test_similar_entities_are_those_of_a_plain_loop(seed: int, limit: int, size: int) -> None:
    table = make_table(seed)
    rng = np.random.default_rng(seed + 1)
    among = rng.permutation(30)[:size]
    found = table.find_similar(0, among, limit)
    others = [e for e in range(30) if table.present[e] and e != 0]
    places = {
        e: 1 + sum(cosine(table, 0, o) > cosine(table, 0, e) + 1e-6 for o in others) for e in others
    }
    eligible = [int(e) for e in among if places.get(int(e), 11) <= 10]  # the ten nearest
    assert len(found) == min(limit, len(eligible))
    assert len({entity for entity, _, _ in found}) == len(found)
    cosines = [similarity for _, similarity, _ in found]
    assert cosines == sorted(cosines, reverse=True)
    left_out = set(eligible) - {entity for entity, _, _ in found}
    for entity, similarity, rank in found:
        assert entity in eligible
        assert similarity == pytest.approx(cosine(table, 0, entity), abs=1e-6)
        others = [e for e in range(30) if table.present[e] and e != 0]
        better = sum(cosine(table, 0, e) > similarity + 1e-6 for e in others)
        equal = sum(abs(cosine(table, 0, e) - similarity) <= 1e-6 for e in others)
        assert better < rank <= better + equal
    if found:
        assert all(cosine(table, 0, e) <= cosines[-1] + 1e-6 for e in left_out)


def test_equal_ones_come_by_id_and_share_a_rank() -> None:
    table = make_table(0)
    table.matrix[0] = table.matrix[1]
    found = table.find_similar(0, np.array([2, 1]), 2)
    assert [entity for entity, _, _ in found] == [1, 2]
    assert found[0][1:] == found[1][1:]


def test_the_table_says_what_it_compares() -> None:
    table = make_table(0)
    assert table.compared == int(table.present.sum()) < 30
    assert table.vectors == "features"
