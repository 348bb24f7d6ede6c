"""Adam over the model: dense, or touching only the table rows that a step used.

With a sample of candidates a step uses a few thousand rows of tables that may have millions; dense
Adam would read and write all of them, moments included. ``torch.optim.SparseAdam`` updates the rows
that have a gradient and leaves the others, moments included, as they are ("lazy" Adam).
"""

from __future__ import annotations

from typing import Any, Protocol, cast

import torch
from torch import Tensor, nn

from momok.model import MoMoK

__all__ = ["LazyAdam", "StepOptimizer", "build_optimizer", "state_of"]


class StepOptimizer(Protocol):
    """What a training step needs of an optimiser: PyTorch's own have it."""

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients."""

    def step(self) -> Any:
        """Update the parameters."""


class LazyAdam:
    """Adam for the weights, ``SparseAdam`` for the tables of entities; used like one optimiser."""

    def __init__(self, model: MoMoK, *, learning_rate: float, betas: tuple[float, float]) -> None:
        tables = [t.weight for t in model.tables if isinstance(t.weight, nn.Parameter)]
        for table in model.tables:
            cast(Any, table).sparse_gradient = isinstance(table.weight, nn.Parameter)
        rest = {id(table) for table in tables}
        dense = [p for p in model.parameters() if p.requires_grad and id(p) not in rest]
        self._dense = torch.optim.Adam(dense, lr=learning_rate, betas=betas, fused=True)
        self._tables = torch.optim.SparseAdam(tables, lr=learning_rate, betas=betas)

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Of both."""
        return [*self._dense.param_groups, *self._tables.param_groups]

    def state_of(self, parameter: Tensor) -> dict[str, Any]:
        """The moments of a parameter and its count of steps; changes are kept."""
        return state_of(self._tables if self._is_table(parameter) else self._dense, parameter)

    def _is_table(self, parameter: Tensor) -> bool:
        return any(parameter is table for table in self._tables.param_groups[0]["params"])

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients; those of the tables are dropped, since their rows change."""
        self._dense.zero_grad(set_to_none=set_to_none)
        self._tables.zero_grad(set_to_none=True)

    def step(self) -> None:
        """Update the weights, and the rows of the tables that have a gradient."""
        self._dense.step()
        self._tables.step()  # type: ignore[no-untyped-call]


def state_of(optimizer: torch.optim.Optimizer | LazyAdam, parameter: Tensor) -> dict[str, Any]:
    """What an optimiser remembers of a parameter; empty before its first step."""
    if isinstance(optimizer, LazyAdam):
        return optimizer.state_of(parameter)
    state: dict[str, Any] = optimizer.state[parameter]
    return state


def build_optimizer(
    model: MoMoK, *, learning_rate: float, beta2: float, lazy: bool
) -> torch.optim.Optimizer | LazyAdam:
    """Adam for a model; ``lazy`` updates only the table rows that a step used."""
    betas = (0.9, beta2)
    if lazy and any(isinstance(table.weight, nn.Parameter) for table in model.tables):
        return LazyAdam(model, learning_rate=learning_rate, betas=betas)
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam(parameters, lr=learning_rate, betas=betas, fused=True)
