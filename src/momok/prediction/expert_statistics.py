"""The gates of the experts under a relation, and their averages over the train queries.

A candidate's gate is ``softmax(l)`` of the entity's logits ``l``, a query's is ``softmax(l /
sigmoid(tau_r))`` (ReMoKE; Zhang et al. 2025, arXiv:2405.16869, section 3.1). A softmax keeps its
logits but for a constant that the next softmax does not see, so query gates follow from candidate
gates: ``softmax(log(gate) / sigmoid(tau_r))``. The averages of all relations cost a softmax over K
numbers per query instead of a pass through the model.

Shapes: N entities, Q queries, R relations (2R with reciprocals), K experts.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

__all__ = ["average_query_gates", "count_queries"]

_BLOCK = 1 << 18  # queries at once: some megabytes


def average_query_gates(
    gates: Mapping[str, Tensor],
    temperature: Tensor | None,
    entities: Tensor,
    relations: Tensor,
    num_relations: int,
) -> dict[str, Tensor]:
    """The mean gate of the queries of every relation.

    Args:
        gates: of the candidates, per modality [N, K].
        temperature: [2R] what a query's logits are divided by; None divides by nothing.
        entities, relations: [Q] the queries, relations up to 2R - 1.
        num_relations: 2R.

    Returns:
        Per modality [2R, K] in float64; rows sum to one, those of relations without a query are
        NaN.
    """
    counts = count_queries(relations, num_relations).double().unsqueeze(1)
    averages = {}
    for modality, gate in gates.items():
        logits = gate.double().log()  # [N, K]
        total = logits.new_zeros(num_relations, logits.shape[1])
        for start in range(0, len(entities), _BLOCK):
            chosen = relations[start : start + _BLOCK]
            block = logits[entities[start : start + _BLOCK]]
            if temperature is not None:
                block = block / temperature.double()[chosen].unsqueeze(1)
            total.index_add_(0, chosen, torch.softmax(block, dim=1))
        averages[modality] = total / counts
    return averages


def count_queries(relations: Tensor, num_relations: int) -> Tensor:
    """How many queries every relation has: [2R]."""
    return torch.bincount(relations, minlength=num_relations)
