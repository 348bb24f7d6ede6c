"""Which heads, modalities and experts an answer came from.

The answer of the model is the mean over decision heads of ``p_h = sigmoid(score_h)``. It is a sum,
so it can be cut into the parts that its heads put in:

- share of a head: ``p_h / sum_h p_h``;
- share of a modality: ``(p_m + p_joint * alpha_m) / sum_h p_h``. The joint head's part is dealt
  out by its attention ``alpha`` over modalities (MuJoD; Zhang et al. 2025, arXiv:2405.16869,
  section 3.2), averaged over its branches and over the two sides of the score, the query and the
  candidate. Without a joint head it is the share of the modality's own head.

Shares of an answer sum to one. They say how the number came about, and no more than that:

- not what would happen without the modality: heads are trained together, and often know the same;
- not that the modality's raw data was used: vectors are trained with the facts, and an entity
  without, say, a picture still has an image vector (``present`` says which entities have one);
- not that the answer is likely: shares are relative, and those of a bad answer also sum to one;
- attention says how much of a modality enters the joint vector, not which way it pulls the score.

Shapes: P pairs of query and candidate, n rows, H heads, M modalities, G branches of the fusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from momok.model import JOINT

__all__ = ["average_branches", "compute_modality_shares", "leading_expert"]


def average_branches(fusion_weights: Tensor | None) -> Tensor | None:
    """The joint head's attention over modalities, [G, n, M] to [n, M]: float64, rows sum to one."""
    if fusion_weights is None:
        return None
    mean = fusion_weights.double().mean(dim=0)
    return mean / mean.sum(dim=1, keepdim=True)  # the softmax's sum is one in float32 only


def compute_modality_shares(
    logits: Mapping[str, Tensor], modalities: Sequence[str], attention: Tensor | None
) -> Tensor:
    """The part of every modality in the answer's score.

    Args:
        logits: per head [P], float64.
        modalities: names of the M modalities, each a head.
        attention: [P, M] over modalities, of the joint head; None when there is none.

    Returns:
        [P, M], rows that sum to one.
    """
    # As a softmax of log-probabilities: exact where every probability underflows to zero.
    heads = torch.stack([torch.nn.functional.logsigmoid(logits[m]) for m in modalities], dim=1)
    if attention is None:
        return torch.softmax(heads, dim=1)
    joint = torch.nn.functional.logsigmoid(logits[JOINT]).unsqueeze(1)
    parts = torch.softmax(torch.cat([heads, joint], dim=1), dim=1)  # [P, M + 1]
    return parts[:, :-1] + parts[:, -1:] * attention


def leading_expert(gate: Sequence[float]) -> int:
    """The number of the expert with the largest gate weight, from 0."""
    return max(range(len(gate)), key=gate.__getitem__)
