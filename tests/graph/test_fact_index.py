"""The index of facts, against plain dicts and loops."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.errors import DataError
from momok.graph.fact_index import UNKNOWN, FactIndex, lookup_excluded

N, R = 5, 2
facts = st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1))
splits = st.lists(st.lists(facts, max_size=20), min_size=1, max_size=3)
QUERIES = [(entity, relation) for relation in range(2 * R) for entity in range(N)]


def build_index(splits):
    return FactIndex([np.array(s, dtype=np.int64).reshape(-1, 3) for s in splits], N, R)


def answer_all(splits):
    """Per query, the row of the first fact that gives each answer."""
    rows = defaultdict(dict)
    for row, (h, r, t) in enumerate(fact for split in splits for fact in split):
        rows[h, r].setdefault(t, row)
        rows[t, r + R].setdefault(h, row)
    return rows


@settings(deadline=None)
@given(splits)
def test_answers_of_queries(splits):
    index, expected = build_index(splits), answer_all(splits)
    rows, answers = index.lookup(*np.array(QUERIES).T)
    assert list(zip(rows.tolist(), answers.tolist(), strict=True)) == [
        (row, answer) for row, query in enumerate(QUERIES) for answer in sorted(expected[query])
    ]
    asked = [relation * N + entity for entity, relation in QUERIES if expected[entity, relation]]
    assert index.keys.tolist() == asked


@settings(deadline=None)
@given(splits)
def test_rows_and_splits_of_facts(splits):
    index, expected = build_index(splits), answer_all(splits)
    cells = [(*query, answer) for query in QUERIES for answer in range(N)]
    rows = index.find_rows(*np.array(cells).T).tolist()
    assert rows == [expected[e, r].get(a, UNKNOWN) for e, r, a in cells]
    split_of = [i for i, split in enumerate(splits) for _ in split]
    found = index.find_splits(*np.array(cells).T).tolist()
    assert found == [UNKNOWN if row == UNKNOWN else split_of[row] for row in rows]


@settings(deadline=None)
@given(splits)
def test_entities_of_relations(splits):
    index = build_index(splits)
    distinct = {fact for split in splits for fact in split}
    for relation in range(R):
        tails = sorted({t for _, r, t in distinct if r == relation})
        heads = sorted({h for h, r, _ in distinct if r == relation})
        assert index.entities_of(relation).tolist() == tails
        assert index.entities_of(relation + R).tolist() == heads
    assert index.relation_counts.tolist() == [sum(f[1] == r for f in distinct) for r in range(R)]


@settings(deadline=None)
@given(splits, splits)
def test_what_is_no_new_answer(known_splits, train_splits):
    known, train = build_index(known_splits), build_index(train_splits)
    loops = {r for split in train_splits for h, r, t in split if h == t}
    answers, asked = answer_all(known_splits), np.array(QUERIES)
    own, excluded = set(), set()
    for row, (entity, relation) in enumerate(QUERIES):
        own |= {(row, entity)} if relation % R not in loops else set()
        excluded |= {(row, answer) for answer in answers[entity, relation]}
    found = list(zip(*train.lookup_own(*asked.T), strict=True))
    assert sorted(found) == sorted(own)
    found = list(zip(*lookup_excluded(known, train, *asked.T), strict=True))
    assert sorted(found) == sorted(own | excluded)


@settings(deadline=None)
@given(splits)
def test_facts_of_entities(splits):
    index, expected = build_index(splits), answer_all(splits)
    for entity in range(N):
        wanted = [
            (relation, other, row)
            for relation in range(2 * R)
            for other, row in sorted(expected[entity, relation].items())
        ]
        relations, others, rows = index.about(entity)
        found = zip(relations.tolist(), others.tolist(), rows.tolist(), strict=True)
        assert list(found) == wanted
        assert index.degrees[entity] == len(wanted)


def test_a_graph_too_large_for_the_keys_is_refused():
    with pytest.raises(DataError, match="too many for 64-bit keys"):
        FactIndex([np.array([(0, 0, 1)])], 2**31, 2)
