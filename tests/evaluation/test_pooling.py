"""Weighted heads and evidence: blocks, ranks, best answers and pairs against dense arithmetic."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.evaluation.pooling import (
    LOG_LINEAR,
    Terms,
    collect_terms,
    compute_pooled_shares,
    join_terms,
)
from momok.evaluation.ranking import AnswerRanker, RankedQueries, rank_in_parts
from momok.evaluation.scoring import BlockScorer
from momok.prediction.top_k import find_best


class Case:
    """B queries, n candidates and their terms, from one seed; ``total`` [B, n] is float64."""

    def __init__(self, seed: int, queries: int = 5, candidates: int = 40) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.queries = {h: torch.randn(queries, 6, generator=generator) for h in "abc"}
        self.candidates = {h: torch.randn(candidates, 6, generator=generator) for h in "abc"}
        weights = torch.rand(queries, 3, generator=generator)
        there = torch.rand(queries, candidates, generator=generator) < 0.3
        self.evidence = torch.randn(queries, candidates, generator=generator) * there
        rows, columns = self.evidence.nonzero(as_tuple=True)
        self.terms = collect_terms(
            weights, rows.numpy(), columns.numpy(), self.evidence[rows, columns]
        )
        scores = torch.stack(
            [self.queries[h].double() @ self.candidates[h].double().T for h in "abc"]
        )
        self.scores = dict(zip("abc", scores, strict=True))
        weighted = weights.double().T[:, :, None] * scores
        self.total = weighted.sum(dim=0) + self.evidence.double()

    def select(self, rows: torch.Tensor) -> Terms:
        return self.terms.select(rows)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), first=st.integers(0, 39))
def test_a_block_is_the_weighted_sum_and_the_evidence(seed: int, first: int) -> None:
    case = Case(seed)
    part = {h: c[first:] for h, c in case.candidates.items()}
    found = BlockScorer(LOG_LINEAR).score(case.queries, part, terms=case.terms, first=first)
    torch.testing.assert_close(found.double(), case.total[:, first:], rtol=1e-4, atol=1e-5)


@settings(deadline=None)
@given(seed=st.integers(0, 1000), chosen=st.lists(st.integers(0, 4), max_size=7))
def test_terms_of_some_queries_and_candidates(seed: int, chosen: list[int]) -> None:
    case = Case(seed)
    rows = torch.tensor(chosen, dtype=torch.int64)
    ids = torch.arange(1, 40, 3)
    terms = case.terms.select(rows).restrict(ids)
    scores = torch.zeros(len(rows), len(ids))
    terms.add_to(scores, 0)
    assert torch.equal(scores, case.evidence[rows][:, ids])
    assert torch.equal(terms.weights, case.terms.weights[rows])
    again = join_terms([case.terms.select(torch.tensor([row])) for row in range(5)])
    for name, value in vars(case.terms).items():
        assert torch.equal(value, getattr(again, name)), name


def test_pairs_are_pooled_like_blocks_and_made_probabilities() -> None:
    case = Case(3)
    constants = -torch.logsumexp(case.total, dim=1)
    terms = Terms(**{**vars(case.terms), "constants": constants})
    rows, ids = torch.arange(5).repeat_interleave(40), torch.arange(40).repeat(5)
    pairs = {h: scores[rows, ids] for h, scores in case.scores.items()}
    found = LOG_LINEAR.pool(pairs, terms, rows, ids).view(5, 40)
    expected = torch.softmax(case.total, dim=1)
    torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-12)
    answers = BlockScorer(LOG_LINEAR).answer(case.queries, case.candidates, terms=terms)
    torch.testing.assert_close(answers.double(), expected, rtol=1e-4, atol=1e-7)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), size=st.integers(1, 40), budget=st.sampled_from([1, 1 << 20]))
def test_ranks_of_the_pooled_answer_whole_and_in_parts(seed: int, size: int, budget: int) -> None:
    case = Case(seed)
    answers = np.array([3, 7, 7, 39, 0, 11])
    queries = RankedQueries(
        case.queries,
        answers=answers,
        answer_rows=np.array([0, 1, 2, 3, 4, 4]),
        known=(np.array([0, 1]), np.array([5, 7])),
        terms=case.terms,
    )
    ranker = AnswerRanker(case.candidates, pooling=LOG_LINEAR, memory_budget=budget)
    whole = ranker.rank(queries)["answer"]
    total = case.total.clone()
    total[0, 5] = -torch.inf
    for place, (row, answer) in enumerate(zip(queries.answer_rows, answers, strict=True)):
        better = int((total[row] > case.total[row, answer]).sum())
        assert whole.optimistic[place] == 1 + better

    def parts() -> list[tuple[int, dict[str, torch.Tensor]]]:
        return [
            (start, {h: c[start : start + size] for h, c in case.candidates.items()})
            for start in range(0, 40, size)
        ]

    again = rank_in_parts(queries, parts, pooling=LOG_LINEAR, memory_budget=budget)["answer"]
    assert np.array_equal(again.optimistic, whole.optimistic)
    assert np.array_equal(again.pessimistic, whole.pessimistic)


@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), k=st.integers(1, 45))
def test_the_best_by_weights_and_evidence(seed: int, k: int) -> None:
    case = Case(seed)
    nothing = np.empty(0, dtype=np.int64)
    among = np.arange(0, 40, 2)
    for ids in (None, among):
        found = find_best(
            case.queries,
            case.candidates,
            k,
            hidden=(nothing, nothing),
            memory_budget=1 << 20,
            among=ids,
            pooling=LOG_LINEAR,
            terms=case.terms,
        )
        places = torch.arange(40) if ids is None else torch.from_numpy(ids)
        order = case.total[:, places].argsort(dim=1, descending=True)[:, :k]
        assert torch.equal(found, places[order])


def test_shares_are_what_raises_an_answer_above_a_guess() -> None:
    weights = torch.tensor([[0.5, 0.25]])
    terms = collect_terms(weights, np.array([0]), np.array([1]), torch.tensor([0.5]))
    scores = {"a": torch.log(torch.tensor([0.5, 0.1])), "b": torch.log(torch.tensor([0.1, 0.1]))}
    rows, ids = torch.tensor([0, 0]), torch.tensor([1, 2])
    found = compute_pooled_shares(scores, terms, rows, ids, candidates=4)
    raised = 0.5 * np.log(0.5 / 0.25)  # b says less than a guess among four
    expected = [[raised / (raised + 0.5), 0.0, 0.5 / (raised + 0.5)], [2 / 3, 1 / 3, 0.0]]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-6)
