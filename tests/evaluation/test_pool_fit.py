"""The pool against heads that know something and heads that know nothing."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from momok.evaluation import evaluate
from momok.evaluation.pool_fit import fit_pool
from momok.graph import MultimodalGraph, Vocabulary
from momok.rules import mine_rules

N, R = 60, 2


class TableModel:
    """Heads whose log-probabilities are given: per head [2R, N, N]."""

    training, softmax, modalities = False, True, ()

    def __init__(self, scores: Mapping[str, Tensor]) -> None:
        self.heads = tuple(scores)
        self._tables = {h: torch.log_softmax(s, dim=2) for h, s in scores.items()}
        self.present: dict[str, Tensor] = {self.heads[0]: torch.ones(N, dtype=torch.bool)}

    def queries(self, heads: Tensor, relations: Tensor) -> Any:
        return SimpleNamespace(vectors={h: t[relations, heads] for h, t in self._tables.items()})

    def candidates(self, ids: slice | None = None) -> Any:
        return SimpleNamespace(vectors=dict.fromkeys(self.heads, torch.eye(N)[ids or slice(None)]))

    def train(self, mode: bool = True) -> TableModel:
        assert not mode
        return self


def make_graph(seed: int) -> MultimodalGraph:
    random = np.random.default_rng(seed)
    facts = np.unique(random.integers(0, [N, R, N], (700, 3)), axis=0)
    facts = facts[random.permutation(len(facts))]
    return MultimodalGraph(
        name="random",
        entities=Vocabulary(tuple(f"e{i}" for i in range(N))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(R))),
        train=facts[:300],
        valid=facts[300:500],
        test=facts[500:],
    )


def know(graph: MultimodalGraph, seed: int, strength: float, relations: range) -> Tensor:
    """Scores that are noise, and higher for facts of some relations, whichever the split."""
    generator = torch.Generator().manual_seed(seed)
    scores = torch.randn(2 * R, N, N, generator=generator)
    h, r, t = torch.from_numpy(np.concatenate([graph.train, graph.valid, graph.test])).T
    known = torch.tensor([int(x) in relations for x in r])
    scores[r[known], h[known], t[known]] += strength
    scores[r[known] + R, t[known], h[known]] += strength
    return scores


def test_a_head_of_noise_does_no_harm_and_is_named() -> None:
    graph = make_graph(1)
    knows = know(graph, 1, 3.0, range(R))
    noise = 3 * torch.randn(2 * R, N, N, generator=torch.Generator().manual_seed(2))
    model = TableModel({"structure": knows, "noise": noise})
    pool = fit_pool(model, graph, None)
    mrr = pool.about["mrr"]
    assert pool.about["chosen"] != "noise"
    assert mrr[pool.about["chosen"]] >= max(mrr["structure"], mrr["noise"])
    assert mrr["structure"] > mrr["equal"]  # the mean is what noise would harm
    assert pool.about["brings"]["structure"] > 0.1
    assert pool.about["brings"]["noise"] < 0.01
    alone = evaluate(model, graph, "valid").overall["structure"].mrr
    pooled = evaluate(model, graph, "valid", pool=pool).overall["answer"].mrr
    assert alone is not None
    assert pooled is not None
    assert pooled >= alone - 1e-9


def test_each_relation_has_the_head_that_knows_it() -> None:
    graph = make_graph(2)
    model = TableModel(
        {"first": know(graph, 3, 4.0, range(1)), "second": know(graph, 4, 4.0, range(1, 2))}
    )
    pool = fit_pool(model, graph, None)
    assert str(pool.about["chosen"]).startswith("by relation")
    weights = pool.weights
    assert (weights[[0, R], 0] > weights[[0, R], 1]).all()
    assert (weights[[1, R + 1], 1] > weights[[1, R + 1], 0]).all()
    test = evaluate(model, graph, "test", pool=pool).overall
    assert test["answer"].mrr is not None
    assert test["first"].mrr is not None
    assert test["answer"].mrr > test["first"].mrr


def test_what_an_absent_modality_changes() -> None:
    graph = make_graph(3)
    knows = know(graph, 5, 3.0, range(R))
    half = torch.arange(N) % 2 == 0
    seen = torch.where(half[None, :, None], know(graph, 6, 5.0, range(R)), torch.randn(2 * R, N, N))
    model = TableModel({"structure": knows, "text": seen})
    model.present = {"text": half}
    pool = fit_pool(model, graph, None)
    assert pool.absent[1] < -0.05
    terms = pool.find_terms(np.array([0, 1]), np.array([0, 0]))
    assert terms.weights[0, 1] > terms.weights[1, 1]
    assert terms.weights[0, 0] == pytest.approx(float(terms.weights[1, 0]))


def test_rules_are_weighed_with_the_heads() -> None:
    random = np.random.default_rng(5)
    pairs = np.unique(random.integers(0, N, (260, 2)), axis=0)
    pairs = pairs[(pairs[:, 0] != pairs[:, 1])][random.permutation(200)]
    same = [np.column_stack([pairs[:, 0], np.full(len(pairs), r), pairs[:, 1]]) for r in (0, 1)]
    graph = make_graph(4)
    graph = MultimodalGraph(
        name="duplicate",
        entities=graph.entities,
        relations=graph.relations,
        train=np.concatenate([same[0], same[1][:80]]),
        valid=same[1][80:140],
        test=same[1][140:],
    )
    rules = mine_rules(graph.train, N, R)
    model = TableModel({"noise": torch.randn(2 * R, N, N, generator=torch.Generator())})
    pool = fit_pool(model, graph, rules)
    found = evaluate(model, graph, "test", pool=pool).overall
    assert found["answer"].mrr is not None
    assert found["answer"].mrr > 0.9  # r0(x, y) -> r1(x, y)
    assert pool.heads == ("noise",)
    assert pool.about["brings"]["rules"] > 0.5
