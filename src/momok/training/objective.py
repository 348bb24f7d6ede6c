"""The 1-N loss over blocks of candidates, with its gradients, in one pass.

Per head the loss is the mean over the B x N pairs of the binary cross-entropy of ``sigmoid(s)``
against ``t = (1 - smoothing) y + 1/N``; the task loss is the sum over heads (Zhang et al. 2025,
equation 11; label smoothing as in Balazevic et al. 2019).

With logits, ``BCE = softplus(s) - t s`` and its derivative is ``sigmoid(s) - t``. The dense part
of ``t`` is the constant 1/N; the positives are a sparse correction. One block of candidates needs
its scores once: the loss and both gradients come from them while they are in cache, and nothing
of size B x N is kept.

A block's candidates are encoded, scored and differentiated before the next block begins, so the
candidate tower's intermediates never exist for all entities either. This is exact: the candidate
tower has no statistics across entities.

Shapes: B queries, n candidates of a block, N entities in all, d width.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

from momok.model import MoMoK
from momok.model.precision import as_given, at_least_float32, matmul_dtype
from momok.training.ballots import Ballot
from momok.training.candidates import CandidateBlock
from momok.training.kernels import BCE_EPSILON, LOG_FLOOR, Kernels, PlainKernels

__all__ = ["LossForm", "TaskLoss", "backward_candidates"]

LossForm = Literal["logits", "probabilities"]
# ``logits`` is the exact loss. ``probabilities`` is what the published code computes: float32
# sigmoid, then cross-entropy. It saturates: beyond s = 16.6 = ln 2^24 the probability rounds to
# one, the cell costs 100 (1 - t) and has no gradient; below -27.6 the gradient fades.

_CELLS_IN_CACHE = 2**20  # scores at a time on a CPU: 2 MB in bfloat16, 4 MB in float32


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
    blocks: Iterable[CandidateBlock],
    *,
    smoothing: float = 0.1,
    form: LossForm = "logits",
    kernels: Kernels | None = None,
    ballots: Mapping[str, Ballot] | None = None,
) -> TaskLoss:
    """Score candidates for a batch and run the candidate tower's backward pass.

    The gradients of everything on the candidate side are added to ``.grad``; those of the query
    vectors are returned, for the caller to continue with.

    Args:
        query_vectors: per head [B, d_head], of a head with a ballot [b, d_head]; not
            differentiated here.
        blocks: the candidates, all or a sample; see ``momok.training.candidates``.
        smoothing: positives count ``1 - smoothing``, and every pair ``1/N``.
        form: see ``LossForm``.
        kernels: plain ones when None.
        ballots: of the masked heads. Their loss is the mean over the pairs on which they vote.
    """
    kernels = kernels or PlainKernels(model)
    first = next(iter(query_vectors.values()))
    ballots = ballots or {}
    scales = {
        head: 1.0 / (ballots[head].pairs if head in ballots else len(q) * model.num_entities)
        for head, q in query_vectors.items()
    }
    vectors_of = {head: q.detach().to(matmul_dtype(q)) for head, q in query_vectors.items()}
    gradients = {
        head: torch.zeros_like(q, dtype=at_least_float32(q[:0]).dtype)
        for head, q in query_vectors.items()
    }
    losses = {head: first.new_zeros((), dtype=torch.float64) for head in query_vectors}
    for block in blocks:
        leaves = {
            name: table.detach().requires_grad_(table.requires_grad)
            for name, table in model.entity_rows(block.ids).items()
        }
        candidates = kernels.encode(leaves, block.ids)
        votes = model.votes(block.ids) if ballots else {}
        upstream = []
        for head, vectors in candidates.items():
            given, part, chosen = vectors.detach(), block, None
            if head in ballots:
                chosen, part = ballots[head].restrict(block, votes[head])
                given = given[chosen]
            with as_given(first):
                cell = _block_gradients(
                    vectors_of[head],
                    given.to(vectors_of[head].dtype),
                    part,
                    share=1.0 / model.num_entities,
                    positive=1.0 - smoothing,
                    offset=model.spec.score_offset,
                    form=form,
                    kernels=kernels,
                )
            losses[head].add_(cell.loss, alpha=block.weight)
            gradients[head].add_(cell.queries, alpha=block.weight)
            gradient = cell.candidates.to(vectors.dtype).mul_(scales[head] * block.weight)
            if chosen is not None:
                gradient = torch.zeros_like(vectors).index_copy_(0, chosen, gradient)
            upstream.append(gradient)
        torch.autograd.backward(list(candidates.values()), upstream)
        model.add_row_gradients(leaves, block.ids)
    return TaskLoss(
        per_head={head: loss * scales[head] for head, loss in losses.items()},
        query_gradients={head: gradient.mul_(scales[head]) for head, gradient in gradients.items()},
    )


@dataclass(frozen=True, kw_only=True)
class _BlockGradients:
    loss: Tensor  # summed over the block's cells
    queries: Tensor  # [B, d], unscaled
    candidates: Tensor  # [n, d], unscaled


def _block_gradients(
    q: Tensor,
    c: Tensor,
    block: CandidateBlock,
    *,
    share: float,
    positive: float,
    offset: float,
    form: LossForm,
    kernels: Kernels,
) -> _BlockGradients:
    """Loss and gradients of one block of one head, from scores ``q c^T + offset`` [B, n]."""
    # the scores of the positives, in full precision
    answers = (at_least_float32(q[block.rows]) * at_least_float32(c[block.columns])).sum(dim=1)
    answers += offset
    take = kernels.cross_entropy if form == "logits" else kernels.saturating_cross_entropy
    loss, error = _score_in_tiles(q, c, lambda scores, slopes: take(scores, slopes, share, offset))
    slope = torch.ones_like(answers)
    if form == "probabilities":
        gain, slope = _saturating_answers(answers)
        loss += positive * gain
    else:
        loss -= positive * answers.sum(dtype=torch.float64)
    # each positive cell occurs once: queries of a batch are distinct and so are their answers
    cells = block.rows * len(c) + block.columns
    error.view(-1).index_add_(0, cells, (-positive * slope).to(error.dtype))
    return _BlockGradients(loss=loss, queries=at_least_float32(error @ c), candidates=error.T @ q)


def _score_in_tiles(
    q: Tensor, c: Tensor, take: Callable[[Tensor, Tensor], Tensor]
) -> tuple[Tensor, Tensor]:
    """The loss of all cells as if they were negatives, and its derivative by the score [B, n].

    A few queries at a time, so that their scores are still in a core's cache when they are read
    again: twice as fast as the whole block at once (measured, 2048 candidates).
    """
    slopes = q.new_empty(len(q), len(c))
    loss = q.new_zeros((), dtype=torch.float64)
    rows = max(1, min(len(q), _rows_in_cache(c)))  # no query at all: a head that nobody votes in
    tile = q.new_empty(rows, len(c))
    for start in range(0, len(q), rows):
        some = q[start : start + rows]
        scores = torch.mm(some, c.T, out=tile[: len(some)])
        loss += take(scores, slopes[start : start + rows])
    return loss, slopes


def _saturating_answers(scores: Tensor) -> tuple[Tensor, Tensor]:
    """What a target of one more changes at cells of these scores: the loss, and per cell the
    derivative (one, or zero where float32 has saturated)."""
    p = torch.sigmoid(scores)
    yes, no = p.log().clamp_min(LOG_FLOOR), (1.0 - p).log().clamp_min(LOG_FLOOR)
    variance = p * (1.0 - p)
    return (no - yes).sum(dtype=torch.float64), variance / variance.clamp_min(BCE_EPSILON)


def _rows_in_cache(c: Tensor) -> int:
    """How many queries' scores to take at a time."""
    return max(1, _CELLS_IN_CACHE // max(1, len(c))) if c.device.type == "cpu" else 2**31 - 1
