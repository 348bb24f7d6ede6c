"""TuckER, the scoring function of every decision head, in its two-tower form.

Source: Balazevic et al. 2019, "TuckER: Tensor Factorization for Knowledge Graph Completion"
(arXiv:1901.09590), equation 1; batch norm and dropouts as in its section 5.2. The score of a
candidate is the dot product of the query vector made here with the candidate's vector.

Shapes: B queries, U distinct relations among them, d entity width, r relation width.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from momok.model.noise import Noise
from momok.model.precision import as_given, matmul_dtype

__all__ = ["RelationGroups", "TuckER", "group_by_relation"]


@dataclass(frozen=True, kw_only=True)
class RelationGroups:
    """Queries sorted so that those of one relation sit together.

    Args:
        distinct: [U] relation ids that occur, ascending.
        order: [B] positions of the queries, sorted by relation.
        bounds: U + 1 offsets into ``order``: queries of relation u are ``bounds[u]:bounds[u+1]``.
    """

    distinct: Tensor
    order: Tensor
    bounds: list[int]


def group_by_relation(relations: Tensor) -> RelationGroups:
    """Group queries by relation: ``relations`` [B] to groups."""
    order = torch.argsort(relations, stable=True)
    distinct, counts = torch.unique_consecutive(relations[order], return_counts=True)
    return RelationGroups(distinct=distinct, order=order, bounds=[0, *counts.cumsum(0).tolist()])


# From how many distinct relations on the core (67 MB at widths 256) is worth a cast to bfloat16:
# below, the cast and that of its gradient cost more than float32 products do (measured, 2 cores).
_CAST_CORE_FROM = 128


class _GroupedProduct(torch.autograd.Function):
    """Rows times the relation matrix of their group, with dropout on the matrices.

    ``W = relations @ core`` is made once per distinct relation ([U, d, d], 3.7 million cells for
    56 relations of width 256) instead of once per query ([B, d, d], 67 million), masked in
    place and kept once; the backward pass masks the gradient in place as well.

    The gradient of the core is added to ``core.grad`` in place by the product itself: a fresh
    67 MB tensor for it, and its addition, took a third of a training step (measured).
    """

    @staticmethod
    def forward(ctx, x, relations, core, mask, scale, bounds):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205, PLR0917
        width = x.shape[1]
        cast = len(relations) >= _CAST_CORE_FROM or x.device.type != "cpu"
        compute = x.dtype if cast else core.dtype
        ctx.core = core
        with as_given(x):
            relations, flat_core = relations.to(compute), core.detach().flatten(1).to(compute)
            matrices = (
                torch.mm(relations, flat_core).to(x.dtype).view(-1, width, width)
            )  # [U, d, d]
            if mask is not None:
                matrices.mul_(mask).mul_(scale)
            out = torch.empty_like(x)
            for u in range(len(bounds) - 1):
                rows = slice(bounds[u], bounds[u + 1])
                torch.mm(x[rows], matrices[u], out=out[rows])
        ctx.save_for_backward(x, relations, flat_core, mask, matrices)
        ctx.scale, ctx.bounds = scale, bounds
        return out

    @staticmethod
    def backward(ctx, grad):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN205
        x, relations, flat_core, mask, matrices = ctx.saved_tensors
        bounds, core = ctx.bounds, ctx.core
        with as_given(x):
            grad = grad.contiguous()
            grad_x = torch.empty_like(x)
            grad_matrices = torch.empty_like(matrices)
            for u in range(len(bounds) - 1):
                rows = slice(bounds[u], bounds[u + 1])
                torch.mm(grad[rows], matrices[u].T, out=grad_x[rows])
                torch.mm(x[rows].T, grad[rows], out=grad_matrices[u])
            if mask is not None:
                grad_matrices.mul_(mask).mul_(ctx.scale)
            flat = grad_matrices.flatten(1).to(relations.dtype)  # [U, d * d]
            grad_relations = (flat @ flat_core.T).to(core.dtype)
            if core.requires_grad:
                if core.grad is None:
                    core.grad = torch.zeros_like(core)
                core.grad.flatten(1).addmm_(relations.T.to(core.dtype), flat.to(core.dtype))
        return grad_x, grad_relations, None, None, None, None


class TuckER(nn.Module):
    """Query vectors ``q = dropout(BN(dropout(BN(x)) W_r))`` with ``W_r = dropout(sum_j r_j W_j)``.

    Args:
        width: d, of the entities.
        relation_width: r.
        dropouts: of the normalised entity, of the relation matrix, of the query vector. In
            training the relation matrix has one mask per distinct relation of the batch.
    """

    def __init__(
        self,
        width: int,
        relation_width: int,
        *,
        dropouts: tuple[float, float, float] = (0.3, 0.4, 0.5),
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.dropouts = dropouts
        self.core = nn.Parameter(torch.empty(relation_width, width, width))
        nn.init.xavier_uniform_(self.core, generator=generator)
        self.input_norm = nn.BatchNorm1d(width)
        self.output_norm = nn.BatchNorm1d(width)

    def forward(
        self, entities: Tensor, relations: Tensor, groups: RelationGroups, noise: Noise
    ) -> Tensor:
        """The query vectors.

        Args:
            entities: [B, d] query entities.
            relations: [U, r] vectors of the distinct relations.
            groups: which query has which relation.

        Returns:
            [B, d], in the order of ``entities``.
        """
        drop_input, drop_matrix, drop_output = self.dropouts
        width = entities.shape[1]
        x = noise.dropout(self.input_norm(entities.to(self.core.dtype)), drop_input)
        mask, scale = None, 1.0
        if not noise.off and drop_matrix > 0.0:
            mask = noise.keep_mask((len(relations), width, width), drop_matrix, x.device)
            scale = 1.0 / noise.keep_probability(drop_matrix, x.device)
        product = _GroupedProduct.apply(  # type: ignore[no-untyped-call]
            x[groups.order].to(matmul_dtype(x)),
            relations.to(self.core.dtype),
            self.core,
            mask,
            scale,
            groups.bounds,
        )
        restored = torch.empty_like(product).index_copy(0, groups.order, product)
        return noise.dropout(self.output_norm(restored.to(self.core.dtype)), drop_output)
