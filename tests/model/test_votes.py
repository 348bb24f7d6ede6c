"""What the vectors carry besides: a score is a dot product, whoever abstains."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.model.votes import (
    ABSTAINED,
    abstains,
    average_votes,
    widen_candidates,
    widen_queries,
)


def draw(rows: int, seed: int) -> torch.Tensor:
    return torch.randn(rows, 4, generator=torch.Generator().manual_seed(seed))


@settings(deadline=None)
@given(
    queries=st.lists(st.booleans(), min_size=1, max_size=5),
    candidates=st.lists(st.booleans(), min_size=1, max_size=5),
    offset=st.sampled_from([0.0, -9.5]),
)
def test_scores_are_raised_and_heads_abstain(
    queries: list[bool], candidates: list[bool], offset: float
) -> None:
    q, c = draw(len(queries), 0), draw(len(candidates), 1)
    asked, voted = torch.tensor(queries), torch.tensor(candidates)
    wide_q = widen_queries({"a": q, "b": q}, {"b": asked}, offset=offset)
    wide_c = widen_candidates({"a": c, "b": c}, {"b": voted}, offset=offset)
    plain = q @ c.T + offset
    torch.testing.assert_close(wide_q["a"] @ wide_c["a"].T, plain, rtol=1e-5, atol=1e-5)
    scores = wide_q["b"] @ wide_c["b"].T
    both = asked[:, None] & voted[None, :]
    assert torch.equal(abstains(scores), ~both)
    torch.testing.assert_close(scores[both], plain[both], rtol=1e-5, atol=1e-5)
    assert (scores[~both] == torch.tensor(ABSTAINED)).all()  # all alike: ties


def test_nothing_is_widened_without_need() -> None:
    x = {"a": draw(3, 0)}
    assert widen_queries(x, {}, offset=0.0)["a"] is x["a"]
    assert widen_candidates(x, {}, offset=0.0)["a"] is x["a"]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_the_answer_is_the_mean_of_those_that_vote(dtype: torch.dtype) -> None:
    scores = {
        "a": torch.tensor([1.0, ABSTAINED, ABSTAINED, -3.0], dtype=dtype),
        "b": torch.tensor([2.0, -1.0, ABSTAINED, ABSTAINED], dtype=dtype),
        "c": torch.tensor([-1.0, 4.0, ABSTAINED, 0.5], dtype=dtype),
    }
    table = np.array([s.double().numpy() for s in scores.values()])
    voting = table > -1e17
    expected = [
        np.mean(1 / (1 + np.exp(-column[there]))) if there.any() else 0.0
        for column, there in zip(table.T, voting.T, strict=True)
    ]
    before = {head: s.clone() for head, s in scores.items()}
    found = average_votes(scores)
    assert found.numpy() == pytest.approx(np.array(expected), rel=1e-6)
    assert all(torch.equal(scores[head], s) for head, s in before.items())
    torch.testing.assert_close(average_votes(iter(scores.values())), found)
