"""Top-k in blocks against sorting in plain Python, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from momok.prediction.top_k import NOTHING, find_best, find_rank, score_pairs

NO_PAIRS = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)


@given(st.data())
def test_best_are_found_in_order_of_score_then_id(data: st.DataObject) -> None:
    rows = data.draw(st.integers(1, 4), "queries")
    count = data.draw(st.integers(1, 12), "candidates")
    k = data.draw(st.integers(1, 14), "k")
    seed = data.draw(st.integers(0, 1000), "seed")
    generator = torch.Generator().manual_seed(seed)
    # Whole numbers of a small range: products are exact, and many are equal.
    queries = {h: torch.randint(-1, 2, (rows, 2), generator=generator).float() for h in "ab"}
    candidates = {h: torch.randint(-1, 2, (count, 2), generator=generator).float() for h in "ab"}
    mask = torch.rand((rows, count), generator=generator) < 0.3
    hidden = tuple(part.numpy() for part in mask.nonzero(as_tuple=True))

    found = find_best(queries, candidates, k, hidden=hidden, memory_budget=1 << 20)  # type: ignore[arg-type]

    among = sorted(data.draw(st.sets(st.integers(0, count - 1)), "among"))
    part = find_best(  # type: ignore[call-overload]
        queries,
        candidates,
        k,
        hidden=hidden,
        memory_budget=1 << 20,
        among=np.array(among, dtype=np.int64),
    )

    total = torch.stack([1 / (1 + torch.exp(-queries[h] @ candidates[h].T)) for h in "ab"]).sum(0)
    for row in range(rows):
        order = sorted(range(count), key=lambda i: (-float(total[row, i]), i))
        expected = [i for i in order if not mask[row, i]][:k]
        expected += [NOTHING] * (min(k, count) - len(expected))
        assert found[row].tolist() == expected
        expected = [i for i in order if not mask[row, i] and i in among][:k]
        expected += [NOTHING] * (min(k, len(among)) - len(expected))
        assert part[row].tolist() == expected


@pytest.mark.parametrize("budget", [1, 1 << 20])
def test_the_mean_is_over_the_heads_that_vote(budget: int) -> None:
    """Head b abstains on candidates 1 and 3; a sum would put them behind."""
    queries = {"a": torch.tensor([[1.0]]), "b": torch.tensor([[1.0, 1.0, 0.0]])}
    candidates = {
        "a": torch.tensor([[0.5], [2.0], [1.0], [-1.0], [0.0]]),
        "b": torch.tensor([[1.5, 0, 1], [0, -1e18, 1], [1.0, 0, 1], [0, -1e18, 1], [-9, 0, 1]]),
    }
    found = find_best(
        queries, candidates, 5, hidden=NO_PAIRS, memory_budget=budget, abstentions=True
    )
    assert found.tolist() == [[1, 2, 0, 3, 4]]  # 0.88, 0.73, 0.72, 0.27, 0.25
    nothing = np.empty(0, dtype=np.int64)
    for place, answer in enumerate(found[0].tolist(), start=1):
        assert place == find_rank(
            queries, candidates, answer, hidden=nothing, memory_budget=budget, abstentions=True
        )


@pytest.mark.parametrize("rows", [1, 3])
def test_blocks_change_nothing(rows: int) -> None:
    generator = torch.Generator().manual_seed(1)
    queries = {"a": torch.randint(-2, 3, (rows, 4), generator=generator).float()}
    candidates = {"a": torch.randint(-2, 3, (5000, 4), generator=generator).float()}
    hidden = np.repeat(np.arange(rows), 900), np.tile(np.arange(300, 1200), rows)
    whole = find_best(queries, candidates, 2500, hidden=hidden, memory_budget=1 << 30)
    blocks = find_best(queries, candidates, 2500, hidden=hidden, memory_budget=1)
    assert torch.equal(whole, blocks)


def test_extreme_scores_keep_their_order() -> None:
    candidates = {"a": torch.tensor([[-1e30], [0.0], [1e30], [-1e30], [1.0]])}
    found = find_best(
        {"a": torch.ones(1, 1)}, candidates, 5, hidden=NO_PAIRS, memory_budget=1 << 20
    )
    assert found.tolist() == [[2, 4, 1, 0, 3]]


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
