"""The search of new facts against looking at every pair."""

from __future__ import annotations

import itertools
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.prediction.missing.search import FoundFacts, find_new_facts
from momok.prediction.scorer import Scorer
from tests.prediction.vector_scorer import VectorScorer, draw_graph


def known_pairs(scorer: VectorScorer, relation: int) -> set[tuple[int, int]]:
    graph = scorer.graph
    facts = np.concatenate([graph.train, graph.valid, graph.test])
    return {(h, t) for h, r, t in facts.tolist() if r == relation}


def search_all(scorer: VectorScorer, relation: int) -> list[tuple[float, int, int]]:
    """All new facts as (score, head, tail), best first, then by ids; of an entity with itself only
    where train has such."""
    scores, known = scorer.fact_scores(relation), known_pairs(scorer, relation)
    loops = any(h == t and r == relation for h, r, t in scorer.graph.train.tolist())
    pairs = itertools.product(range(scorer.graph.num_entities), repeat=2)
    new = [(h, t) for h, t in pairs if (h, t) not in known and (loops or h != t)]
    found = [(float(scores[h, t]), h, t) for h, t in new]
    return sorted(found, key=lambda fact: (-fact[0], fact[1], fact[2]))


def assert_same(found: FoundFacts, expected: list[tuple[float, int, int]]) -> None:
    assert found.scores == pytest.approx([score for score, _, _ in expected], abs=1e-6)
    pairs = list(zip(found.heads.tolist(), found.tails.tolist(), strict=True))
    assert pairs == [(h, t) for _, h, t in expected]


@settings(deadline=None)
@given(
    seed=st.integers(0, 10_000),
    whole=st.booleans(),
    softmax=st.sampled_from(["", "equal", "pooled"]),
    limit=st.integers(1, 100),
    budget=st.sampled_from([1, 500, 1 << 20]),
    floor=st.sampled_from([0.0, 0.01, 0.3, 0.5]),
)
def test_the_search_finds_what_looking_at_all_pairs_finds(
    *, seed: int, whole: bool, softmax: str, limit: int, budget: int, floor: float
) -> None:
    scorer = VectorScorer(
        draw_graph(seed),
        seed,
        whole=whole and not softmax,
        softmax=bool(softmax),
        pooled=softmax == "pooled",
    )
    scorer.memory_budget = budget
    found = find_new_facts(cast(Scorer, scorer), seed % 2, limit=limit, floor=floor)
    expected = [fact for fact in search_all(scorer, seed % 2) if fact[0] >= floor][:limit]
    assert_same(found, expected)


def test_many_tiles_and_few_kept_facts() -> None:
    """More entities than a tile has, so that the rising threshold skips pairs."""
    graph = draw_graph(1, entities=700, relations=1, facts=4000)
    scorer = VectorScorer(graph, 1, heads=3)
    scorer.memory_budget = 1 << 16
    found = find_new_facts(cast(Scorer, scorer), 0, limit=50)
    assert_same(found, search_all(scorer, 0)[:50])


def test_scores_far_out_are_told_apart() -> None:
    scorer = VectorScorer(draw_graph(2), 2)
    for table in scorer.candidates.vectors.values():
        table.mul_(30)  # many probabilities are 1 in float32
    found = find_new_facts(cast(Scorer, scorer), 0, limit=5)
    every = search_all(scorer, 0)
    assert found.scores == pytest.approx([score for score, _, _ in every[:5]], abs=1e-12)


def test_facts_of_several_relations_are_ranked_together() -> None:
    scorer = cast(Scorer, VectorScorer(draw_graph(3), 3))
    parts = [find_new_facts(scorer, relation, limit=5) for relation in (1, 0)]
    best = FoundFacts.concatenate(*parts).rank(7)
    assert len(best) == 7
    assert best.scores.tolist() == sorted(np.concatenate([p.scores for p in parts]))[::-1][:7]
    assert set(best.relations.tolist()) == {0, 1}
    assert len(FoundFacts.concatenate().rank()) == 0
