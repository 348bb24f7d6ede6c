"""Scores of blocks and of single pairs, and the answer, against plain arithmetic."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from momok.evaluation.pooling import LOG_LINEAR, MEAN, Pooling, choose_pooling
from momok.evaluation.ranking import AnswerRanker, RankedQueries
from momok.evaluation.scoring import BlockScorer, score_pairs


def draw(rows: int, seed: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {head: torch.randn(rows, 8, generator=generator) for head in "ab"}


@pytest.mark.parametrize("rows", [1, 3, 4, 9])
def test_a_block_is_the_mean_of_the_sigmoids(rows: int) -> None:
    queries, candidates = draw(rows, 1), draw(5, 2)
    scores = {h: queries[h].double() @ candidates[h].double().T for h in "ab"}
    expected = torch.stack([1 / (1 + torch.exp(-part)) for part in scores.values()]).mean(dim=0)
    scorer = BlockScorer()
    assert torch.allclose(scorer.answer(queries, candidates).double(), expected, atol=1e-6)
    assert torch.allclose(MEAN.pool(scores), expected, atol=1e-15)
    seen = {}

    def see(head: str, costs: torch.Tensor) -> None:
        seen[head] = -costs.double()

    assert torch.equal(
        scorer.score(queries, candidates, see) / 2, scorer.answer(queries, candidates)
    )
    for head, values in scores.items():
        assert torch.allclose(seen[head], values, atol=1e-5)


def test_smaller_and_larger_blocks_share_the_memory() -> None:
    scorer, queries, candidates = BlockScorer(), draw(6, 3), draw(7, 4)
    large = scorer.answer(queries, candidates).clone()
    few = {head: vectors[:4] for head, vectors in queries.items()}
    assert torch.equal(scorer.answer(few, candidates), large[:4])
    assert torch.equal(scorer.answer(queries, candidates), large)


@pytest.mark.parametrize("answer", [0.001, 0.3, 0.5, 0.9, 1 - 1e-12])
def test_some_head_reaches_the_least_score_of_an_answer(answer: float) -> None:
    least = MEAN.find_least_bound(answer)
    assert 1 / (1 + np.exp(-least)) == pytest.approx(answer, rel=1e-12)
    assert MEAN.find_least_bound(0.0) == -np.inf
    assert MEAN.find_least_bound(1.0) >= least


def test_pairs_are_scored_in_pieces() -> None:
    generator = torch.Generator().manual_seed(2)
    queries = {"a": torch.randn(3, 8, generator=generator)}
    candidates = {"a": torch.randn(5, 8, generator=generator)}
    rows, ids = torch.tensor([0, 2, 1, 1]), torch.tensor([4, 0, 3, 3])
    expected = (queries["a"].double() @ candidates["a"].double().T)[rows, ids]
    for budget in (1, 1 << 20):
        scores = score_pairs(queries, candidates, rows, ids, memory_budget=budget)["a"]
        assert scores.dtype == torch.float64
        assert torch.allclose(scores, expected, rtol=0, atol=1e-12)


def test_without_weights_the_answer_of_a_softmax_is_the_geometric_mean() -> None:
    queries, candidates = draw(6, 1), draw(50, 2)
    scores = {h: queries[h].double() @ candidates[h].double().T for h in "ab"}
    normalisers = {h: torch.logsumexp(part, 1, keepdim=True) for h, part in scores.items()}
    wide_queries = {h: torch.cat([queries[h], -normalisers[h].float()], 1) for h in "ab"}
    wide = {h: torch.cat([c, torch.ones(50, 1)], 1) for h, c in candidates.items()}
    logs = {h: torch.log_softmax(part, 1) for h, part in scores.items()}
    expected = (logs["a"].exp() * logs["b"].exp()).sqrt()
    found = BlockScorer(LOG_LINEAR).answer(wide_queries, wide).double()
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-12)
    torch.testing.assert_close(LOG_LINEAR.pool(logs), expected)
    assert choose_pooling(True) is LOG_LINEAR
    assert choose_pooling(False) is MEAN
    # it ranks like the sum of the scores
    queries_of = RankedQueries(
        wide_queries,
        answers=np.arange(6),
        answer_rows=np.arange(6),
        known=(np.empty(0, np.int64), np.empty(0, np.int64)),
    )
    ranks = AnswerRanker(wide, pooling=LOG_LINEAR).rank(queries_of)["answer"].optimistic
    total = scores["a"] + scores["b"]
    assert ranks.tolist() == [1 + int((total[i] > total[i, i]).sum()) for i in range(6)]


@pytest.mark.parametrize("pooling", [MEAN, LOG_LINEAR])
@pytest.mark.parametrize("answer", [1e-6, 0.2, 0.9])
def test_scores_probabilities_and_bounds_agree(pooling: Pooling, answer: float) -> None:
    score = pooling.find_scores(torch.tensor(answer, dtype=torch.float64))
    assert float(pooling.compute_log_probabilities(score).exp()) == pytest.approx(answer)
    assert pooling.find_least_bound(answer) == pytest.approx(float(score))
    assert pooling.find_least_bound(0.0) == -np.inf
    pooled = pooling.pool({"a": score, "b": score - 1.0})
    assert float(pooled) < answer
    assert max(float(score), float(score) - 1) >= pooling.find_least_bound(float(pooled))
