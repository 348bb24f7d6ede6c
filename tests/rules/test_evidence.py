"""Evidence of rules against counting by hand."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path
from typing import TypeAlias

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from momok.errors import MomokError
from momok.graph import load_graph
from momok.rules import KINDS, RuleLimits, Rules, mine_rules

N, R = 12, 3
Link: TypeAlias = tuple[int, int, int]


def draw_facts(seed: int, count: int = 60) -> NDArray[np.int64]:
    facts = np.random.default_rng(seed).integers(0, [N, R, N], (count, 3))
    return np.unique(facts[facts[:, 0] != facts[:, 2]], axis=0)


def weigh(support: int, body: int) -> float:
    return -np.log1p(-min(support / (body + 5), 0.99))


def sum_by_hand(facts: NDArray[np.int64], relations: int) -> dict[str, dict[Link, float]]:
    """What rules of each kind say of (x, r, y), counted link by link."""
    leaving: dict[int, set[tuple[int, int]]] = defaultdict(set)
    for h, r, t in facts.tolist():
        leaving[h].add((r, t))
        leaving[t].add((r + relations, h))
    between: dict[tuple[int, int], set[int]] = defaultdict(set)
    for x, mine in leaving.items():
        for r, y in mine:
            between[x, y].add(r)
    one: dict[int, list[tuple[int, int]]] = defaultdict(list)
    two: dict[tuple[int, int], list[tuple[int, int]]] = defaultdict(list)
    for x, mine in leaving.items():
        for r, z in mine:
            one[r].append((x, z))
            for q, y in leaving[z]:
                if y != x:
                    two[r, q].append((x, y))
    found = {kind: defaultdict(float) for kind in KINDS}
    for kind, bodies, least in (("one_step", one, 1), ("two_steps", two, 2)):
        for body, pairs in bodies.items():  # type: ignore[attr-defined]
            support = Counter(r for pair in pairs for r in between[pair] if r != body)
            for r, number in support.items():
                for x, y in pairs if number >= least else ():
                    found[kind][x, r, y] += weigh(number, len(pairs))
    add_constant(found["constant"], leaving)
    return {kind: dict(said) for kind, said in found.items()}


def add_constant(said: dict[Link, float], leaving: dict[int, set[tuple[int, int]]]) -> None:
    """What an entity has, (r, c) or some r, says of what it has."""
    owners: dict[tuple[int, int | None], list[int]] = defaultdict(list)
    for x, mine in leaving.items():
        for body in [*mine, *((r, None) for r in {r for r, _ in mine})]:
            owners[body].append(x)
    for (q, c), having in owners.items():
        counted = [x for x in having if len(leaving[x]) <= 150]
        support = Counter(
            (r, y)
            for x in counted
            for r, y in leaving[x]
            if (r, y) != (q, c) and (c is not None or r != q or is_with_others(leaving[x], r))
        )
        for (r, y), number in support.items():
            body = len(counted)
            if c is None and r == q:  # a fact is no evidence of itself
                body -= sum({z for p, z in leaving[x] if p == r} == {y} for x in counted)
            for x in having if number >= 2 else ():
                said[x, r, y] += weigh(number, body)


def is_with_others(leaving: set[tuple[int, int]], relation: int) -> bool:
    return sum(r == relation for r, _ in leaving) > 1


def check_by_hand(facts: NDArray[np.int64], entities: int, relations: int) -> None:
    """All that rules say of all queries against counting by hand."""
    limits = RuleLimits(candidates=entities + 1)
    rules = mine_rules(facts, entities, relations, limits=limits)
    queries = np.arange(entities), np.arange(2 * relations)
    heads, asked = (x.ravel() for x in np.meshgrid(*queries))
    found = rules.find_evidence(heads, asked)
    keys = found.rows * entities + found.columns
    assert (np.diff(keys) > 0).all()
    assert (found.values > 0).any(axis=0).all()
    places = heads[found.rows], asked[found.rows], found.columns
    expected = sum_by_hand(facts, relations)
    for kind, values in zip(KINDS, found.values, strict=True):
        links = zip(*(x[values > 0].tolist() for x in places), strict=True)
        said = dict(zip(links, values[values > 0].tolist(), strict=True))
        assert said.keys() == expected[kind].keys(), kind
        wanted = np.array([expected[kind][link] for link in said])
        np.testing.assert_allclose(list(said.values()), wanted, rtol=1e-5, err_msg=kind)


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_evidence_is_as_counted_by_hand(seed: int) -> None:
    check_by_hand(draw_facts(seed), N, R)


def test_evidence_of_the_world_is_as_counted_by_hand() -> None:
    graph = load_graph("world")
    check_by_hand(graph.train[::3], graph.num_entities, graph.num_relations)


def test_chunks_and_repeated_questions_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    facts = draw_facts(4, 90)
    rules = mine_rules(facts, N, R)
    heads, relations = (x.ravel() for x in np.meshgrid(np.arange(N), np.arange(2 * R)))
    whole = rules.find_evidence(heads, relations)
    for module in ("constants", "evidence", "paths"):
        monkeypatch.setattr(f"momok.rules.{module}._CHUNK", 1)
    for kind, table in mine_rules(facts, N, R).tables.items():
        for name, column in table.columns().items():
            assert np.array_equal(column, rules.tables[kind].columns()[name])
    in_chunks = rules.find_evidence(heads, relations)
    twice = rules.find_evidence(np.tile(heads, 2), np.tile(relations, 2))
    for name in ("rows", "columns", "values"):
        assert np.array_equal(getattr(whole, name), getattr(in_chunks, name))
    assert np.array_equal(twice.columns, np.tile(whole.columns, 2))
    assert np.array_equal(twice.values, np.tile(whole.values, 2))
    assert np.array_equal(twice.rows, np.concatenate([whole.rows, whole.rows + len(heads)]))


def test_the_best_candidates_of_a_kind_are_kept_and_ties_for_the_last_place_are_not() -> None:
    facts = draw_facts(5, 90)
    everything = mine_rules(facts, N, R).find_evidence(np.array([0]), np.array([1]))
    limits = RuleLimits(candidates=3)
    found = mine_rules(facts, N, R, limits=limits).find_evidence(np.array([0]), np.array([1]))
    kept = np.zeros(len(everything.columns), dtype=bool)
    for values in everything.values:
        if (values > 0).sum() > 3:
            kept |= values > np.sort(values)[-4]
        else:
            kept |= values > 0
    assert 0 < kept.sum() < len(kept)
    assert np.array_equal(found.columns, everything.columns[kept])
    assert np.array_equal(found.values, everything.values[:, kept])  # of all kinds


def test_a_query_gets_the_same_alone_and_among_others() -> None:
    facts = draw_facts(1, 90)
    rules = mine_rules(facts, N, R)
    heads, relations = np.arange(N), np.arange(N) % (2 * R)
    together = rules.find_evidence(heads, relations)
    for place in range(N):
        alone = rules.find_evidence(heads[[place]], relations[[place]])
        mine = together.rows == place
        assert np.array_equal(alone.columns, together.columns[mine])
        assert np.array_equal(alone.values, together.values[:, mine])


def test_a_constant_speaks_for_what_its_owners_have() -> None:
    """Who has r0 to 11 has r1 to 10: nine have both, one has r0 alone."""
    owners = np.arange(9)
    facts = np.array([*((x, 0, 11) for x in range(10)), *((x, 1, 10) for x in owners)])
    found = mine_rules(facts, N, R).find_evidence(np.array([9]), np.array([1]))
    assert found.columns.tolist() == [10]
    value = found.values[KINDS.index("constant"), 0]
    assert value >= weigh(9, 10) - 1e-6  # with "has some r0" beside it at most twice
    assert value <= 2 * weigh(9, 10) + 1e-6


def test_rules_are_written_and_read(tmp_path: Path) -> None:
    facts = draw_facts(2, 90)
    rules = mine_rules(facts, N, R)
    rules.save(tmp_path / "rules.safetensors")
    again = Rules.load(tmp_path / "rules.safetensors", facts)
    queries = np.arange(N), np.arange(N) % (2 * R)
    for name, value in vars(rules.find_evidence(*queries)).items():
        assert np.array_equal(value, getattr(again.find_evidence(*queries), name))
    with pytest.raises(MomokError, match=r"rules\.safetensors"):
        Rules.load(tmp_path / "rules.safetensors", facts[:-1])
    (tmp_path / "rules.safetensors").write_bytes(b"{}")
    with pytest.raises(MomokError, match=r"rules\.safetensors"):
        Rules.load(tmp_path / "rules.safetensors", facts)


def test_ids_that_do_not_exist_are_refused() -> None:
    rules = mine_rules(draw_facts(3), N, R)
    with pytest.raises(MomokError, match="expected 0 to 11"):
        rules.find_evidence(np.array([N]), np.array([0]))
    with pytest.raises(MomokError, match="expected 0 to 5"):
        rules.find_evidence(np.array([0]), np.array([2 * R]))


@pytest.mark.parametrize("facts", [[], [(0, 0, 1)]])
def test_a_graph_that_follows_no_rules_gives_no_evidence(facts: list[Link]) -> None:
    rules = mine_rules(np.array(facts, dtype=np.int64).reshape(-1, 3), N, R)
    for queries in ([], [0, 0]):
        asked = np.array(queries, dtype=np.int64)
        found = rules.find_evidence(asked, asked)
        assert (found.rows.shape, found.values.shape) == ((0,), (3, 0))
    assert rules.ground(0, 1, 1) == []
