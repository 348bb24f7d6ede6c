"""The part of every head and every modality in an answer.

The answer is the mean over decision heads of ``p_h = sigmoid(score_h)``, so its parts have shares:
``p_h / sum_h p_h`` of a head, and ``(p_m + p_joint * alpha_m) / sum_h p_h`` of a modality, with the
joint head's attention ``alpha`` over modalities (MuJoD; Zhang et al. 2025, arXiv:2405.16869,
section 3.2), averaged over its branches and over query and candidate; even where it has none. The
shares of a pool are those of ``momok.evaluation.pooling.compute_pooled_shares``.

Shapes: P pairs of query and candidate, n rows, H heads, M modalities, K experts, G branches of
the fusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from momok.evaluation.pooling import MEAN, Pooling
from momok.model import JOINT


def average_branches(fusion_weights: Tensor) -> Tensor:
    """The joint head's attention over modalities, [G, n, M] to [n, M]: float64, rows sum to one."""
    mean = fusion_weights.double().mean(dim=0)
    return mean / mean.sum(dim=1, keepdim=True)  # the softmax's sum is one in float32 only


def compute_head_shares(scores: Mapping[str, Tensor], pooling: Pooling = MEAN) -> dict[str, Tensor]:
    """The part of every head in the sum of the probabilities of ``scores``: per head [P]."""
    # As a softmax of log-probabilities: exact where every probability underflows to zero.
    stacked = torch.stack([pooling.compute_log_probabilities(x) for x in scores.values()])
    return dict(zip(scores, torch.softmax(stacked, dim=0), strict=True))


def compute_modality_shares(
    scores: Mapping[str, Tensor],
    modalities: Sequence[str],
    attention: Tensor,
    pooling: Pooling = MEAN,
) -> Tensor:
    """The part of every modality in the answer: [P, M], rows that sum to one.

    Modalities that are heads have a part of their own; that of the joint head, where there is one,
    is dealt out by its ``attention`` [P, M]. ``scores`` are float64.
    """
    parts = compute_head_shares(scores, pooling)
    nothing = torch.zeros_like(next(iter(parts.values())))
    own = torch.stack([parts.get(modality, nothing) for modality in modalities], dim=1)
    return own + parts.get(JOINT, nothing).unsqueeze(1) * attention


def leading_expert(gate: Sequence[float]) -> int:
    """The number of the expert with the largest gate weight, from 0."""
    return max(range(len(gate)), key=gate.__getitem__)
