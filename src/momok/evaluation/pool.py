"""The pool: weights with which heads and rules become the answer, and what they are fitted by.

The answer to a query q is ``softmax_c(sum_k w_k(q) log p_k(c) + sum_j v_j(q) g_j(c))``: a weighted
sum of what the decision heads say, k, and of evidence of rules, j, made a probability again. The
weights are those of the query's relation and direction, and a head's may be another one where the
entity has none of its modality. ``momok.evaluation.pool_fit`` fits them on validation.

Shapes: B queries, N candidates, R relations, H heads, n pieces of evidence, J features of it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from momok.arrays import FloatMatrix, Ints
from momok.evaluation.pooling import Terms, collect_terms, empty_terms
from momok.rules import KINDS, Rules

RULES = "rules"
"""The name of what rules put in, beside the heads."""

_SCALE = 0.002  # evidence far below this is as good as none
_LEAST = 1e-3  # of a head's weight: its ranks are those of its weighted scores


@dataclass(frozen=True, kw_only=True, eq=False)
class Pool:
    """Weights of heads and rules by query.

    Args:
        heads: names of the decision heads, in the order of the weights.
        weights: [2R, H + J] of heads and of features of evidence; J is 0 without rules.
        absent: [H] what a head's weight changes by where the entity has none of its modality.
        present: per head with such entities, [N] which have the modality.
        rules: where the evidence is from.
        about: how it was chosen, as JSON: ``PoolChoice``.
    """

    heads: tuple[str, ...]
    weights: Tensor
    absent: Tensor
    present: Mapping[str, Tensor]
    rules: Rules | None
    about: Mapping[str, Any]

    def find_terms(self, entities: Ints, relations: Ints) -> Terms:
        """The terms of queries about ``entities`` [B] under ``relations`` [B], up to 2R - 1."""
        device = self.weights.device
        rows, ids = (torch.from_numpy(x).to(device) for x in (relations, entities))
        weights = self.weights[rows]
        count = len(self.heads)
        of_heads = weights[:, :count] + find_absent(self.heads, self.present, ids) * self.absent
        of_heads = of_heads.clamp(min=_LEAST)
        if self.rules is None:
            return empty_terms(of_heads)
        found = self.rules.find_evidence(entities, relations)
        features = torch.from_numpy(make_features(found.values)).to(device)  # [J, n]
        evidence_rows = torch.from_numpy(found.rows).to(device)
        values = (features * weights[evidence_rows, count:].T).sum(dim=0)
        return collect_terms(of_heads, found.rows, found.columns, values)


def find_absent(heads: tuple[str, ...], present: Mapping[str, Tensor], entities: Tensor) -> Tensor:
    """Per head, 1 where the entity [B] has none of its modality, as ``present`` says: [B, H]."""
    columns = [
        (~present[head][entities]).float() if head in present else torch.zeros(len(entities))
        for head in heads
    ]
    return torch.stack([column.to(entities.device) for column in columns], dim=1)


def count_features(rules: Rules | None) -> int:
    """J: how many features the evidence of rules has."""
    return 0 if rules is None else 2 * len(KINDS) + 1


def make_features(evidence: FloatMatrix) -> FloatMatrix:
    """Features [J, n] of evidence per kind [3, n]: logarithms, which tell little from nothing, of
    every kind and of all together; and the evidence itself."""
    logs = np.log1p(np.concatenate([evidence, evidence.sum(axis=0, keepdims=True)]) / _SCALE)
    return np.concatenate([logs, evidence]).astype(np.float32)
