"""Randomness of training: dropout and gate noise, all from one generator.

On a CPU, PyTorch's dropout draws one double-precision number per cell: 200 ms for 16 million
cells where the multiplication itself takes 17 ms. Here a mask is drawn as bytes, eight to a
64-bit draw, and compared with a threshold: 6 ms for the same cells (measured on 2 cores). The
probability is rounded to a 256th (0.4 becomes 102/256 = 0.398) and the scale is that of the
rounded probability, so expectations are exact. On a GPU the native generator is as fast.
"""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["Noise"]

_LEVELS = 256  # a byte's worth of probabilities


def _dropped_levels(p: float) -> int:
    """How many of a byte's values mean dropped; one at least means kept."""
    return min(round(p * _LEVELS), _LEVELS - 1)


class _MaskedScale(torch.autograd.Function):
    """``x * mask * scale``, keeping only the mask (one byte a cell) for the backward pass."""

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, mask: Tensor, scale: float):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(mask)
        ctx.scale = scale  # type: ignore[attr-defined]
        return (x * mask).mul_(scale)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (mask,) = ctx.saved_tensors
        return (grad * mask).mul_(ctx.scale), None, None


class Noise:
    """Dropout masks and gaussian noise drawn from one generator.

    Args:
        generator: the source of all randomness; ``None`` switches every kind of noise off.
    """

    def __init__(self, generator: torch.Generator | None) -> None:
        self.generator = generator

    @property
    def off(self) -> bool:
        """Whether nothing is random: evaluation."""
        return self.generator is None

    def keep_mask(self, shape: tuple[int, ...], p: float, device: torch.device) -> Tensor:
        """A boolean mask that is True with probability ``keep_probability(p)``."""
        if device.type != "cpu":
            return torch.rand(shape, device=device, generator=self.generator) >= p
        cells = 1
        for size in shape:
            cells *= size
        words = torch.empty((cells + 7) // 8, dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        drawn = words.view(torch.uint8)[:cells]
        return (drawn >= _dropped_levels(p)).view(shape)

    @staticmethod
    def keep_probability(p: float, device: torch.device) -> float:
        """The probability with which a cell is kept, as the device draws it."""
        return 1.0 - (p if device.type != "cpu" else _dropped_levels(p) / _LEVELS)

    def dropout(self, x: Tensor, p: float) -> Tensor:
        """Zero cells of ``x`` with probability ``p`` and scale the others to the same mean."""
        if self.off or p == 0.0:
            return x
        mask = self.keep_mask(tuple(x.shape), p, x.device)
        scale = 1.0 / self.keep_probability(p, x.device)
        return _MaskedScale.apply(x, mask, scale)  # type: ignore[no-untyped-call,no-any-return]

    def normal(self, like: Tensor) -> Tensor:
        """Standard gaussian noise of the shape of ``like``."""
        return torch.randn(like.shape, generator=self.generator, device=like.device)
