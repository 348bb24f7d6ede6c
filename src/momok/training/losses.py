"""Losses: what a batch's scores cost, a block of candidates at a time, and their slopes.

A loss is one class and one entry in ``LOSSES``. There are two kinds:

- a ``CellLoss`` is a mean over the B x N pairs of query and entity, each for itself: a block of
  scores is costed as if no pair in it were a fact, and the answers correct that;
- a ``RowLoss`` is a mean over facts and needs a sum over all candidates of a query first.

A regulariser, which keeps the vectors of a fact short, is one function and one entry in
``REGULARISERS``. It is asked twice per fact, with
the head and the relation, and with the tail and the relation; the penalty of a fact is the sum.

Shapes: B queries, n candidates of a block, N entities, P answers of a batch, d entity
width, r relation width.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar

import torch
from torch import Tensor
from torch.nn import functional as F

from momok.model.decoders import Decoder
from momok.model.precision import at_least_float32

BCE_EPSILON = 1e-12  # PyTorch's guard in the derivative of binary_cross_entropy
LOG_FLOOR = -100.0  # and in its logarithms

# log1p(e) / e for 0 <= e <= 1, within 4e-8: its interpolation at nine Chebyshev points, by powers.
_LOG1P = (
    0.999999966,
    -0.49999445,
    0.333181217,
    -0.24835399,
    0.190768807,
    -0.136022476,
    0.0775160866,
    -0.0290740646,
    0.00512610212,
)


class CellLoss:
    """Binary cross-entropy against ``(1 - smoothing) y + 1/N``, in one of its forms."""

    @staticmethod
    def cost(scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        """What every pair costs if none is a fact, summed per query: [b, n] to [b].

        Args:
            scores: products of vectors; ``offset`` is added.
            slopes: [b, n], where the derivative is written to; not the memory of ``scores``.
            share: what a pair counts as true, 1/N.
        """
        raise NotImplementedError

    fused_cost = cost
    """The same in a form that a compiler makes one pass of."""

    @staticmethod
    def gain(answers: Tensor) -> tuple[Tensor, Tensor]:
        """What a target of one more changes at answers of these scores [P], offset included.

        Returns:
            the losses [P], and their derivatives by the scores.
        """
        raise NotImplementedError


class Logits(CellLoss):
    """Cross-entropy of the scores: ``softplus(s) - t s``."""

    @staticmethod
    def cost(scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        # in float32: near -ln N a bfloat16 has no room for what the scores say, and the derivative
        # is a small difference
        x = at_least_float32(scores) + offset
        total = F.softplus(x).sum(dim=1) - share * x.sum(dim=1)
        slopes.copy_(x.sigmoid_().sub_(share))
        return total

    @staticmethod
    def fused_cost(scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        """``softplus(x) = max(x, 0) + log1p(e)`` with ``e = exp(-|x|) <= 1``.

        The logarithm is a polynomial: three quarters of the time of a kernel with ``log``
        (measured), and exact to float32 where ``1 + e`` would round e away.
        """
        x = at_least_float32(scores) + offset
        e = torch.exp(-x.abs())
        total = (x.clamp_min(0.0) + _log1p(e) - share * x).sum(dim=1)
        slopes.copy_(_sigmoid(x, e) - share)
        return total

    @staticmethod
    def gain(answers: Tensor) -> tuple[Tensor, Tensor]:
        return -answers, -torch.ones_like(answers)


class Probabilities(CellLoss):
    """Cross-entropy of float32 probabilities, as the published code computes it.

    It saturates: beyond s = 16.6 = ln 2^24 the probability rounds to one, the pair costs
    100 (1 - t) and has no slope; below -27.6 the slope fades.
    """

    @staticmethod
    def cost(scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        p = torch.sigmoid(at_least_float32(scores) + offset)
        yes, no = p.log().clamp_min(LOG_FLOOR), (1.0 - p).log().clamp_min(LOG_FLOOR)
        total = -(share * yes + (1.0 - share) * no).sum(dim=1)
        variance = p * (1.0 - p)
        slopes.copy_((p - share) * (variance / variance.clamp_min(BCE_EPSILON)))
        return total

    @staticmethod
    def fused_cost(scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        """With the exponential as its only slow function.

        It saturates where ``cost`` does, and has its slopes. The loss of the other pairs has no
        rounding of ``1 - p`` in it, by which the two differ.
        """
        x = at_least_float32(scores) + offset
        e = torch.exp(-x.abs())
        p = _sigmoid(x, e)
        cost = x.clamp_min(0.0) + _log1p(e) - share * x.clamp_min(LOG_FLOOR)
        total = torch.where(p == 1.0, (share - 1.0) * LOG_FLOOR, cost).sum(dim=1)
        slopes.copy_((p - share) * (p * (1.0 - p) * (1.0 / BCE_EPSILON)).clamp_max(1.0))
        return total

    @staticmethod
    def gain(answers: Tensor) -> tuple[Tensor, Tensor]:
        p = torch.sigmoid(answers)
        yes, no = p.log().clamp_min(LOG_FLOOR), (1.0 - p).log().clamp_min(LOG_FLOOR)
        variance = p * (1.0 - p)
        slope = variance / variance.clamp_min(BCE_EPSILON)
        return no - yes, -slope


class RowLoss:
    """The mean over facts of a cost that needs the log-sum-exp of a query's scores.

    Such a loss does not see a constant that all scores of a query have on top: outside training
    the model gives log-probabilities among all entities (``MoMoKSpec.softmax``).

    ``sees_answers`` says whether the answers are among the candidates that were summed.
    """

    sees_answers: ClassVar[bool]

    @staticmethod
    def cost(normaliser: Tensor, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The cost of answers [P], each with the log-sum-exp of its query's candidates [P].

        Returns:
            the costs [P], their derivative by the normaliser [P], and by the answer's score [P].
        """
        raise NotImplementedError


class Softmax(RowLoss):
    """Cross-entropy of an answer among all entities: ``L - s`` with ``L = logsumexp`` of all."""

    sees_answers = True

    @staticmethod
    def cost(normaliser: Tensor, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        one = torch.ones_like(answers)
        return normaliser - answers, one, -one


class SampledSoftmax(RowLoss):
    """Cross-entropy of an answer beside a sample that stands for all entities.

    ``logaddexp(L, s) - s`` with ``L = logsumexp(sample) + ln(N / |sample|)``.
    """

    sees_answers = False

    @staticmethod
    def cost(normaliser: Tensor, answers: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        together = torch.logaddexp(normaliser, answers)
        by_normaliser = torch.exp(normaliser - together)
        return together - answers, by_normaliser, -by_normaliser


LOSSES: dict[str, type[CellLoss] | type[RowLoss]] = {
    "logits": Logits,
    "probabilities": Probabilities,
    "softmax": Softmax,
}
"""By the value of ``training.loss``."""

SAMPLED_LOSSES: dict[str, type[RowLoss]] = {"softmax": SampledSoftmax}
"""Those that have another form where the candidates are a sample."""


def choose_loss(name: str, *, sampled: bool) -> type[CellLoss] | type[RowLoss]:
    """The loss of a setting, in the form for all candidates or for a sample."""
    return SAMPLED_LOSSES[name] if sampled and name in SAMPLED_LOSSES else LOSSES[name]


def _log1p(e: Tensor) -> Tensor:
    """``log(1 + e)`` for ``0 <= e <= 1``."""
    by_e = torch.full_like(e, _LOG1P[-1])
    for coefficient in _LOG1P[-2::-1]:
        by_e = by_e * e + coefficient
    return e * by_e


def _sigmoid(x: Tensor, e: Tensor) -> Tensor:
    """The sigmoid of ``x``, given ``e = exp(-|x|)``."""
    larger = 1.0 / (1.0 + e)
    return torch.where(x >= 0, larger, e * larger)


# -- regularisers ------------------------------------------------------------------------------

Regulariser = Callable[[Decoder, Tensor, Tensor], Tensor]
"""``(decoder, entities [n, d], relations [n, r])`` to the penalty of each of n pairs."""


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
    if decoder.needs_even_width:
        real, imaginary = x.chunk(2, dim=1)
        moduli = torch.sqrt(real.square() + imaginary.square() + 1e-12)
    else:
        moduli = x.abs()
    return moduli.pow(3).sum(dim=1)
