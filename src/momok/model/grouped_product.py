"""Queries times the matrix of their relation, one matrix per distinct relation of a batch.

Shapes: B queries, U distinct relations among them, d entity width, r relation width.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from momok.model.noise import mask_
from momok.model.precision import as_given
from momok.runtime import upload


@dataclass(frozen=True, kw_only=True)
class RelationGroups:
    """Queries laid out so that those of one relation sit together, in padded blocks.

    Relations are sorted by how many queries they have; those of similar counts (up to a power of
    two) make one block, so that a batch takes a handful of batched products, not one per relation,
    and at most every second row is padding.

    Args:
        distinct: [U] relation ids that occur, in the order of the blocks.
        place: [B] the position of every query's relation among them.
        slots: [B] the padded row of every query.
        blocks: (first relation, end relation, rows per relation) of every block.
        rows: padded rows in all.
    """

    distinct: Tensor
    place: Tensor
    slots: Tensor
    blocks: tuple[tuple[int, int, int], ...]
    rows: int

    def to(self, device: torch.device) -> RelationGroups:
        """These groups with their tensors on ``device``."""
        return replace(
            self,
            distinct=upload(self.distinct, device),
            place=upload(self.place, device),
            slots=upload(self.slots, device),
        )


def group_by_relation(relations: Tensor) -> RelationGroups:
    """Lay out queries by relation: ``relations`` [B] to groups.

    On a GPU this waits for the device; training lays out a batch on the host.
    """
    distinct, inverse, counts = torch.unique(relations, return_inverse=True, return_counts=True)
    counts, by_count = torch.sort(counts, stable=True)
    distinct = distinct[by_count]
    rank = torch.empty_like(by_count)
    rank[by_count] = torch.arange(len(by_count), device=rank.device)
    group = rank[inverse]  # [B] position of the query's relation among ``distinct``
    sizes = [1 << (count - 1).bit_length() for count in counts.tolist()]
    blocks = []
    for size in sorted(set(sizes)):
        first = sizes.index(size)
        blocks.append((first, first + sizes.count(size), size))
    padded = torch.tensor(sizes, dtype=torch.int64, device=relations.device)
    order = torch.argsort(group, stable=True)
    within = (
        torch.arange(len(order), device=order.device) - (counts.cumsum(0) - counts)[group[order]]
    )
    slots = torch.empty_like(order)
    slots[order] = (padded.cumsum(0) - padded)[group[order]] + within
    return RelationGroups(
        distinct=distinct, place=group, slots=slots, blocks=tuple(blocks), rows=sum(sizes)
    )


_SUMMED = 8192  # columns of a core summed at a time
_COLUMNS = 4096  # of a core's gradient at a time: what is rounded stays in the cache


class CoreMemory:
    """Tensors as large as a core that are used again in every step: its cast, its gradient."""

    def __init__(self) -> None:
        self._cast: Tensor | None = None
        self._gradient: Tensor | None = None

    def cast(self, core: Tensor, dtype: torch.dtype) -> Tensor:
        """The core in ``dtype``; good until the next call, which autograd watches."""
        core = core.detach()
        if core.dtype == dtype:
            return core
        if self._cast is None or (self._cast.dtype, self._cast.device) != (dtype, core.device):
            self._cast = torch.empty_like(core, dtype=dtype)
        return self._cast.copy_(core)

    def release_gradient(self, core: nn.Parameter) -> None:
        """Forget the gradient, keep its memory."""
        if core.grad is not None:
            self._gradient, core.grad = core.grad, None

    def add_gradient(self, core: nn.Parameter, left: Tensor, right: Tensor) -> None:
        """Write the product [r, U] x [U, d * d] to the gradient, or add it to one that is there."""
        if core.grad is not None:
            core.grad.flatten(1).addmm_(left.to(core.dtype), right.to(core.dtype))
            return
        core.grad, self._gradient = self._gradient, None
        if core.grad is None:
            core.grad = torch.empty_like(core)
        flat = core.grad.flatten(1)
        if left.dtype == core.dtype:
            torch.mm(left, right, out=flat)
            return
        left = left.contiguous()
        tile = left.new_empty(len(left), min(_COLUMNS, right.shape[1]))
        for start in range(0, right.shape[1], _COLUMNS):
            some = right[:, start : start + _COLUMNS]
            rounded = tile[:, : some.shape[1]]
            flat[:, start : start + _COLUMNS] = torch.mm(left, some, out=rounded)


class GroupedProduct(torch.autograd.Function):
    """Rows times the relation matrix of their group, with dropout on the matrices.

    ``W = relations @ core`` is made once per distinct relation ([U, d, d], 3.7 million cells for
    56 relations of width 256) instead of once per query ([B, d, d], 67 million), masked in
    place and kept once; the backward pass masks the gradient in place as well.

    The gradient of the core goes to ``core.grad`` by the product itself, and the core in the
    precision of products has a place of its own: fresh 67 MB tensors, and their addition, took a
    third of a training step (measured).
    """

    @staticmethod
    def forward(ctx, x, relations, core, bits, groups, memory):  # type: ignore[no-untyped-def]  # noqa: PLR0917
        width = x.shape[1]
        ctx.core, ctx.memory = core, memory
        with as_given(x):
            relations, flat_core = relations.to(x.dtype), memory.cast(core, x.dtype).flatten(1)
            matrices = torch.mm(relations, flat_core).view(-1, width, width)  # [U, d, d]
            if bits is not None:
                mask_(matrices, bits)
            padded = x.new_zeros(groups.rows, width).index_copy_(0, groups.slots, x)
            out = torch.empty_like(padded)
            for part, left, right in _each_block(groups, padded, matrices):
                torch.bmm(left, right, out=out[part].view_as(left))
        ctx.save_for_backward(padded, relations, flat_core, bits, matrices)
        ctx.groups = groups
        return out[groups.slots]

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]
        padded, relations, flat_core, bits, matrices = ctx.saved_tensors
        groups, core = ctx.groups, ctx.core
        with as_given(grad):
            grad_padded = torch.zeros_like(padded).index_copy_(0, groups.slots, grad)
            grad_x = torch.empty_like(padded)
            grad_matrices = torch.empty_like(matrices)
            for part, left, right in _each_block(groups, grad_padded, matrices):
                torch.bmm(left, right.mT, out=grad_x[part].view_as(left))
            for part, left, result in _each_block(groups, padded, grad_matrices):
                torch.bmm(left.mT, grad_padded[part].view_as(left), out=result)
            if bits is not None:
                mask_(grad_matrices, bits)
            flat = grad_matrices.flatten(1)  # [U, d * d]
            grad_relations = _sum_columns(flat, flat_core, core.dtype)
            if core.requires_grad:
                ctx.memory.add_gradient(core, relations.T, flat)
        return grad_x[groups.slots], grad_relations, None, None, None, None


def _sum_columns(flat: Tensor, flat_core: Tensor, dtype: torch.dtype) -> Tensor:
    """The product [U, d * d] x [d * d, r], in ``dtype``.

    Taken in pieces: as one bfloat16 product of 24 rows and 65,536 columns it ends the process on
    CPUs with AMX and 2 MB of L2 cache (a division by zero in oneDNN's choice of blocks, PyTorch
    2.13). Pieces are too small for that choice, whatever U is, and cost the step 0.4%.
    """
    total = flat.new_zeros(len(flat), len(flat_core), dtype=dtype)
    for start in range(0, flat.shape[1], _SUMMED):
        columns = slice(start, start + _SUMMED)
        total += flat[:, columns] @ flat_core[:, columns].T
    return total


def _each_block(
    groups: RelationGroups, padded: Tensor, matrices: Tensor
) -> Iterator[tuple[slice, Tensor, Tensor]]:
    """Per block: its padded rows, those rows by relation [u, rows, d], its matrices [u, d, d]."""
    start = 0
    for first, end, size in groups.blocks:
        part = slice(start, start + (end - first) * size)
        yield part, padded[part].view(end - first, size, -1), matrices[first:end]
        start = part.stop
