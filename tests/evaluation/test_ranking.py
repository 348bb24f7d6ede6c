"""Ranks against brute force, ties and filters included, and what must not change them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from momok.errors import TrainingError
from momok.evaluation import AnswerRanker, RankedQueries, Ranks, rank_in_parts
from momok.evaluation.ranking import _BYTES_PER_SCORE
from tests.oracle import ranking_oracle

Ints = NDArray[np.int64]

NOTHING_KNOWN = (np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64))


def as_pairs(known: list[set[int]]) -> tuple[Ints, Ints]:
    pairs = [(row, entity) for row, entities in enumerate(known) for entity in sorted(entities)]
    rows, entities = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    return rows, entities


def rank_answers(
    query_vectors: dict[str, torch.Tensor],
    candidates: dict[str, torch.Tensor],
    *,
    answers: Ints,
    known: tuple[Ints, Ints] = NOTHING_KNOWN,
    answer_rows: Ints | None = None,
    size: int | None = None,
    **settings: Any,
) -> dict[str, Ranks]:
    """``size`` candidates at a time, or all; answer i is of query i where no rows are given."""
    rows = np.arange(len(answers)) if answer_rows is None else answer_rows
    queries = RankedQueries(query_vectors, answers=answers, answer_rows=rows, known=known)
    if size is None:
        return AnswerRanker(candidates, **settings).rank(queries)
    starts = range(0, len(next(iter(candidates.values()))), size)
    parts = [
        (start, {h: v[start : start + size] for h, v in candidates.items()}) for start in starts
    ]
    return rank_in_parts(queries, lambda: parts, **settings)


def rank_scores(scores: list[list[float]], answers: list[int]) -> Ranks:
    """Rank by a given score matrix: unit vectors as queries make the candidates its columns."""
    matrix = torch.tensor(scores)
    ranks = rank_answers(
        {"only": torch.eye(len(scores))},
        {"only": matrix.T.contiguous()},
        answers=np.array(answers),
    )
    return ranks["only"]


PART_SIZES = st.none() | st.integers(1, 12)


@st.composite
def problems(draw: st.DrawFn) -> tuple[dict[str, torch.Tensor], ...]:
    """Two heads of vectors of zeros and ones, several answers to a query, any filter."""
    num_queries, num_candidates = draw(st.integers(1, 6)), draw(st.integers(1, 12))
    width = draw(st.integers(1, 3))
    generator = torch.Generator().manual_seed(draw(st.integers(0, 2**31)))

    def vectors(rows: int) -> dict[str, torch.Tensor]:
        shape = (rows, width)
        return {h: torch.randint(2, shape, generator=generator).float() for h in ("a", "b")}

    candidate = st.integers(0, num_candidates - 1)
    known = draw(st.lists(st.sets(candidate), min_size=num_queries, max_size=num_queries))
    asked = draw(st.lists(st.tuples(st.integers(0, num_queries - 1), candidate), max_size=20))
    return vectors(num_queries), vectors(num_candidates), known, asked


@settings(deadline=None)
@given(problem=problems(), rows_in_memory=st.integers(4, 7), part=PART_SIZES)
def test_ranks_equal_brute_force(problem, rows_in_memory: int, part: int | None) -> None:
    queries, candidates, known, asked = problem
    num_candidates = len(candidates["a"])
    ranks = rank_answers(
        queries,
        candidates,
        size=part,
        answers=np.array([answer for _, answer in asked], dtype=np.int64),
        answer_rows=np.array([row for row, _ in asked], dtype=np.int64),
        known=as_pairs(known),
        memory_budget=rows_in_memory * _BYTES_PER_SCORE * num_candidates,
    )
    assert set(ranks) == {"a", "b", "answer"}
    for position, (row, answer) in enumerate(asked):
        scores = {h: (candidates[h].double() @ queries[h][row].double()).tolist() for h in queries}
        for head, values in ranking_oracle.add_answer(scores).items():
            expected = ranking_oracle.rank(values, answer, known[row])
            found = (ranks[head].optimistic[position], ranks[head].pessimistic[position])
            assert found == expected, (head, position)
            assert ranks[head].realistic[position] == sum(expected) / 2


def test_three_tie_rules_by_hand() -> None:
    ranks = rank_scores([[5.0, 7.0, 5.0, 5.0, 1.0]], [0])
    assert ranks.optimistic.tolist() == [2]
    assert ranks.pessimistic.tolist() == [4]
    assert ranks.realistic.tolist() == [3.0]


def test_a_known_answer_counts_in_no_rank() -> None:
    # Candidate 1 beats the answer and candidate 2 ties with it; both are known.
    queries, candidates = torch.ones(1, 1), torch.tensor([[5.0], [7.0], [5.0], [5.0]])
    ranks = rank_answers(
        {"only": queries},
        {"only": candidates},
        answers=np.array([0]),
        known=(np.array([0, 0, 0]), np.array([0, 1, 2])),
    )
    assert ranks["only"].optimistic.tolist() == ranks["answer"].optimistic.tolist() == [1]
    assert ranks["only"].pessimistic.tolist() == ranks["answer"].pessimistic.tolist() == [2]


@pytest.mark.parametrize("num_queries", [1, 2, 3, 5])
@pytest.mark.parametrize("num_candidates", [37, 1003, 15005])
def test_equal_candidates_tie_wherever_they_stand(num_queries: int, num_candidates: int) -> None:
    generator = torch.Generator().manual_seed(num_candidates)
    queries = {h: torch.randn(num_queries, 256, generator=generator) for h in "abc"}
    candidates = {h: torch.randn(256, generator=generator).repeat(num_candidates, 1) for h in "abc"}
    answers = np.arange(num_queries) * 7
    ranks = rank_answers(queries, candidates, answers=answers)
    for of_head in ranks.values():
        assert of_head.optimistic.tolist() == [1] * num_queries
        assert of_head.pessimistic.tolist() == [num_candidates] * num_queries


def random_problem(num_queries: int = 60, num_candidates: int = 3001):
    generator = torch.Generator().manual_seed(1)
    heads = ("structure", "image", "text", "joint")
    queries = {h: torch.randn(num_queries, 32, generator=generator) for h in heads}
    candidates = {h: torch.randn(num_candidates, 32, generator=generator) for h in heads}
    drawn = np.random.default_rng(2)
    rows = drawn.integers(num_queries, size=200)
    answers = drawn.integers(num_candidates, size=200)
    extra = (drawn.integers(num_queries, size=500), drawn.integers(num_candidates, size=500))
    known = (np.concatenate([rows, extra[0]]), np.concatenate([answers, extra[1]]))
    return queries, candidates, rows, answers, known


def test_ranks_do_not_depend_on_the_memory_budget() -> None:
    queries, candidates, rows, answers, known = random_problem()
    problem: dict[str, Any] = {"answers": answers, "answer_rows": rows, "known": known}
    row_bytes = _BYTES_PER_SCORE * len(candidates["joint"])
    results = [
        rank_answers(queries, candidates, memory_budget=rows_in_memory * row_bytes, **problem)
        for rows_in_memory in (4, 5, 7, 59, 60, 1000)
    ]
    for other in results[1:]:
        for head, ranks in results[0].items():
            np.testing.assert_array_equal(ranks.optimistic, other[head].optimistic)
            np.testing.assert_array_equal(ranks.pessimistic, other[head].pessimistic)


def test_random_scores_equal_brute_force() -> None:
    queries, candidates, rows, answers, known = random_problem(num_queries=9, num_candidates=61)
    known_of = [set(known[1][known[0] == row].tolist()) for row in range(9)]
    ranks = rank_answers(queries, candidates, answers=answers, answer_rows=rows, known=known)
    for position, (row, answer) in enumerate(zip(rows, answers, strict=True)):
        scores = {h: (candidates[h].double() @ queries[h][row].double()).tolist() for h in queries}
        for head, values in ranking_oracle.add_answer(scores).items():
            expected = ranking_oracle.rank(values, answer, known_of[row])
            assert (ranks[head].optimistic[position], ranks[head].pessimistic[position]) == expected


@pytest.mark.parametrize("size", [1, 7, 50, 199, 200, 1000])
def test_parts_of_random_candidates_give_the_ranks_of_all(size: int) -> None:
    queries, candidates, rows, answers, known = random_problem(num_candidates=230)
    problem: dict[str, Any] = {"answers": answers, "answer_rows": rows, "known": known}
    whole = rank_answers(queries, candidates, **problem)
    in_parts = rank_answers(queries, candidates, size=size, **problem)
    assert whole.keys() == in_parts.keys()
    for head, ranks in whole.items():
        assert ranks.optimistic.tolist() == in_parts[head].optimistic.tolist()
        assert ranks.pessimistic.tolist() == in_parts[head].pessimistic.tolist()


def test_wide_tiles_are_counted_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    queries, candidates, rows, answers, known = random_problem()
    before = rank_answers(queries, candidates, answers=answers, answer_rows=rows, known=known)
    monkeypatch.setattr("momok.evaluation.ranking._MAX_TILE_COLUMNS", 1000)
    monkeypatch.setattr("momok.evaluation.ranking.CPU_TILE", 10)
    after = rank_answers(queries, candidates, answers=answers, answer_rows=rows, known=known)
    for head, ranks in before.items():
        np.testing.assert_array_equal(ranks.pessimistic, after[head].pessimistic)


def test_score_memory_stays_within_the_budget() -> None:
    queries, candidates, rows, answers, known = random_problem()
    budget = 500_000
    ranker = AnswerRanker(candidates, memory_budget=budget)
    ranker.rank(RankedQueries(queries, answers=answers, answer_rows=rows, known=known))
    buffers = [ranker._scorer._costs, ranker._scorer._total, *ranker._tiles]
    assert sum(buffer.numel() * buffer.element_size() for buffer in buffers) <= budget


def test_four_queries_are_ranked_whatever_the_budget() -> None:
    assert AnswerRanker({"joint": torch.ones(100, 4)}, memory_budget=1000).block_rows == 4


@pytest.mark.parametrize("value", [torch.nan, torch.inf, -torch.inf, 1e30])
@pytest.mark.parametrize("tower", ["queries", "candidates"])
def test_scores_that_are_not_finite_raise(value: float, tower: str) -> None:
    queries, candidates, rows, answers, known = random_problem()
    vectors = queries if tower == "queries" else candidates
    vectors["text"][3, 5] = value
    if value == 1e30:  # finite vectors whose product overflows
        queries["text"][4, 5] = candidates["text"][6, 5] = 1e30
    with pytest.raises(TrainingError, match="head 'text' are not finite"):
        rank_answers(queries, candidates, answers=answers, answer_rows=rows, known=known)


@pytest.fixture
def coarse_products() -> Iterator[None]:
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    yield
    assert torch.get_float32_matmul_precision() == "medium"
    torch.set_float32_matmul_precision(before)


@pytest.mark.usefixtures("coarse_products")
def test_scores_are_float32_whatever_the_training_precision() -> None:
    # bfloat16 has 8 bits, so 1024 and 1025 would tie; small products do not take that path.
    queries = {"only": torch.zeros(64, 256)}
    candidates = {"only": torch.zeros(300, 256)}
    queries["only"][:, 0] = 1.0
    candidates["only"][:3, 0] = torch.tensor([1024.0, 1025.0, 1026.0])
    answers = np.arange(64) % 3
    with torch.autocast("cpu", dtype=torch.bfloat16):
        ranks = rank_answers(queries, candidates, answers=answers)
    assert ranks["only"].optimistic.tolist() == (3 - answers).tolist()
    assert ranks["only"].pessimistic.tolist() == (3 - answers).tolist()


def test_bfloat16_vectors_are_taken() -> None:
    queries = {"only": torch.tensor([[1.0], [2.0]], dtype=torch.bfloat16)}
    candidates = {"only": torch.tensor([[3.0], [1.0], [2.0]], dtype=torch.bfloat16)}
    ranks = rank_answers(queries, candidates, answers=np.array([0, 1]))
    assert ranks["only"].realistic.tolist() == [1.0, 3.0]
    assert queries["only"].tolist() == [[1.0], [2.0]]


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_ranks_equal_cpu_ranks_for_exact_scores() -> None:
    queries, candidates, rows, answers, known = random_problem()
    queries, candidates = ({h: v.round() for h, v in x.items()} for x in (queries, candidates))
    on_gpu = [{h: v.cuda() for h, v in x.items()} for x in (queries, candidates)]
    here = rank_answers(queries, candidates, answers=answers, answer_rows=rows, known=known)
    there = rank_answers(*on_gpu, answers=answers, answer_rows=rows, known=known)
    for head in queries:
        np.testing.assert_array_equal(here[head].optimistic, there[head].optimistic)
        np.testing.assert_array_equal(here[head].pessimistic, there[head].pessimistic)
