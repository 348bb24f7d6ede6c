"""The two inner loops of a step, plain or compiled: the candidate tower and the loss of a block.

Compiled means by PyTorch's own compiler (``torch.compile``): on a CPU through a C++ compiler that
must be on the machine, on a GPU through Triton. It fuses the passes over memory between the matrix
products. Compiling takes half a minute to a minute, the first time on a machine; PyTorch keeps the
result on disk.

Shapes: B queries, n candidates of a block.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from typing import Literal, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from momok.errors import ConfigError
from momok.model import DrawnNoise, MoMoK
from momok.model.precision import as_given, at_least_float32

__all__ = [
    "BCE_EPSILON",
    "LOG_FLOOR",
    "CompiledKernels",
    "Kernels",
    "PlainKernels",
    "choose_kernels",
    "has_compiler",
    "score_flops",
]

# Arithmetic of a whole run's scores from which on compiling pays: some ten minutes on two cores.
_WORTH_COMPILING = 2e13

BCE_EPSILON = 1e-12  # PyTorch's guard in the derivative of binary_cross_entropy
LOG_FLOOR = -100.0  # and in its logarithms


class Kernels(Protocol):
    """What a step is made of."""

    compiled: bool

    def encode(self, rows: dict[str, Tensor], ids: slice | Tensor) -> dict[str, Tensor]:
        """The candidate tower over table rows of the entities ``ids``.

        Per head [n, d_head], differentiable.
        """

    def cross_entropy(
        self, scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
    ) -> Tensor:
        """The loss ``sum softplus(s) - share s`` of ``s = scores + offset`` [B, n].

        Args:
            slopes: [B, n], where the derivative is written to; not the memory of ``scores``.

        Returns:
            a scalar, float64.
        """

    def saturating_cross_entropy(
        self, scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
    ) -> Tensor:
        """The same as float32 probabilities have it: ``momok.training.objective.LossForm``."""


class PlainKernels:
    """PyTorch's operations as they are."""

    compiled = False

    def __init__(self, model: MoMoK) -> None:
        self.model = model

    def encode(self, rows: dict[str, Tensor], ids: slice | Tensor) -> dict[str, Tensor]:
        """See ``Kernels``."""
        return self.model.encode_candidates(rows, ids).vectors

    def cross_entropy(
        self, scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
    ) -> Tensor:
        """See ``Kernels``."""
        # in float32: near -ln N a bfloat16 has no room for what the scores say, and the derivative
        # is a small difference
        x = at_least_float32(scores) + offset
        total = (F.softplus(x).sum(dim=1) - share * x.sum(dim=1)).sum(dtype=torch.float64)
        slopes.copy_(x.sigmoid_().sub_(share))
        return total

    def saturating_cross_entropy(
        self, scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
    ) -> Tensor:
        """See ``Kernels``."""
        return _saturating_cross_entropy(scores, slopes, share, offset).sum(dtype=torch.float64)


class CompiledKernels:
    """The same, compiled; sizes are symbols, so that every block is served by one compilation."""

    compiled = True

    def __init__(self, model: MoMoK) -> None:
        self.model = model
        self._heads = model.heads
        self._encode = torch.compile(self._encode_drawn)
        self._cross_entropy = torch.compile(_cross_entropy)
        self._saturating = torch.compile(_fused_saturating_cross_entropy)

    def encode(self, rows: dict[str, Tensor], ids: slice | Tensor) -> dict[str, Tensor]:
        """See ``Kernels``; what is random is drawn beforehand, by the eager code."""
        if isinstance(ids, slice):
            ids = torch.arange(ids.start, ids.stop, device=self.model.device)
        tape = self.model.draw_candidate_noise(len(ids))
        for tensor in (ids, *rows.values()):
            torch._dynamo.mark_dynamic(tensor, 0)
        for drawn in tape:
            torch._dynamo.mark_dynamic(drawn, drawn.dim() - 2)
        return dict(zip(self._heads, self._encode(rows, ids, tape), strict=True))

    def _encode_drawn(
        self, rows: dict[str, Tensor], ids: Tensor, tape: Sequence[Tensor]
    ) -> list[Tensor]:
        noise = DrawnNoise(tape) if tape else None
        vectors = self.model.encode_candidates(rows, ids, noise).vectors
        return [vectors[head] for head in self._heads]

    def cross_entropy(
        self, scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
    ) -> Tensor:
        """See ``Kernels``."""
        losses = self._cross_entropy(_any_size(scores), _any_size(slopes), share, offset)
        return losses.sum(dtype=torch.float64)

    def saturating_cross_entropy(
        self, scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
    ) -> Tensor:
        """See ``Kernels``."""
        losses = self._saturating(_any_size(scores), _any_size(slopes), share, offset)
        return losses.sum(dtype=torch.float64)

    def warm_up(self, queries: int, block: int) -> None:
        """Compile now. Leaves weights, gradients and generator as they were.

        The compiler spreads a loop over threads if it is long enough in the first call, so that
        has to be of the size of those that follow.

        Args:
            queries: B.
            block: n.

        Raises:
            Exception: whatever the compiler raises where it cannot be used.
        """
        generator = self.model.noise_generator
        state = None if generator is None else generator.get_state()
        some = slice(0, min(block, self.model.num_entities))
        rows = {
            name: table.detach().requires_grad_(table.requires_grad)
            for name, table in self.model.entity_rows(some).items()
        }
        vectors = self.encode(rows, some)
        parameters = [p for p in (*self.model.parameters(), *rows.values()) if p.requires_grad]
        loss = torch.stack([v.float().sum() for v in vectors.values()]).sum()
        torch.autograd.grad(loss, parameters, allow_unused=True)
        first = next(iter(vectors.values())).detach()
        scores = first.new_zeros(queries, len(first))
        slopes = torch.empty_like(scores)
        share, offset = 1.0 / self.model.num_entities, self.model.spec.score_offset
        with as_given(scores):  # as the objective calls them: else they are compiled once more
            self.cross_entropy(scores, slopes, share, offset)
            self.saturating_cross_entropy(scores, slopes, share, offset)
        if generator is not None and state is not None:
            generator.set_state(state)


def _any_size(scores: Tensor) -> Tensor:
    torch._dynamo.mark_dynamic(scores, 0)
    torch._dynamo.mark_dynamic(scores, 1)
    return scores


def _saturating_cross_entropy(
    scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
) -> Tensor:
    """Per row [B]: what PyTorch's sigmoid and binary_cross_entropy do, one after the other."""
    p = torch.sigmoid(at_least_float32(scores) + offset)
    yes, no = p.log().clamp_min(LOG_FLOOR), (1.0 - p).log().clamp_min(LOG_FLOOR)
    total = -(share * yes + (1.0 - share) * no).sum(dim=1)
    variance = p * (1.0 - p)
    slopes.copy_((p - share) * (variance / variance.clamp_min(BCE_EPSILON)))
    return total


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


def _cross_entropy(scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0) -> Tensor:
    """Per row [B].

    ``softplus(x) = max(x, 0) + log1p(e)`` with ``e = exp(-|x|) <= 1``, the logarithm by a
    polynomial: three quarters of the time of a kernel with ``log`` (measured), and exact to float32
    where ``1 + e`` would round e away.
    """
    x = at_least_float32(scores) + offset
    e = torch.exp(-x.abs())
    total = (x.clamp_min(0.0) + _log1p(e) - share * x).sum(dim=1)
    slopes.copy_(_sigmoid(x, e) - share)
    return total


def _fused_saturating_cross_entropy(
    scores: Tensor, slopes: Tensor, share: float, offset: float = 0.0
) -> Tensor:
    """Per row [B]: ``_saturating_cross_entropy`` with the exponential as its only dear function.

    It saturates where that does, and has its derivative. The loss of the other cells has no
    rounding of ``1 - p`` in it, by which the two differ.
    """
    x = at_least_float32(scores) + offset
    e = torch.exp(-x.abs())
    p = _sigmoid(x, e)
    cost = x.clamp_min(0.0) + _log1p(e) - share * x.clamp_min(LOG_FLOOR)
    total = torch.where(p == 1.0, (share - 1.0) * LOG_FLOOR, cost).sum(dim=1)
    slopes.copy_((p - share) * (p * (1.0 - p) * (1.0 / BCE_EPSILON)).clamp_max(1.0))
    return total


def _log1p(e: Tensor) -> Tensor:
    """Of ``0 <= e <= 1``."""
    by_e = torch.full_like(e, _LOG1P[-1])
    for coefficient in _LOG1P[-2::-1]:
        by_e = by_e * e + coefficient
    return e * by_e


def _sigmoid(x: Tensor, e: Tensor) -> Tensor:
    """From ``e = exp(-|x|)``."""
    larger = 1.0 / (1.0 + e)
    return torch.where(x >= 0, larger, e * larger)


def has_compiler(device: torch.device) -> bool:
    """Whether there is what ``torch.compile`` needs on this kind of device."""
    if device.type == "cuda":
        from importlib.util import find_spec

        return find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))


def choose_kernels(
    setting: Literal["auto", "on", "off"],
    model: MoMoK,
    device: torch.device,
    *,
    flops: float,
    queries: int,
    block: int,
) -> tuple[Kernels, str | None]:
    """The kernels of a run, and a word to the user about it if there is one.

    Args:
        flops: additions and multiplications of all scores of the run; ``auto`` compiles when that
            is long enough.
        queries, block: of a step, what compiled code is fitted to.

    Raises:
        ConfigError: ``on``, and it cannot be compiled here.
    """
    wanted = setting == "on" or (
        setting == "auto" and flops >= _WORTH_COMPILING and has_compiler(device)
    )
    if not wanted:
        return PlainKernels(model), None
    compiled = CompiledKernels(model)
    try:
        compiled.warm_up(queries, block)
    except Exception as error:  # whatever a compiler may raise: it has no tree of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if setting == "on":
            raise ConfigError(
                f"runtime.compile = on: nothing can be compiled here ({reason}); install a C++ "
                "compiler (g++), or set runtime.compile=auto or off"
            ) from error
        return PlainKernels(model), f"not compiled, so slower ({reason}); runtime.compile=off"
    return compiled, None


def score_flops(model: MoMoK, queries: int, epochs: int) -> float:
    """Arithmetic of the scores of a run and of their two gradients."""
    widths: list[int] = [m.width for m in model.spec.modalities]
    if model.spec.joint_width is not None:
        widths.append(model.spec.joint_width)
    return 6.0 * epochs * queries * model.num_entities * sum(widths)
