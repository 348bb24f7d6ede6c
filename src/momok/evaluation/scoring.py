"""Scores of queries against candidates, and how the heads become the answer.

Ranks, the best answers, searches over whole relations and calibration all score here: in full
float32, by products in which equal candidates get equal scores wherever they stand.

Shapes: B queries, n candidates, d width of a head's vectors, P pairs of query and candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor

ANSWER = "answer"
"""The name of the joint answer of all heads, beside the heads' own names."""

DEFAULT_MEMORY_BUDGET = 256 << 20
"""Bytes of score buffers."""

QUERY_BATCH = 1536
"""Queries encoded by one call of the model. It makes the matrices of a relation once per call, so
queries come in order of relations: with 256 ranking took a third longer, with 2048 as long and more
memory (measured)."""

MIN_ROWS = 4
"""Queries in a product, at least. Products of one row take another BLAS path (matrix-vector), on
some processors those of up to three: there equal candidates get scores that differ in the last bit
with their position, and a tie would depend on the block."""

# A tile of float32 scores and its comparison flags (1 MB each) fit the L2 cache of two cores.
CPU_TILE = 1 << 18

HeadVectors = Mapping[str, Tensor]  # per head [n, d]


class Pooling:
    """How the heads become the answer, and what a head's score means."""

    def add(self, total: Tensor, costs: Tensor, *, first: bool) -> None:
        """Add one head to the ``total`` of those before, in place; ``first`` overwrites it.

        ``costs`` are the negated scores; they may be overwritten.
        """
        raise NotImplementedError

    def close(self, total: Tensor, heads: int) -> None:
        """Make of the total what ranks like the answer and is not negative, in place."""

    def finish(self, total: Tensor, heads: int) -> Tensor:
        """The answer from what ranks like it, in place."""
        raise NotImplementedError

    def pool(self, scores: Mapping[str, Tensor]) -> Tensor:
        """The answer from scores per head, of any shape; in float64 where they are."""
        raise NotImplementedError

    def compute_log_probabilities(self, scores: Tensor) -> Tensor:
        """The logarithm of what a head says of scores."""
        raise NotImplementedError

    def find_scores(self, probabilities: Tensor) -> Tensor:
        """The scores with which a head says these probabilities."""
        raise NotImplementedError

    def find_least_score(self, answer: float) -> float:
        """A score that some head reaches wherever the answer is at least this."""
        raise NotImplementedError


class MeanOfSigmoids(Pooling):
    """The mean over the heads of ``sigmoid(score)``: a score is the log-odds of a pair."""

    def add(self, total: Tensor, costs: Tensor, *, first: bool) -> None:
        # Not torch.sigmoid: on CPU its vector and scalar paths round differently, so that equal
        # scores would get unequal probabilities by their position. These steps round alike.
        tile = max(CPU_TILE, costs.shape[-1]) if costs.device.type == "cpu" else costs.numel()
        for target, cost in zip(
            torch.split(total.view(-1), max(tile, 1)),
            torch.split(costs.view(-1), max(tile, 1)),
            strict=True,
        ):
            probability = torch.exp(cost, out=target if first else cost).add_(1.0).reciprocal_()
            if not first:
                target.add_(probability)

    def finish(self, total: Tensor, heads: int) -> Tensor:
        return total.div_(heads)

    def pool(self, scores: Mapping[str, Tensor]) -> Tensor:
        first, *others = (torch.sigmoid(part) for part in scores.values())
        for part in others:
            first.add_(part)
        return first.div_(len(scores))

    def compute_log_probabilities(self, scores: Tensor) -> Tensor:
        return torch.nn.functional.logsigmoid(scores)

    def find_scores(self, probabilities: Tensor) -> Tensor:
        return torch.logit(probabilities)

    def find_least_score(self, answer: float) -> float:
        if answer <= 0.0:
            return -np.inf
        if answer >= 1.0:
            return 36.0  # the largest logit whose sigmoid is below 1 in float64
        return float(np.log(answer) - np.log1p(-answer))


class GeometricMean(Pooling):
    """The geometric mean of the heads' probabilities: a score is a log-probability among all
    entities, as a softmax trains it.

    Within a query it ranks like the sum of the scores.
    """

    def add(self, total: Tensor, costs: Tensor, *, first: bool) -> None:
        if first:
            total.copy_(costs)
        else:
            total.add_(costs)

    def close(self, total: Tensor, heads: int) -> None:
        total.div_(-heads).exp_()

    def finish(self, total: Tensor, heads: int) -> Tensor:  # noqa: ARG002
        return total

    def pool(self, scores: Mapping[str, Tensor]) -> Tensor:
        return torch.stack(list(scores.values())).mean(dim=0).exp().clamp(max=1.0)

    def compute_log_probabilities(self, scores: Tensor) -> Tensor:
        return scores.clamp(max=0.0)  # rounding may make it larger

    def find_scores(self, probabilities: Tensor) -> Tensor:
        return torch.log(probabilities)

    def find_least_score(self, answer: float) -> float:
        return float(np.log(answer)) if answer > 0.0 else -np.inf


MEAN, GEOMETRIC = MeanOfSigmoids(), GeometricMean()


def choose_pooling(softmax: bool) -> Pooling:
    """The pooling for scores that a softmax trained, or for log-odds of pairs."""
    return GEOMETRIC if softmax else MEAN


class BlockScorer:
    """Scores blocks; keeps their memory, as fresh pages cost more than the arithmetic on them."""

    def __init__(self, pooling: Pooling = MEAN) -> None:
        self._pooling = pooling
        self._costs = self._total = torch.empty(0)

    def score(
        self,
        queries: HeadVectors,
        candidates: HeadVectors,
        each_head: Callable[[str, Tensor], None] | None = None,
    ) -> Tensor:
        """Score all pairs of a block: what ranks like the answer, [B, n], until the next call.

        ``each_head`` is shown the negated scores [B, n] of every head, and may change them.
        """
        shape = len(next(iter(queries.values()))), len(next(iter(candidates.values())))
        total, self._total = _reserve(self._total, shape, next(iter(candidates.values())).device)
        for number, (head, vectors) in enumerate(queries.items()):
            costs = self.compute_costs(vectors, candidates[head])
            if each_head is not None:
                each_head(head, costs)
            self._pooling.add(total, costs, first=number == 0)
        self._pooling.close(total, len(queries))
        return total

    def answer(
        self,
        queries: HeadVectors,
        candidates: HeadVectors,
        each_head: Callable[[str, Tensor], None] | None = None,
    ) -> Tensor:
        """The answer for all pairs of a block, [B, n], until the next call; else as ``score``."""
        return self._pooling.finish(self.score(queries, candidates, each_head), len(queries))

    def compute_costs(self, queries: Tensor, candidates: Tensor) -> Tensor:
        """Negated scores of one head, [B, n], until the next call.

        Lower is better: ``sigmoid(score) = 1 / (1 + exp(cost))`` needs no pass for the sign.
        Negating the queries negates scores exactly.
        """
        rows, negated = len(queries), queries.neg()
        if rows < MIN_ROWS:
            spare = negated[:1].expand(MIN_ROWS - rows, -1)
            return torch.mm(torch.cat([negated, spare]), candidates.T)[:rows]
        costs, self._costs = _reserve(self._costs, (rows, len(candidates)), candidates.device)
        return torch.mm(negated, candidates.T, out=costs)


def _reserve(memory: Tensor, shape: tuple[int, int], device: torch.device) -> tuple[Tensor, Tensor]:
    """A buffer in ``memory``, or in new memory where that is too small; and that memory."""
    size = shape[0] * shape[1]
    if memory.numel() < size or memory.device != device:
        memory = torch.empty(size, device=device)
    return memory[:size].view(shape), memory


@contextmanager
def full_precision() -> Iterator[None]:
    """Compute in true float32: no TF32 or bfloat16 products, and no autograd.

    Autocast leaves products with a given output alone, so nothing needs to be said about it.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        with torch.no_grad():
            yield
    finally:
        torch.set_float32_matmul_precision(before)


def score_pairs(
    queries: HeadVectors,
    candidates: HeadVectors,
    rows: Tensor,
    ids: Tensor,
    *,
    memory_budget: int,
) -> dict[str, Tensor]:
    """Scores per head [P], in float64, of candidates ``ids`` [P] for the queries ``rows`` [P]."""
    scores = {}
    for head, vectors in queries.items():
        others = candidates[head]
        size = max(memory_budget // (3 * 8 * others.shape[1]), 1)
        pieces = [
            torch.linalg.vecdot(vectors[r].double(), others[c].double())
            for r, c in zip(torch.split(rows, size), torch.split(ids, size), strict=True)
        ]
        scores[head] = torch.cat(pieces)
    return scores


def find_largest_norm(vectors: Tensor) -> float:
    """The length of the longest vector; zero where there is none."""
    return float(torch.linalg.vector_norm(vectors, dim=1).max()) if len(vectors) else 0.0
