"""Decoders: how a head scores a fact, as a query vector and a candidate vector.

A decoder is one class and one entry in ``DECODERS``. The score of (h, r, t) is the dot product of
``queries`` of h and r with ``candidates`` of t; what is no product (a distance) is written as one,
with columns of its own.

Shapes: B queries, U distinct relations among them, n candidates, d entity width, r relation width.
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from momok.model.grouped_product import CoreMemory, GroupedProduct, RelationGroups
from momok.model.noise import Noise
from momok.model.precision import at_least_float32, matmul_dtype

Dropouts = tuple[float, float, float]


class Decoder(nn.Module):
    """What a decoder is: subclasses give ``queries``, and ``candidates`` where they differ.

    Args:
        width: d, of the entities.
        relation_width: what ``choose_relation_width`` gave.
        dropouts: of the entity, of the relation, of the query vector.
        generator: of the initial weights, where the decoder has any.
    """

    needs_even_width: ClassVar[bool] = False
    """Whether a vector is read as pairs of numbers."""
    multiplies: ClassVar[bool] = True
    """Whether the query vector is entity times relation, number by number, and as long for a tail
    and the reversed relation: what DURA is about. Vectors of several members may then stand side by
    side in those that are multiplied."""

    def __init__(
        self,
        width: int,
        relation_width: int,  # noqa: ARG002
        *,
        dropouts: Dropouts,
        generator: torch.Generator | None = None,  # noqa: ARG002
    ) -> None:
        super().__init__()
        self.width, self.dropouts = width, dropouts

    @staticmethod
    def choose_relation_width(width: int, asked: int) -> int:  # noqa: ARG004
        """How wide relation vectors are for entities of a width, where ``asked`` is wished for."""
        return width

    def queries(
        self, entities: Tensor, relations: Tensor, groups: RelationGroups, noise: Noise
    ) -> Tensor:
        """The query vectors [B, q].

        Args:
            entities: [B, d] query entities.
            relations: [U, r] vectors of the distinct relations.
            groups: which query has which relation.
        """
        x = noise.dropout(at_least_float32(entities), self.dropouts[0])
        # not by indexing, whose gradient adds in any order on several threads
        return self.multiply(x, relations.index_select(0, groups.place))

    def multiply(self, entities: Tensor, relations: Tensor) -> Tensor:
        """The query vectors [n, q] of entities [n, d] and a relation each [n, r]."""
        raise NotImplementedError

    def candidates(self, entities: Tensor) -> Tensor:
        """The candidate vectors [n, q] of entities [n, d]."""
        return entities

    def before_step(self) -> None:
        """Called before the gradients of a step are made."""


class TuckER(Decoder):
    """``q = dropout(BN(dropout(BN(x)) W_r))`` with ``W_r = dropout(sum_j r_j W_j)``.

    In training the relation matrix has one dropout mask per distinct relation of the batch.

    Source: Balazevic et al. 2019, "TuckER: Tensor Factorization for Knowledge Graph Completion"
    (arXiv:1901.09590), equation 1; batch norm and dropouts as in its section 5.2.
    """

    multiplies = False

    def __init__(
        self,
        width: int,
        relation_width: int,
        *,
        dropouts: Dropouts,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__(width, relation_width, dropouts=dropouts)
        self.core = nn.Parameter(torch.empty(relation_width, width, width))
        nn.init.xavier_uniform_(self.core, generator=generator)
        self.input_norm = nn.BatchNorm1d(width)
        self.output_norm = nn.BatchNorm1d(width)
        self._memory = CoreMemory()

    @staticmethod
    def choose_relation_width(width: int, asked: int) -> int:  # noqa: ARG004
        return asked

    def before_step(self) -> None:
        self._memory.release_gradient(self.core)

    def queries(
        self, entities: Tensor, relations: Tensor, groups: RelationGroups, noise: Noise
    ) -> Tensor:
        drop_input, drop_matrix, drop_output = self.dropouts
        width = entities.shape[1]
        x = noise.dropout(self.input_norm(entities.to(self.core.dtype)), drop_input)
        x = x.to(matmul_dtype(x))
        bits = None
        if not noise.off and drop_matrix > 0.0:
            bits = noise.keep_bits((len(relations), width, width), drop_matrix, x)
            # the scale of the kept cells: W_r is linear in r
            relations = relations * noise.scale(drop_matrix, x.device)
        product = GroupedProduct.apply(  # type: ignore[no-untyped-call]
            x,
            relations.to(self.core.dtype),
            self.core,
            bits,
            groups,
            self._memory,
        )
        return noise.dropout(self.output_norm(product.to(self.core.dtype)), drop_output)


class DistMult(Decoder):
    """``q = x * r``.

    Source: Yang et al. 2015, "Embedding Entities and Relations for Learning and Inference in
    Knowledge Bases" (arXiv:1412.6575).
    """

    def multiply(self, entities: Tensor, relations: Tensor) -> Tensor:
        return entities * relations


class ComplEx(Decoder):
    """``q = x * r`` of complex numbers, the first half of a vector their real parts.

    Source: Trouillon et al. 2016, "Complex Embeddings for Simple Link Prediction"
    (arXiv:1606.06357), with reciprocal relations (Lacroix et al. 2018, arXiv:1806.07297): the score
    is the real part of ``<q, conj(x_t)>``.
    """

    needs_even_width = True

    def multiply(self, entities: Tensor, relations: Tensor) -> Tensor:
        shape = (-1, entities.shape[1] // self.width, self.width)  # by members
        real, imaginary = entities.view(shape).chunk(2, dim=2)
        by_real, by_imaginary = relations.view(shape).chunk(2, dim=2)
        return torch.cat(
            [
                real * by_real - imaginary * by_imaginary,
                real * by_imaginary + imaginary * by_real,
            ],
            dim=2,
        ).flatten(1)


class RotatE(Decoder):
    """Minus the squared distance of a rotated head to the tail: ``2 q.c - |q|^2 - |c|^2``.

    Source: Sun et al. 2019, "RotatE: Knowledge Graph Embedding by Relational Rotation in Complex
    Space" (arXiv:1902.10197), with the squared distance, which is a dot product. A relation vector
    holds one angle per complex number.
    """

    needs_even_width = True
    multiplies = False  # a rotation changes no length

    @staticmethod
    def choose_relation_width(width: int, asked: int) -> int:  # noqa: ARG004
        return width // 2

    def multiply(self, entities: Tensor, relations: Tensor) -> Tensor:
        real, imaginary = entities.chunk(2, dim=1)
        cos, sin = relations.cos(), relations.sin()
        q = torch.cat([real * cos - imaginary * sin, real * sin + imaginary * cos], dim=1)
        return torch.cat([2.0 * q, -q.square().sum(1, keepdim=True), torch.ones_like(q[:, :1])], 1)

    def candidates(self, entities: Tensor) -> Tensor:
        c = at_least_float32(entities)
        return torch.cat([c, torch.ones_like(c[:, :1]), -c.square().sum(1, keepdim=True)], dim=1)


DECODERS: dict[str, type[Decoder]] = {
    "tucker": TuckER,
    "distmult": DistMult,
    "complex": ComplEx,
    "rotate": RotatE,
}
"""By the value of ``model.decoder``."""
