"""Randomness of training: dropout and gate noise, all from one generator.

On a CPU, PyTorch's dropout draws one double-precision number per cell: 200 ms for 16 million
cells where the multiplication itself takes 17 ms. Here a mask is drawn as bytes, eight to a
64-bit draw, and compared with a threshold: 6 ms for the same cells (measured on 2 cores). The
probability is rounded to a 256th (0.4 becomes 102/256 = 0.398) and the scale is that of the
rounded probability, so expectations are exact. On a GPU the native generator is as fast.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

_LEVELS = 256  # a byte's worth of probabilities


def _dropped_levels(p: float) -> int:
    """How many of a byte's values mean dropped; one at least means kept."""
    return min(round(p * _LEVELS), _LEVELS - 1)


def _threshold(p: float, device: torch.device) -> float:
    """What is drawn from here on means kept."""
    return p if device.type != "cpu" else _dropped_levels(p)


# Integers as wide as a floating-point number: a mask of zeros and minus ones in them keeps or
# clears a number by one bitwise "and".
_BITS = {2: torch.int16, 4: torch.int32, 8: torch.int64}


class _Masked(torch.autograd.Function):
    """``x`` where the mask is set, else zero; likewise for the gradient.

    A product with a boolean mask converts the mask first and takes five times as long on a CPU
    (measured: 1.8 against 0.32 nanoseconds a cell).
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, x: Tensor, bits: Tensor):  # type: ignore[no-untyped-def]
        ctx.save_for_backward(bits)
        return (x.view(bits.dtype) & bits).view(x.dtype)

    @staticmethod
    def backward(ctx, grad: Tensor):  # type: ignore[no-untyped-def]
        (bits,) = ctx.saved_tensors
        return (grad.view(bits.dtype) & bits).view(grad.dtype), None


def mask_(x: Tensor, bits: Tensor) -> Tensor:
    """Clear the cells of a contiguous ``x`` whose bits are not set, in place."""
    x.view(bits.dtype).bitwise_and_(bits)
    return x


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

    def draw(self, shape: tuple[int, ...], device: torch.device) -> Tensor:
        """What a mask is decided by: uniform bytes, or on a GPU uniform numbers below one."""
        if device.type != "cpu":
            return torch.rand(shape, device=device, generator=self.generator)
        cells = math.prod(shape)
        words = torch.empty((cells + 7) // 8, dtype=torch.int64)
        words.random_(-(2**63), None, generator=self.generator)
        return words.view(torch.uint8)[:cells].view(shape)

    def keep_bits(self, shape: tuple[int, ...], p: float, like: Tensor) -> Tensor:
        """A mask for ``mask_``, in integers of the width of ``like``'s numbers.

        All their bits are set with probability ``keep_probability(p)``, else none.
        """
        drawn, integers = self.draw(shape, like.device), _BITS[like.dtype.itemsize]
        threshold = _threshold(p, like.device)
        if like.device.type != "cpu":
            return (drawn >= threshold).to(integers).neg_()
        # The sign of threshold - 1 - drawn, spread over all bits: half the time of a comparison of
        # bytes and its conversion (measured).
        bits = drawn.to(integers).neg_().add_(int(threshold) - 1)
        return bits.bitwise_right_shift_(8 * like.dtype.itemsize - 1)

    @staticmethod
    def keep_probability(p: float, device: torch.device) -> float:
        """The probability with which a cell is kept, as the device draws it."""
        return 1.0 - (p if device.type != "cpu" else _dropped_levels(p) / _LEVELS)

    def scale(self, p: float, device: torch.device) -> float:
        """What kept cells are multiplied by, so that the mean stays: 1 when noise is off."""
        return 1.0 if self.off else 1.0 / self.keep_probability(p, device)

    def dropout(self, x: Tensor, p: float) -> Tensor:
        """Zero cells of ``x`` with probability ``p`` and scale the others to the same mean."""
        return self.masked(x, p) * self.scale(p, x.device) if p > 0.0 and not self.off else x

    def masked(self, x: Tensor, p: float) -> Tensor:
        """Zero cells of ``x`` with probability ``p``; the caller applies ``scale``."""
        if self.off or p == 0.0:
            return x
        bits = self.keep_bits(tuple(x.shape), p, x)
        return _Masked.apply(x, bits)  # type: ignore[no-untyped-call,no-any-return]

    def normal(self, like: Tensor) -> Tensor:
        """Standard gaussian noise of the shape of ``like``."""
        return torch.randn(like.shape, generator=self.generator, device=like.device)


class DrawnNoise(Noise):
    """Noise drawn beforehand: a forward pass without a generator, which a compiler can take whole.

    Args:
        tape: what ``draw`` and ``normal`` are to give, in the order of the calls.
    """

    def __init__(self, tape: Sequence[Tensor]) -> None:
        super().__init__(None)
        self._tape = iter(tape)

    @property
    def off(self) -> bool:
        """Never: without noise there is nothing to draw beforehand."""
        return False

    def draw(self, shape: tuple[int, ...], device: torch.device) -> Tensor:  # noqa: ARG002
        """The next tensor of the tape."""
        return next(self._tape)

    def masked(self, x: Tensor, p: float) -> Tensor:
        """The same, as a compiler makes vector code of it: a comparison of float32, a choice.

        The bits of ``_Masked`` become scalar code, and so do boolean masks: a block of candidates
        takes a third less time than with them (measured).
        """
        if p == 0.0:
            return x
        drawn = self.draw(tuple(x.shape), x.device).float()
        return torch.where(drawn >= _threshold(p, x.device), x, 0.0)

    def normal(self, like: Tensor) -> Tensor:  # noqa: ARG002
        """The next tensor of the tape."""
        return next(self._tape)
