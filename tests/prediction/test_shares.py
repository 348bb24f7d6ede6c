from __future__ import annotations

import pytest
import torch

from momok.prediction.shares import average_branches, compute_modality_shares, leading_expert


def test_shares_of_a_worked_example() -> None:
    logit = torch.logit(torch.tensor([0.8, 0.4, 0.6], dtype=torch.float64))
    logits = {"structure": logit[:1], "image": logit[1:2], "joint": logit[2:]}
    attention = torch.tensor([[0.25, 0.75]], dtype=torch.float64)
    shares = compute_modality_shares(logits, ("structure", "image"), attention)
    # (0.8 + 0.6 * 0.25) / 1.8 and (0.4 + 0.6 * 0.75) / 1.8
    assert shares.tolist() == [pytest.approx([0.95 / 1.8, 0.85 / 1.8])]


def test_shares_sum_to_one_where_every_probability_is_zero() -> None:
    logits = {name: torch.tensor([-2000.0]).double() for name in ("structure", "text", "joint")}
    logits["text"] -= 2.0
    attention = torch.tensor([[0.5, 0.5]]).double()
    shares = compute_modality_shares(logits, ("structure", "text"), attention)
    assert shares.sum().item() == pytest.approx(1.0)
    assert shares[0, 0] > shares[0, 1] > 0


def test_branches_count_alike() -> None:
    weights = torch.tensor([[[0.1, 0.9]], [[0.5, 0.5]]])  # [G, n, M]
    averaged = average_branches(weights)
    assert averaged.tolist() == [pytest.approx([0.3, 0.7])]


def test_leading_expert() -> None:
    assert leading_expert([0.2, 0.5, 0.3]) == 1
    assert leading_expert([1.0]) == 0
