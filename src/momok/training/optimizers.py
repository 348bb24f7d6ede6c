"""Optimisers of the model: Adam or Adagrad, dense or only for the table rows that a step used.

With a sample of candidates a step uses a few thousand rows of tables that may have millions.
Adagrad leaves a row without a gradient as it is, so with sparse gradients it does the same and
reads nothing else; dense Adam would move it, so there ``torch.optim.SparseAdam`` takes its place
("lazy" Adam).

Source: Kingma & Ba 2015 (arXiv:1412.6980); Duchi et al. 2011, "Adaptive Subgradient Methods for
Online Learning and Stochastic Optimization".
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from momok.model import MoMoK
from momok.settings import TrainingSettings


class Optimizers:
    """The optimiser of the tables and that of the rest, used like one.

    Args:
        parts: each with parameters of its own; ``sparse`` ones have their gradients dropped.
    """

    def __init__(self, parts: Sequence[torch.optim.Optimizer], sparse: Sequence[bool]) -> None:
        self._parts = list(zip(parts, sparse, strict=True))
        self._rates = [group["lr"] for group in self.param_groups]

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """The parameter groups of all parts."""
        return [group for part, _ in self._parts for group in part.param_groups]

    def scale_rates(self, factor: float) -> None:
        """Set every learning rate to ``factor`` times what it was at the start."""
        for group, rate in zip(self.param_groups, self._rates, strict=True):
            group["lr"] = rate * factor

    def state_tensors(self, module: nn.Module, prefix: str) -> dict[str, Tensor]:
        """What is remembered, its moments, by the names of the module's parameters."""
        return {
            f"{prefix}{name}/{key}": torch.as_tensor(value)
            for name, parameter in module.named_parameters()
            if parameter.requires_grad
            for key, value in self.state_of(parameter).items()
        }

    def load_state_tensors(self, module: nn.Module, tensors: Mapping[str, Tensor]) -> None:
        """Take up what ``state_tensors`` gave, named without the prefix.

        Raises:
            KeyError, ValueError: it is of other parameters.
        """
        parameters = dict(module.named_parameters())
        for name, value in tensors.items():
            owner, _, key = name.rpartition("/")
            parameter = parameters[owner]
            if value.ndim and value.shape != parameter.shape:
                raise ValueError(f"{name} does not fit the model's parameters")
            # SparseAdam counts its steps in an int
            self.state_of(parameter)[key] = (
                value.to(parameter.device) if value.is_floating_point() else int(value)
            )

    def state_of(self, parameter: Tensor) -> dict[str, Any]:
        """What is remembered of a parameter, to be changed in place; may be empty at the start."""
        for part, _ in self._parts:
            if any(parameter is p for group in part.param_groups for p in group["params"]):
                state: dict[str, Any] = part.state[parameter]
                return state
        raise KeyError("a parameter that is not trained")

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clear the gradients; sparse ones are dropped, since their rows change."""
        for part, sparse in self._parts:
            part.zero_grad(set_to_none=set_to_none or sparse)

    def step(self) -> None:
        """Update the parameters that have a gradient."""
        quiet = torch.sparse.check_sparse_tensor_invariants(enable=False)  # type: ignore[no-untyped-call]
        with quiet:  # else PyTorch warns
            for part, _ in self._parts:
                part.step()


def build_optimizer(model: nn.Module, settings: TrainingSettings) -> Optimizers:
    """The optimiser that ``settings`` describe, for a model or for CLUB networks."""
    tables: list[nn.Parameter] = []
    maps: list[nn.Parameter] = []
    if isinstance(model, MoMoK):
        for table in model.tables_by_name.values():
            if settings.candidates == "sampled" and isinstance(table.weight, nn.Parameter):
                table.sparse_gradient = True
                tables.append(table.weight)
            if table.spec.mapped and table.projection is not None:
                maps.append(table.projection)
    apart = {id(p) for p in (*tables, *maps)}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in apart]
    rate = settings.learning_rate
    groups = [{"params": rest, "lr": rate}] if rest else []
    if maps:
        groups.append({"params": maps, "lr": rate * settings.map_learning_rate})
    parts: list[torch.optim.Optimizer] = []
    if groups:
        parts.append(_build(groups, settings))
    if tables:
        parts.append(_build([{"params": tables, "lr": rate}], settings, sparse=True))
    return Optimizers(parts, [False, True][-len(parts) :] if tables else [False])


def _build(
    groups: list[dict[str, Any]], settings: TrainingSettings, *, sparse: bool = False
) -> torch.optim.Optimizer:
    if settings.optimizer == "adagrad":
        return torch.optim.Adagrad(groups)
    betas = (0.9, settings.beta2)
    if sparse:
        return torch.optim.SparseAdam(groups, betas=betas)
    return torch.optim.Adam(groups, betas=betas, fused=True)
