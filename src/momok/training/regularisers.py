"""Regularisers: what keeps the vectors of a fact short.

A regulariser is one function and one entry in ``REGULARISERS``. It is asked twice per fact, with
the head and the relation, and with the tail and the relation; the penalty of a fact is the sum.

Shapes: n pairs of entity and relation, d entity width, r relation width.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from momok.model.decoders import Decoder

Regulariser = Callable[[Decoder, Tensor, Tensor], Tensor]
"""``(decoder, entities [n, d], relations [n, r])`` to the penalty of each pair [n]."""


def dura(decoder: Decoder, entities: Tensor, relations: Tensor) -> Tensor:
    """``|x|^2 + |x r|^2``: Zhang et al. 2020, "Duality-Induced Regularizer for Tensor Factorization
    Based Knowledge Graph Completion" (arXiv:2011.05816), equation 9, without weights."""
    return _squares(entities) + _squares(decoder.multiply(entities, relations))


def n3(decoder: Decoder, entities: Tensor, relations: Tensor) -> Tensor:
    """``|x|_3^3 + |r|_3^3 / 2``, of complex numbers their moduli: Lacroix et al. 2018, "Canonical
    Tensor Decomposition for Knowledge Base Completion" (arXiv:1806.07297), equation 4."""
    return _cubes(decoder, entities) + _cubes(decoder, relations) / 2


def l2(decoder: Decoder, entities: Tensor, relations: Tensor) -> Tensor:  # noqa: ARG001
    """``|x|^2 + |r|^2 / 2``."""
    return _squares(entities) + _squares(relations) / 2


REGULARISERS: dict[str, Regulariser] = {"dura": dura, "n3": n3, "l2": l2}
"""By the value of ``training.regulariser``, which is ``none`` for none."""


def _squares(x: Tensor) -> Tensor:
    return x.square().sum(dim=1)


def _cubes(decoder: Decoder, x: Tensor) -> Tensor:
    if decoder.needs_even_width and x.shape[1] % 2 == 0:
        real, imaginary = x.chunk(2, dim=1)
        moduli = torch.sqrt(real.square() + imaginary.square() + 1e-12)
    else:
        moduli = x.abs()
    return moduli.pow(3).sum(dim=1)
