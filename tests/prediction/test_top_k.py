"""Top-k in blocks against sorting in plain Python, ties included."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from momok.prediction.top_k import NOTHING, find_best

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
