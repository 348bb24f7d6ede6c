"""Evidence of rules against counting by hand."""

from __future__ import annotations

from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from momok.errors import MomokError
from momok.rules import KINDS, Rules, mine_rules

N, R = 12, 3


def draw_facts(seed: int, count: int = 60) -> NDArray[np.int64]:
    facts = np.random.default_rng(seed).integers(0, [N, R, N], (count, 3))
    return np.unique(facts[facts[:, 0] != facts[:, 2]], axis=0)


def find_links(facts: NDArray[np.int64]) -> set[tuple[int, int, int]]:
    """(x, r, y) in both directions."""
    forward = [(int(h), int(r), int(t)) for h, r, t in facts]
    return {*forward, *((t, r + R, h) for h, r, t in forward)}


def weigh(support: int, body: int) -> float:
    return -np.log1p(-min(support / (body + 5), 0.99))


def count_one_step(links: set[tuple[int, int, int]]) -> dict[tuple[int, int, int], float]:
    """What r'(x, y) says of r(x, y): by (x, r, y)."""
    found: dict[tuple[int, int, int], float] = {}
    for body, r in product(range(2 * R), range(2 * R)):
        pairs = {(x, y) for x, q, y in links if q == body}
        support = sum((x, r, y) in links for x, y in pairs)
        if body == r or not support:
            continue
        for x, y in pairs:
            found[x, r, y] = found.get((x, r, y), 0.0) + weigh(support, len(pairs))
    return found


def count_two_steps(links: set[tuple[int, int, int]]) -> dict[tuple[int, int, int], float]:
    """What r1(x, z), r2(z, y) say of r(x, y), path by path: by (x, r, y)."""
    paths: dict[tuple[int, int], list[tuple[int, int]]] = {}
    for (x, r1, z), (middle, r2, y) in product(links, links):
        if z == middle and x != y:
            paths.setdefault((r1, r2), []).append((x, y))
    found: dict[tuple[int, int, int], float] = {}
    for pairs, r in product(paths.values(), range(2 * R)):
        support = sum((x, r, y) in links for x, y in pairs)
        if support >= 2:
            for x, y in pairs:
                found[x, r, y] = found.get((x, r, y), 0.0) + weigh(support, len(pairs))
    return found


@settings(deadline=None, max_examples=25)
@given(seed=st.integers(0, 10_000))
def test_steps_are_counted_as_by_hand(seed: int) -> None:
    facts = draw_facts(seed)
    links = find_links(facts)
    rules = mine_rules(facts, N, R)
    heads, relations = (x.ravel() for x in np.meshgrid(np.arange(N), np.arange(2 * R)))
    found = rules.find_evidence(heads, relations)
    keys = found.rows * N + found.columns
    assert (np.diff(keys) > 0).all()
    assert (found.values > 0).any(axis=0).all()
    for kind, expected in (
        ("one_step", count_one_step(links)),
        ("two_steps", count_two_steps(links)),
    ):
        values = found.values[KINDS.index(kind)]
        said = {
            (int(heads[row]), int(relations[row]), int(column)): float(value)
            for row, column, value in zip(found.rows, found.columns, values, strict=True)
            if value > 0
        }
        assert said == pytest.approx(expected, rel=1e-4), kind


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
