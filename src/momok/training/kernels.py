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
from typing import Literal

import torch
from torch import Tensor

from momok.errors import ConfigError
from momok.model import DrawnNoise, MoMoK
from momok.model.precision import as_given
from momok.training.losses import CellLoss, Logits, RowLoss

# Arithmetic of a whole run's scores from which on compiling pays: some ten minutes on two cores.
_WORTH_COMPILING = 2e13

Vectors = dict[str, Tensor]  # per head [n, d]


class PlainKernels:
    """PyTorch's operations as they are."""

    compiled = False

    def __init__(self, model: MoMoK, loss: type[CellLoss] | type[RowLoss] = Logits) -> None:
        self.model, self.loss = model, loss

    def encode(self, rows: Vectors, ids: slice | Tensor) -> tuple[Vectors, Vectors]:
        """The candidate tower over table rows of the entities ``ids``, differentiable.

        Returns:
            per head the candidates' vectors, and those of the entities before the decoder (none
            where this is compiled).
        """
        encoded = self.model.encode_candidates(rows, ids)
        return encoded.vectors, encoded.entities

    def cost(self, scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        """``CellLoss.cost`` summed over the queries: a float64 scalar."""
        assert issubclass(self.loss, CellLoss)
        return self.loss.cost(scores, slopes, share, offset).sum(dtype=torch.float64)


class CompiledKernels(PlainKernels):
    """The same operations, compiled once for blocks of all sizes: sizes are symbols."""

    compiled = True

    def __init__(self, model: MoMoK, loss: type[CellLoss] = Logits) -> None:
        super().__init__(model, loss)
        self._encode = torch.compile(self._encode_drawn)
        self._cost = torch.compile(loss.fused_cost)

    def encode(self, rows: Vectors, ids: slice | Tensor) -> tuple[Vectors, Vectors]:
        """What is random is drawn beforehand, by the eager code."""
        if isinstance(ids, slice):
            ids = torch.arange(ids.start, ids.stop, device=self.model.device)
        tape = self.model.draw_candidate_noise(len(ids))
        for tensor in (ids, *rows.values()):
            torch._dynamo.mark_dynamic(tensor, 0)
        for drawn in tape:
            torch._dynamo.mark_dynamic(drawn, drawn.dim() - 2)
        return dict(zip(self.model.heads, self._encode(rows, ids, tape), strict=True)), {}

    def _encode_drawn(self, rows: Vectors, ids: Tensor, tape: Sequence[Tensor]) -> list[Tensor]:
        noise = DrawnNoise(tape) if tape else None
        vectors = self.model.encode_candidates(rows, ids, noise).vectors
        return [vectors[head] for head in self.model.heads]

    def cost(self, scores: Tensor, slopes: Tensor, share: float, offset: float) -> Tensor:
        for tensor in (scores, slopes):
            torch._dynamo.mark_dynamic(tensor, 0)
            torch._dynamo.mark_dynamic(tensor, 1)
        return self._cost(scores, slopes, share, offset).sum(dtype=torch.float64)

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
        vectors, _ = self.encode(rows, some)
        parameters = [p for p in (*self.model.parameters(), *rows.values()) if p.requires_grad]
        loss = torch.stack([v.float().sum() for v in vectors.values()]).sum()
        torch.autograd.grad(loss, parameters, allow_unused=True)
        first = next(iter(vectors.values())).detach()
        scores = first.new_zeros(queries, len(first))
        slopes = torch.empty_like(scores)
        share, offset = 1.0 / self.model.num_entities, self.model.spec.score_offset
        with as_given(scores):  # as the objective calls them: else they are compiled once more
            self.cost(scores, slopes, share, offset)
        if generator is not None and state is not None:
            generator.set_state(state)


def has_compiler(device: torch.device) -> bool:
    """Whether there is what ``torch.compile`` needs on this kind of device."""
    if device.type == "cuda":
        from importlib.util import find_spec

        return find_spec("triton") is not None
    return any(shutil.which(name) for name in (os.environ.get("CXX", "g++"), "g++", "clang++"))


def choose_kernels(
    setting: Literal["auto", "on", "off"],
    model: MoMoK,
    loss: type[CellLoss] | type[RowLoss],
    device: torch.device,
    *,
    flops: float,
    queries: int,
    block: int,
    penalised: bool = False,
) -> tuple[PlainKernels, str | None]:
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
    if not wanted or penalised or issubclass(loss, RowLoss):
        return PlainKernels(model, loss), None
    compiled = CompiledKernels(model, loss)
    try:
        compiled.warm_up(queries, block)
    except Exception as error:  # whatever a compiler may raise: it has no tree of its own
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        if setting == "on":
            raise ConfigError(
                f"runtime.compile = on: nothing can be compiled here ({reason}); install a C++ "
                "compiler (g++), or set runtime.compile=auto or off"
            ) from error
        return PlainKernels(model, loss), f"not compiled, so slower ({reason}); runtime.compile=off"
    return compiled, None


def score_flops(model: MoMoK, queries: int, epochs: int) -> float:
    """Arithmetic of the scores of a run and of their two gradients."""
    return 6.0 * epochs * queries * model.num_entities * sum(model.spec.head_widths.values())
