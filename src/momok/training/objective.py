"""The loss of a batch over blocks of candidates, with its gradients.

Per head the loss is one of ``LOSSES``; the task loss is the sum over heads. A block's candidates
are encoded, scored and differentiated before the next block begins, so that neither the scores nor
the candidate tower's intermediates ever exist for all entities. This is exact: the candidate tower
has no statistics across entities.

A ``CellLoss`` (Zhang et al. 2025, equation 11; label smoothing as in Balazevic et al. 2019) takes
one pass: the dense part of the targets is the constant 1/N and the answers are a sparse correction,
so the loss and both gradients come from a block's scores while they are in cache. A ``RowLoss``
takes a first pass over the blocks for the log-sum-exp of every query. An answer counts by its
weight, in the mean over facts or as one of the pairs.

An answer that people have rejected is one more candidate of its query, which counts
``REJECTED_GAIN`` times.

Shapes: B queries, n candidates of a block, N entities in all, P answers of the batch, p of a block,
d width.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from momok.model import MoMoK
from momok.model.precision import as_given, at_least_float32, matmul_dtype
from momok.training.block_scores import score_in_tiles, score_pairs
from momok.training.candidates import CandidateBlock
from momok.training.kernels import PlainKernels
from momok.training.losses import CellLoss, Logits, RowLoss
from momok.training.pairs import Costs, Pairs, add_pairs, rejected_gradients

Penalty = Callable[[str, Tensor, slice], Tensor]
"""``(head, vectors [p, d] of answers, which of the batch's answers)`` to a scalar."""


@dataclass(frozen=True, kw_only=True)
class TaskLoss:
    """The loss of a batch and its gradient with respect to the query vectors.

    Args:
        per_head: a scalar tensor each; their sum is the task loss.
        query_gradients: per head [B, d_head].
    """

    per_head: dict[str, Tensor]
    query_gradients: dict[str, Tensor]


@dataclass(frozen=True, kw_only=True)
class _Encoded:
    """A block's candidates, ready for the backward pass of their tower."""

    block: CandidateBlock
    leaves: dict[str, Tensor]
    vectors: dict[str, Tensor]
    entities: dict[str, Tensor]
    scores: dict[str, Tensor] = field(default_factory=dict)  # where they are kept

    def backward(
        self, model: MoMoK, gradients: Mapping[str, Tensor], penalty: Penalty | None
    ) -> None:
        """Send the gradients of the vectors, and those of a penalty, to the parameters."""
        outputs = list(self.vectors.values())
        upstream = [gradients[head] for head in self.vectors]
        block = self.block
        if penalty is not None and len(block.columns):
            for head, entities in self.entities.items():
                of_answers = entities.index_select(0, block.columns)
                outputs.append(penalty(head, of_answers, block.positives))
                upstream.append(torch.ones_like(outputs[-1]))
        torch.autograd.backward(outputs, upstream)
        model.add_row_gradients(self.leaves, block.ids)


def backward_candidates(
    model: MoMoK,
    query_vectors: Mapping[str, Tensor],
    blocks: Sequence[CandidateBlock],
    *,
    loss: type[CellLoss] | type[RowLoss] = Logits,
    smoothing: float = 0.1,
    kernels: PlainKernels | None = None,
    penalty: Penalty | None = None,
    answers: float | None = None,
) -> TaskLoss:
    """Score candidates for a batch and run the candidate tower's backward pass.

    The gradients of everything on the candidate side are added to ``.grad``; those of the query
    vectors are returned, for the caller to continue with. Where the model is one rank's, blocks are
    of its own rows; losses and gradients of queries are summed over the ranks.

    Args:
        query_vectors: per head [B, d_head]; not differentiated here.
        blocks: the candidates, all or a sample; see ``momok.training.candidates``.
        loss: one of ``LOSSES``.
        smoothing: of a ``CellLoss``; answers count ``1 - smoothing``, and every pair ``1/N``.
        kernels: plain ones when None.
        penalty: of the answers' vectors.
        answers: P, those of the batch on all ranks, by weight; None counts those of ``blocks``.
    """
    kernels = kernels or PlainKernels(model, loss)
    if issubclass(loss, RowLoss):
        return _backward_rows(
            model,
            query_vectors,
            blocks,
            loss=loss,
            kernels=kernels,
            penalty=penalty,
            answers=sum(len(b.rows) for b in blocks if not b.rejected)
            if answers is None
            else answers,
        )
    return _backward_cells(
        model,
        query_vectors,
        blocks,
        loss=loss,
        smoothing=smoothing,
        kernels=kernels,
        penalty=penalty,
    )


def _encode(model: MoMoK, kernels: PlainKernels, block: CandidateBlock) -> _Encoded:
    leaves = {
        name: table.detach().requires_grad_(table.requires_grad)
        for name, table in model.entity_rows(block.ids).items()
    }
    vectors, entities = kernels.encode(leaves, block.ids)
    return _Encoded(block=block, leaves=leaves, vectors=vectors, entities=entities)


# -- losses of single pairs --------------------------------------------------------------------


def _backward_cells(
    model: MoMoK,
    query_vectors: Mapping[str, Tensor],
    blocks: Sequence[CandidateBlock],
    *,
    loss: type[CellLoss],
    smoothing: float,
    kernels: PlainKernels,
    penalty: Penalty | None,
) -> TaskLoss:
    first = next(iter(query_vectors.values()))
    scale = 1.0 / (len(first) * model.num_entities)
    vectors_of = {head: q.detach().to(matmul_dtype(q)) for head, q in query_vectors.items()}
    gradients = {
        head: torch.zeros_like(q, dtype=at_least_float32(q[:0]).dtype)
        for head, q in query_vectors.items()
    }
    losses = {head: first.new_zeros((), dtype=torch.float64) for head in query_vectors}
    for block in blocks:
        encoded = _encode(model, kernels, block)
        upstream = {}
        differentiate = rejected_gradients if block.rejected else _block_gradients
        for head, vectors in encoded.vectors.items():
            with as_given(first):
                cost, by_query, by_candidate = differentiate(
                    vectors_of[head],
                    vectors.detach().to(vectors_of[head].dtype),
                    block,
                    share=1.0 / model.num_entities,
                    positive=1.0 - smoothing,
                    offset=model.spec.score_offset,
                    loss=loss,
                    kernels=kernels,
                )
            losses[head].add_(cost, alpha=block.weight)
            gradients[head].add_(by_query, alpha=block.weight)
            upstream[head] = by_candidate.to(vectors.dtype).mul_(scale * block.weight)
        encoded.backward(model, upstream, None if block.rejected else penalty)
    model.shard.sum_(*losses.values(), *gradients.values())
    return TaskLoss(
        per_head={head: value * scale for head, value in losses.items()},
        query_gradients={head: gradient.mul_(scale) for head, gradient in gradients.items()},
    )


def _block_gradients(
    q: Tensor,
    c: Tensor,
    block: CandidateBlock,
    *,
    share: float,
    positive: float,
    offset: float,
    loss: type[CellLoss],
    kernels: PlainKernels,
) -> tuple[Tensor, Tensor, Tensor]:
    """One block of one head, from scores ``q c^T + offset`` [B, n].

    Returns:
        the loss, summed over the cells, and its unscaled gradients by queries and candidates.
    """
    answers = score_pairs(q, c, block) + offset
    slopes = q.new_empty(len(q), len(c))
    total = q.new_zeros((), dtype=torch.float64)
    for some, scores in score_in_tiles(q, c):
        total += kernels.cost(scores, slopes[some], share, offset)
    gain, slope = loss.gain(answers)
    slope = positive * slope
    if (counts := block.counts) is not None:  # once each has been costed already, as no fact
        plain = torch.empty_like(answers)
        cost = loss.cost(answers.unsqueeze(1), plain.unsqueeze(1), share, 0.0)
        total += ((counts - 1.0) * cost).sum()
        gain, slope = counts * gain, counts * slope + (counts - 1.0) * plain
    total += positive * gain.sum(dtype=torch.float64)
    # each positive cell occurs once: queries of a batch are distinct and so are their answers
    cells = block.rows * len(c) + block.columns
    slopes.view(-1).index_add_(0, cells, slope.to(slopes.dtype))
    return total, at_least_float32(slopes @ c), slopes.T @ q


# -- losses that need a sum over all candidates of a query --------------------------------------


def _backward_rows(
    model: MoMoK,
    query_vectors: Mapping[str, Tensor],
    blocks: Sequence[CandidateBlock],
    *,
    loss: type[RowLoss],
    kernels: PlainKernels,
    penalty: Penalty | None,
    answers: float,
) -> TaskLoss:
    first = next(iter(query_vectors.values()))
    # a sample is encoded and scored once and kept; all entities are not, unless they are one block
    keep = not loss.sees_answers or len(blocks) == 1
    vectors_of = {head: q.detach().to(matmul_dtype(q)) for head, q in query_vectors.items()}
    normalisers = {
        head: at_least_float32(q[:0]).new_full((len(q),), -torch.inf)
        for head, q in query_vectors.items()
    }
    facts, wrong = (Pairs(blocks, query_vectors, rejected=kind) for kind in (False, True))
    kept: list[_Encoded] = []
    for block in blocks:
        with torch.set_grad_enabled(keep):
            encoded = _encode(model, kernels, block)
        for head, q in vectors_of.items():
            c = encoded.vectors[head].detach().to(q.dtype)
            with as_given(first):
                pairs = wrong if block.rejected else facts
                pairs.scores[head].append(score_pairs(q, c, block))
                if block.summed:
                    _add_to_normaliser(normalisers[head], q, c, encoded, head, keep=keep)
        if keep:
            kept.append(encoded)
    losses, weights = {}, {}
    for head, own in normalisers.items():
        normalisers[head] = normaliser = model.shard.log_sum_exp(wrong.add_to(own, head))
        costs = loss.cost(normaliser[facts.rows], torch.cat(facts.scores[head]))
        found = _average(facts.count(costs), normaliser, facts.rows, answers)
        losses[head], weights[head], facts.slopes[head] = found
    model.shard.sum_(*losses.values(), *weights.values())
    for head, normaliser in normalisers.items():
        wrong.find_slopes(head, normaliser, weights[head])
    gradients = {
        head: q.new_zeros(q.shape, dtype=normalisers[head].dtype) for head, q in vectors_of.items()
    }
    for number, block in enumerate(blocks):
        encoded = kept[number] if keep else _encode(model, kernels, block)
        pairs = wrong if block.rejected else facts
        upstream = {}
        for head, q in vectors_of.items():
            with as_given(first):
                given = encoded.vectors[head]
                upstream[head] = _row_gradients(
                    q,
                    given.detach().to(q.dtype),
                    block,
                    scores=encoded.scores.get(head),
                    normaliser=normalisers[head] - math.log(block.weight),
                    weights=weights[head],
                    slopes=pairs.slopes[head][pairs.place(block)],
                    into=gradients[head],
                ).to(given.dtype)
        encoded.backward(model, upstream, None if block.rejected else penalty)
    model.shard.sum_(*gradients.values())
    return TaskLoss(per_head=losses, query_gradients=gradients)


def _average(cost: Costs, normaliser: Tensor, rows: Tensor, count: float) -> Costs:
    """The loss of a head and its slopes, by the normalisers [B] and by the scores of answers [P].

    The answers here have their part in those of the batch, which count ``count``.
    """
    share = 1.0 / (count or 1.0)
    value, by_normaliser, by_answer = cost
    weights = torch.zeros_like(normaliser).index_add_(0, rows, by_normaliser) * share
    return value.sum(dtype=torch.float64) * share, weights, by_answer * share


def _add_to_normaliser(
    normaliser: Tensor, q: Tensor, c: Tensor, encoded: _Encoded, head: str, *, keep: bool
) -> None:
    """Add the block's candidates to the log-sum-exp of every query, [B]."""
    if keep:
        encoded.scores[head] = q @ c.T
        tiles: Iterable[tuple[slice, Tensor]] = [(slice(0, len(q)), encoded.scores[head])]
    else:
        tiles = score_in_tiles(q, c)
    for some, scores in tiles:
        found = torch.logsumexp(at_least_float32(scores), dim=1) + math.log(encoded.block.weight)
        normaliser[some] = torch.logaddexp(normaliser[some], found)


def _row_gradients(
    q: Tensor,
    c: Tensor,
    block: CandidateBlock,
    *,
    scores: Tensor | None,
    normaliser: Tensor,
    weights: Tensor,
    slopes: Tensor,
    into: Tensor,
) -> Tensor:
    """The gradient by the block's candidates [n, d]; that by the queries is added to ``into``.

    Args:
        normaliser: [B] what ``exp`` of a score is divided by, as a logarithm.
        weights: [B] the slope of the loss by it.
        slopes: [p] the slopes by the scores of the block's answers themselves.
    """
    by_candidate = torch.zeros_like(c, dtype=into.dtype)
    if block.summed:
        whole = slice(0, len(q))
        tiles = score_in_tiles(q, c) if scores is None else iter([(whole, scores)])
        for some, tile in tiles:
            cells = at_least_float32(tile).sub_(normaliser[some, None]).exp_()
            cells = cells.mul_(weights[some, None]).to(q.dtype)
            into[some] += cells @ c
            by_candidate += cells.T @ q[some]
    if len(block.rows):
        add_pairs(q, c, block, slopes=slopes, into=(into, by_candidate))
    return by_candidate
