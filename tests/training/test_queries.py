"""Batches of 1-N queries against a dict of answers."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.training.queries import QueryBatch, TrainingQueries

ENTITIES, RELATIONS = 7, 3
Fact = tuple[int, int, int]
ids = st.integers(0, ENTITIES - 1)
facts_of = st.sets(st.tuples(ids, st.integers(0, RELATIONS - 1), ids), min_size=1, max_size=40)


def collect(facts: set[Fact]) -> dict[tuple[int, int], set[int]]:
    answers: dict[tuple[int, int], set[int]] = defaultdict(set)
    for head, relation, tail in facts:
        answers[head, relation].add(tail)
        answers[tail, relation + RELATIONS].add(head)
    return dict(answers)


def build(facts: set[Fact]) -> TrainingQueries:
    return TrainingQueries(np.array(sorted(facts), dtype=np.int64), RELATIONS)


def read(batch: QueryBatch) -> dict[tuple[int, int], set[int]]:
    """A batch as a dict; every positive must occur once."""
    queries = list(zip(batch.heads.tolist(), batch.relations.tolist(), strict=True))
    assert len(set(queries)) == len(queries) == len(batch)
    answers: dict[tuple[int, int], set[int]] = {query: set() for query in queries}
    for row, answer in zip(batch.rows.tolist(), batch.answers.tolist(), strict=True):
        assert answer not in answers[queries[row]]
        answers[queries[row]].add(answer)
    return answers


@given(facts=facts_of, batch_size=st.integers(2, 12), seed=st.integers(0, 9))
@settings(deadline=None)
def test_an_epoch_asks_every_query_once_with_all_its_answers(facts, batch_size, seed) -> None:
    queries, expected = build(facts), collect(facts)
    assert len(queries) == len(expected)
    order = queries.permutation(torch.Generator().manual_seed(seed))
    batches = list(queries.batches(order, batch_size))
    assert len(batches) == queries.num_batches(batch_size)
    asked: dict[tuple[int, int], set[int]] = {}
    for batch in batches:
        assert batch.relations.tolist() == sorted(batch.relations.tolist())
        assert batch.answers.tolist() == sorted(batch.answers.tolist())
        found = read(batch)
        assert not asked.keys() & found.keys()
        asked |= found
    assert asked == expected
    sizes = [len(batch) for batch in batches]
    assert all(size == batch_size for size in sizes[:-1])
    assert 2 <= sizes[-1] <= batch_size + 1


@given(facts=facts_of, batch_size=st.integers(2, 6), start=st.integers(0, 8))
@settings(deadline=None)
def test_an_epoch_goes_on_where_it_was_left(facts, batch_size, start) -> None:
    queries = build(facts)
    order = queries.permutation(torch.Generator().manual_seed(1))
    whole = [read(batch) for batch in queries.batches(order, batch_size)]
    rest = [read(batch) for batch in queries.batches(order, batch_size, start=start)]
    assert rest == whole[start:]


@pytest.mark.parametrize(("count", "sizes"), [(4, [4]), (5, [5]), (6, [4, 2]), (9, [4, 5])])
def test_a_last_batch_of_one_query_joins_the_one_before(count, sizes) -> None:
    star = np.array([(0, 0, tail) for tail in range(1, count)], dtype=np.int64)
    queries = TrainingQueries(star, 1)  # one query at the head, one at each tail
    assert len(queries) == count
    assert [len(batch) for batch in queries.batches(torch.arange(count), 4)] == sizes
    assert queries.num_batches(4) == len(sizes)


def test_the_order_is_a_permutation_of_the_generator() -> None:
    queries = build({(i, i % RELATIONS, (i + 1) % ENTITIES) for i in range(ENTITIES)})
    first, second, other = (
        queries.permutation(torch.Generator().manual_seed(seed)) for seed in (1, 1, 2)
    )
    assert torch.equal(first, second)
    assert not torch.equal(first, other)
    assert sorted(first.tolist()) == list(range(len(queries)))


@given(facts=facts_of, seed=st.integers(0, 9), scale=st.sampled_from([1.0, 1e-200, 1e300]))
@settings(deadline=None)
def test_both_queries_of_a_fact_have_its_weight(facts, seed, scale) -> None:
    """Relative to the mean of all: what all are multiplied by is no matter."""
    listed = np.array(sorted(facts), dtype=np.int64)
    given_ = np.random.default_rng(seed).uniform(0.5, 2, len(listed))
    queries = TrainingQueries(listed, RELATIONS, weights=scale * given_)
    expected = dict(zip(map(tuple, listed.tolist()), given_ / given_.mean(), strict=True))
    order, found = queries.permutation(torch.Generator().manual_seed(seed)), []
    for batch in queries.batches(order, 4):
        if len(facts) == 1:
            assert batch.weights is None
            assert batch.total == len(batch.rows)
            return
        assert batch.weights is not None
        assert batch.total == pytest.approx(batch.weights.sum().item())
        asked = batch.heads[batch.rows], batch.relations[batch.rows], batch.answers
        for (head, relation, tail), weight in zip(
            torch.stack(asked, 1).tolist(), batch.weights.tolist(), strict=True
        ):
            inverse = relation >= RELATIONS
            fact = (tail, relation - RELATIONS, head) if inverse else (head, relation, tail)
            assert weight == pytest.approx(expected[fact], rel=1e-12)
            found.append((fact, inverse))
    assert sorted(found) == sorted((fact, way) for fact in facts for way in (False, True))


def test_weights_that_are_all_the_same_are_none() -> None:
    facts = np.array([(0, 1, 2), (2, 1, 0)], dtype=np.int64)
    assert TrainingQueries(facts, RELATIONS, weights=np.full(2, 0.3)).weights is None


def test_weights_far_apart_stay_in_reach_of_float32() -> None:
    facts = np.array([(0, 1, 2), (2, 1, 0)], dtype=np.int64)
    weights = TrainingQueries(facts, RELATIONS, weights=np.array([1e-300, 1.0])).weights
    assert weights is not None
    assert 0 < float(weights.min().float() / weights.max().float()) < 1e-29
    assert (1 / weights.float()).isfinite().all()


def test_the_facts_are_left_as_they_were() -> None:
    facts = np.array([(0, 1, 2), (2, 1, 0)], dtype=np.int64)
    TrainingQueries(facts, RELATIONS)
    assert facts.tolist() == [[0, 1, 2], [2, 1, 0]]
