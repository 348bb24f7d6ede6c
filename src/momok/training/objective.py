"""The 1-N loss over blocks of candidates, with its gradients, in one pass.

Per head the loss is the mean over the B x N pairs of the binary cross-entropy of ``sigmoid(s)``
against ``t = (1 - smoothing) y + 1/N``; the task loss is the sum over heads (Zhang et al. 2025,
equation 11; label smoothing as in Balazevic et al. 2019).

With logits, ``BCE = softplus(s) - t s`` and its derivative is ``sigmoid(s) - t``. The dense part
of ``t`` is a constant, so its share of loss and gradients is a product of sums; the positives
are a sparse correction. One block of candidates needs its scores once: the loss and both
gradients come from them while they are in cache, and nothing of size B x N is kept.

A block's candidates are encoded, scored and differentiated before the next block begins, so the
candidate tower's intermediates never exist for all entities either. This is exact: the candidate
tower has no statistics across entities.

Shapes: B queries, n candidates of a block, N candidates in all, P positives, d width.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from momok.model import MoMoK
from momok.model.precision import as_given, at_least_float32, matmul_dtype
from momok.training.queries import QueryBatch

__all__ = ["LossForm", "TaskLoss", "backward_candidates"]

LossForm = Literal["logits", "probabilities"]
# ``logits`` is the exact loss. ``probabilities`` is what the published code computes: float32
# sigmoid, then cross-entropy. It saturates: beyond s = 16.6 = ln 2^24 the probability rounds to
# one, the cell costs 100 (1 - t) and has no gradient; below -27.6 the gradient fades.

_BCE_EPSILON = 1e-12  # PyTorch's guard in the derivative of binary_cross_entropy
_LOG_FLOOR = -100.0  # and in its logarithms
_CELLS_IN_CACHE = 2**19  # scores at a time on a CPU: 1 MB in bfloat16, 2 MB in float32


@dataclass(frozen=True, kw_only=True)
class TaskLoss:
    """The loss of a batch and its gradient with respect to the query vectors.

    Args:
        per_head: a scalar tensor each; their sum is the task loss.
        query_gradients: per head [B, d_head].
    """

    per_head: dict[str, Tensor]
    query_gradients: dict[str, Tensor]


def backward_candidates(
    model: MoMoK,
    query_vectors: Mapping[str, Tensor],
    batch: QueryBatch,
    *,
    smoothing: float = 0.1,
    form: LossForm = "logits",
    block: int = 2048,
) -> TaskLoss:
    """Score all entities for a batch and run the candidate tower's backward pass.

    The gradients of everything on the candidate side are added to ``.grad``; those of the query
    vectors are returned, for the caller to continue with.

    Args:
        query_vectors: per head [B, d_head]; not differentiated here.
        smoothing: positives count ``1 - smoothing``, and every pair ``1/N``.
        form: see ``LossForm``.
        block: n, candidates at a time.
    """
    first = next(iter(query_vectors.values()))
    queries = {head: q.detach().to(matmul_dtype(q)) for head, q in query_vectors.items()}
    gradients = {
        head: torch.zeros_like(q, dtype=at_least_float32(q[:0]).dtype)
        for head, q in query_vectors.items()
    }
    losses = {head: first.new_zeros((), dtype=torch.float64) for head in query_vectors}
    scale = 1.0 / (len(batch) * model.num_entities)
    for start, end, rows, columns in _blocks(batch, model.num_entities, block):
        ids = slice(start, end)
        leaves = {
            name: table.detach().requires_grad_(table.requires_grad)
            for name, table in model.entity_rows(ids).items()
        }
        candidates = model.encode_candidates(leaves, ids).vectors
        upstream = []
        for head, vectors in candidates.items():
            with as_given(first):
                cell = _block_gradients(
                    queries[head],
                    vectors.detach().to(queries[head].dtype),
                    rows,
                    columns,
                    share=1.0 / model.num_entities,
                    positive=1.0 - smoothing,
                    form=form,
                )
            losses[head] += cell.loss
            gradients[head] += cell.queries
            upstream.append(cell.candidates.to(vectors.dtype).mul_(scale))
        torch.autograd.backward(list(candidates.values()), upstream)
        model.add_row_gradients(leaves, ids)
    return TaskLoss(
        per_head={head: loss * scale for head, loss in losses.items()},
        query_gradients={head: gradient.mul_(scale) for head, gradient in gradients.items()},
    )


def _blocks(
    batch: QueryBatch, num_entities: int, block: int
) -> list[tuple[int, int, Tensor, Tensor]]:
    """Blocks of candidates with their positives: start, end, rows [p], columns in the block [p]."""
    starts = list(range(0, num_entities, block))
    edges = torch.tensor([*starts, num_entities], device=batch.answers.device)
    bounds = torch.searchsorted(batch.answers, edges).tolist()
    return [
        (
            start,
            min(start + block, num_entities),
            batch.rows[bounds[i] : bounds[i + 1]],
            batch.answers[bounds[i] : bounds[i + 1]] - start,
        )
        for i, start in enumerate(starts)
    ]


@dataclass(frozen=True, kw_only=True)
class _BlockGradients:
    loss: Tensor  # summed over the block's cells
    queries: Tensor  # [B, d], unscaled
    candidates: Tensor  # [n, d], unscaled


def _block_gradients(
    q: Tensor,
    c: Tensor,
    rows: Tensor,
    columns: Tensor,
    *,
    share: float,
    positive: float,
    form: LossForm,
) -> _BlockGradients:
    """Loss and gradients of one block of one head, from scores ``q c^T`` [B, n]."""
    if form == "probabilities":
        cells = rows, columns
        return _saturating_gradients(q, c, q @ c.T, cells, share=share, positive=positive)
    loss, error = _softplus_and_slope(q, c)
    with_answer = (at_least_float32(q)[rows] * at_least_float32(c)[columns]).sum(dtype=torch.float64)
    query_sum, candidate_sum = at_least_float32(q).sum(dim=0), at_least_float32(c).sum(dim=0)
    loss -= positive * with_answer + share * torch.dot(query_sum, candidate_sum)
    # each positive cell occurs once: queries of a batch are distinct and so are their answers
    cells = rows * len(c) + columns
    error.view(-1).index_add_(0, cells, error.new_full((1,), -positive).expand(len(cells)))
    return _BlockGradients(
        loss=loss,
        queries=at_least_float32(error @ c) - share * candidate_sum,
        candidates=at_least_float32(error.T @ q) - share * query_sum,
    )


def _softplus_and_slope(q: Tensor, c: Tensor) -> tuple[Tensor, Tensor]:
    """The sum of ``softplus(q c^T)``, and its derivative ``sigmoid(q c^T)`` [B, n].

    A few queries at a time, so that their scores are still in a core's cache when they are read
    again: three times as fast as the whole block at once (measured, 2048 candidates).
    """
    scores = q.new_empty(len(q), len(c))
    loss = q.new_zeros((), dtype=torch.float64)
    for some_q, some in zip(q.split(rows := _rows_in_cache(c)), scores.split(rows), strict=True):
        torch.mm(some_q, c.T, out=some)
        loss += F.softplus(some).sum(dim=1).sum(dtype=torch.float64)
        some.sigmoid_()
    return loss, scores


def _rows_in_cache(c: Tensor) -> int:
    """How many queries' scores to take at a time."""
    return max(1, _CELLS_IN_CACHE // len(c)) if c.device.type == "cpu" else 2**31


def _saturating_gradients(
    q: Tensor,
    c: Tensor,
    scores: Tensor,
    cells: tuple[Tensor, Tensor],
    *,
    share: float,
    positive: float,
) -> _BlockGradients:
    """The same from float32 probabilities, as the published code has it."""
    p = torch.sigmoid(at_least_float32(scores))
    target = torch.full_like(p, share)
    loss = F.binary_cross_entropy(p, target, reduction="none").sum(dtype=torch.float64)
    # The loss is linear in the target, which PyTorch takes up to one only: a positive's exceeds
    # that where 1/N is more than the smoothing.
    yes, no = p[cells], 1.0 - p[cells]
    gain = no.log().clamp_min(_LOG_FLOOR) - yes.log().clamp_min(_LOG_FLOOR)
    loss += positive * gain.sum(dtype=torch.float64)
    target[cells] += positive
    slope = p * (1.0 - p)
    error = (p - target).mul_(slope).div_(slope.clamp_min(_BCE_EPSILON)).to(q.dtype)
    return _BlockGradients(
        loss=loss, queries=at_least_float32(error @ c), candidates=at_least_float32(error.T @ q)
    )
