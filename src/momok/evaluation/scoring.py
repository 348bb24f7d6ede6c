"""Scores of queries against candidates.

Ranks, the best answers, searches over whole relations and calibration all score here: in full
float32, by products in which equal candidates get equal scores wherever they stand.

Shapes: B queries, n candidates, d width of a head's vectors, P pairs of query and candidate.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor

from momok.evaluation.pooling import MEAN, Pooling, Terms

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

HeadVectors = Mapping[str, Tensor]  # per head [n, d]


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
        *,
        terms: Terms | None = None,
        first: int = 0,
    ) -> Tensor:
        """Score all pairs of a block: what ranks like the answer, [B, n], until the next call.

        Args:
            each_head: is shown the negated scores [B, n] of every head, and may change them.
            terms: of the B queries.
            first: the id of the first candidate.
        """
        return self._join(
            queries, candidates, self._pooling.add, each_head, terms=terms, first=first
        )

    def bound(
        self,
        queries: HeadVectors,
        candidates: HeadVectors,
        *,
        terms: Terms | None = None,
        first: int = 0,
    ) -> Tensor:
        """What ``Pooling.find_scores`` of the answers does not exceed; else as ``score``."""
        return self._join(queries, candidates, self._pooling.add_bound, terms=terms, first=first)

    def answer(
        self,
        queries: HeadVectors,
        candidates: HeadVectors,
        each_head: Callable[[str, Tensor], None] | None = None,
        *,
        terms: Terms | None = None,
        first: int = 0,
    ) -> Tensor:
        """The answer for all pairs of a block, [B, n], until the next call; else as ``score``."""
        total = self.score(queries, candidates, each_head, terms=terms, first=first)
        return self._pooling.finish(total, len(queries))

    def _join(
        self,
        queries: HeadVectors,
        candidates: HeadVectors,
        add: Callable[..., None],
        each_head: Callable[[str, Tensor], None] | None = None,
        *,
        terms: Terms | None,
        first: int,
    ) -> Tensor:
        shape = len(next(iter(queries.values()))), len(next(iter(candidates.values())))
        total, self._total = _reserve(self._total, shape, next(iter(candidates.values())).device)
        for number, (head, vectors) in enumerate(queries.items()):
            costs = self.compute_costs(vectors, candidates[head])
            if each_head is not None:
                each_head(head, costs)
            weight = 1 / len(queries) if terms is None else terms.weights[:, number, None]
            add(total, costs, weight, first=number == 0)
        if terms is not None:
            terms.add_to(total, first)
        return total

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
