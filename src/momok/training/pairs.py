"""Pairs of a query and an answer: facts of train, and facts that people have rejected.

A rejected answer is one more candidate of its query, and of no other; it counts ``REJECTED_GAIN``
times. With a ``RowLoss`` it is in the log-sum-exp of its query, with a ``CellLoss`` it is a pair
that is no fact.

Shapes: B queries, n candidates of a block, p pairs, d width.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from momok.model.precision import at_least_float32
from momok.training.block_scores import score_pairs
from momok.training.candidates import CandidateBlock
from momok.training.losses import CellLoss

REJECTED_GAIN = 10.0

Costs = tuple[Tensor, Tensor, Tensor]
"""Of answers, with the derivatives by the normalisers of their queries and by their scores."""


class Pairs:
    """The pairs of the blocks of one kind, by head.

    Args:
        blocks: of both kinds, one at least of facts.
        rejected: which kind.
        heads: the names of the heads.

    Attributes:
        rows: [p] the queries.
        counts: [p] how often each counts; None for once.
        scores: by head, in parts as they are found.
        slopes: by head, [p], of the loss by the scores.
    """

    def __init__(
        self, blocks: Sequence[CandidateBlock], heads: Iterable[str], *, rejected: bool
    ) -> None:
        own = [block for block in blocks if block.rejected == rejected]
        self._any, self._first = bool(own), own[0].first if own else 0
        self.rows = torch.cat([block.rows for block in own] or [blocks[0].rows[:0]])
        counts = [block.counts for block in own if block.counts is not None]
        self.counts = torch.cat(counts) if counts else None
        self.scores: dict[str, list[Tensor]] = {head: [] for head in heads}
        self.slopes: dict[str, Tensor] = {}

    def place(self, block: CandidateBlock) -> slice:
        """Where the pairs of a block are among them."""
        return slice(block.first - self._first, block.positives.stop - self._first)

    def count(self, costs: Costs) -> Costs:
        """What each costs [p], as often as it counts."""
        if self.counts is None:
            return costs
        times = self.counts.to(costs[0].dtype)
        return times * costs[0], times * costs[1], times * costs[2]

    def add_to(self, normaliser: Tensor, head: str) -> Tensor:
        """The log-sum-exp of every query [B] with these answers among its candidates."""
        if not self._any:
            return normaliser
        scores = self._weigh(head)
        most = torch.full_like(normaliser, -torch.inf)
        most = most.scatter_reduce(0, self.rows, scores, "amax").nan_to_num(neginf=0.0)
        shares = torch.exp(scores - most[self.rows])
        total = torch.zeros_like(normaliser).index_add_(0, self.rows, shares)
        return torch.logaddexp(normaliser, most + total.log())

    def find_slopes(self, head: str, normaliser: Tensor, weights: Tensor) -> None:
        """Find the slopes, given the normaliser with these answers and the slopes by it [B]."""
        if self._any:
            share = torch.exp(self._weigh(head) - normaliser[self.rows])
            self.slopes[head] = weights[self.rows] * share

    def _weigh(self, head: str) -> Tensor:
        return torch.cat(self.scores[head]) + math.log(REJECTED_GAIN)


def rejected_gradients(
    q: Tensor,
    c: Tensor,
    block: CandidateBlock,
    *,
    offset: float,
    loss: type[CellLoss],
    **_: object,
) -> tuple[Tensor, Tensor, Tensor]:
    """The cost of a block of rejected answers, and its gradients by queries and candidates."""
    scores = score_pairs(q, c, block)
    slopes = torch.empty_like(scores)
    costs = loss.cost(scores.unsqueeze(1), slopes.unsqueeze(1), 0.0, offset)
    by_query, by_candidate = (torch.zeros_like(x, dtype=scores.dtype) for x in (q, c))
    add_pairs(q, c, block, slopes=REJECTED_GAIN * slopes, into=(by_query, by_candidate))
    return REJECTED_GAIN * costs.sum(dtype=torch.float64), by_query, by_candidate.to(q.dtype)


def add_pairs(
    q: Tensor, c: Tensor, block: CandidateBlock, *, slopes: Tensor, into: tuple[Tensor, Tensor]
) -> None:
    """Add the gradients by queries [B, d] and candidates [n, d], given those by scores [p]."""
    rows, columns = block.rows, block.columns
    into[0].index_add_(0, rows, at_least_float32(c[columns]) * slopes.unsqueeze(1))
    into[1].index_add_(0, columns, at_least_float32(q[rows]) * slopes.unsqueeze(1))
