"""What makes the scores of a query log-probabilities: the log-sum-exp over all entities.

A softmax trains scores up to a constant of the query. With it taken off, scores of different
queries can be compared, and heads can be averaged.

Shapes: B queries, N entities, d width of a head.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from momok.shard import Shard

_CELLS = 1 << 24  # scores at a time: 64 MB


class Normalisers:
    """Log-sum-exps per query; keeps the vectors of all entities once they are asked for.

    Args:
        encode: gives those that are here, per head [n, d].
        shard: which those are.
    """

    def __init__(self, encode: Callable[[], dict[str, Tensor]], shard: Shard) -> None:
        self._encode, self._shard = encode, shard
        self._vectors: dict[str, Tensor] | None = None

    def compute(self, head: str, queries: Tensor) -> Tensor:
        """The log-sum-exp over all entities of the scores of queries [B, d]: [B]."""
        if self._vectors is None:
            self._vectors = self._encode()
        candidates = self._vectors[head]
        rows = max(1, _CELLS // len(candidates))
        found = torch.cat(
            [torch.logsumexp(some @ candidates.T, dim=1) for some in torch.split(queries, rows)]
        )
        return self._shard.log_sum_exp(found)
