"""Tables of entity vectors, one per modality.

Shapes: N entities, n of them asked for, f width of the table, d width that the experts see.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

__all__ = ["EntityTable", "MissingPolicy", "ModalitySpec"]

MissingPolicy = Literal["mean", "zero", "learned", "random", "masked"]


@dataclass(frozen=True, kw_only=True)
class ModalitySpec:
    """The sizes of one modality.

    Args:
        name: what it is called in results and settings.
        width: d, of the vectors that the experts see.
        table_width: f, of the table; differs from ``width`` only with a learned projection.
        trainable: whether the table itself is trained (the paper) or kept as given.
        missing: what stands for an entity without features: the ``mean`` of those present,
            ``zero``, one ``learned`` vector, a ``random`` vector each, or nothing: ``masked``,
            its head abstains and the fusion leaves it out.
    """

    name: str
    width: int
    table_width: int
    trainable: bool = True
    missing: MissingPolicy = "mean"

    def __post_init__(self) -> None:
        assert self.missing in get_args(MissingPolicy), self.missing


class EntityTable(nn.Module):
    """The entity vectors of one modality, and what stands for the missing ones.

    Args:
        spec: sizes and policy.
        entities: N.
        features: [N, f] given vectors; None starts the table at random (structure), Xavier
            normal as in the paper.
        present: [N] whether an entity has features; None means all.
    """

    present: Tensor

    def __init__(
        self,
        spec: ModalitySpec,
        entities: int,
        *,
        features: Tensor | None = None,
        present: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.sparse_gradient = False  # whether the table's gradient holds the rows used, no others
        if present is None:
            present = torch.ones(entities, dtype=torch.bool)
        self.register_buffer("present", present)
        values = torch.empty(entities, spec.table_width)
        nn.init.xavier_normal_(values, generator=generator)
        if features is not None:
            _fill(values, features, present, spec.missing)
        if spec.trainable:
            self.weight = nn.Parameter(values)
        else:
            self.register_buffer("weight", values)
        self.missing = nn.Parameter(torch.zeros(spec.table_width)) if self._learns_missing else None
        self.projection = None
        if spec.table_width != spec.width:
            self.projection = nn.Parameter(torch.empty(spec.width, spec.table_width))
            nn.init.xavier_uniform_(self.projection, generator=generator)

        self.masked = spec.missing == "masked" and not bool(self.present.all())

    @property
    def _learns_missing(self) -> bool:
        return self.spec.missing == "learned" and not bool(self.present.all())

    def votes(self, ids: Tensor | slice | None = None) -> Tensor | None:
        """Which entities [n] have the modality, where those that have not are masked; else None."""
        if not self.masked:
            return None
        return self.present if ids is None else self.present[ids]

    def rows(self, ids: Tensor | slice | None = None) -> Tensor:
        """Rows of the table as stored, [n, f]; all of them for None."""
        return self.weight if ids is None else self.weight[ids]

    def add_row_gradient(self, gradient: Tensor, ids: Tensor | slice) -> None:
        """Add the gradient [n, f] of rows to that of the table."""
        if self.sparse_gradient:
            self._add_sparse_gradient(gradient, ids)
            return
        if self.weight.grad is None:
            self.weight.grad = torch.zeros_like(self.weight)
        if isinstance(ids, slice):
            self.weight.grad[ids] += gradient
        else:
            self.weight.grad.index_add_(0, ids, gradient)

    def _add_sparse_gradient(self, gradient: Tensor, ids: Tensor | slice) -> None:
        if isinstance(ids, slice):
            ids = torch.arange(ids.start, ids.stop, device=gradient.device)
        rows = torch.sparse_coo_tensor(
            ids.unsqueeze(0), gradient, self.weight.shape, check_invariants=False
        )
        self.weight.grad = rows if self.weight.grad is None else self.weight.grad + rows

    def vectors(self, rows: Tensor, ids: Tensor | slice | None = None) -> Tensor:
        """What the experts see of the stored rows: [n, f] to [n, d]."""
        if self.missing is not None:
            present = self.present if ids is None else self.present[ids]
            rows = torch.where(present.unsqueeze(1), rows, self.missing)
        return self.project(rows)

    def project(self, rows: Tensor) -> Tensor:
        """The same of rows that all stand for something: [n, f] to [n, d]."""
        return rows if self.projection is None else rows @ self.projection.T


def _fill(values: Tensor, features: Tensor, present: Tensor, policy: MissingPolicy) -> None:
    """Write ``features`` over random ``values``, and at absent entities what the policy says."""
    absent = ~present
    instead: Tensor | float = 0.0
    if bool(absent.any()):
        known = features[present].to(values.dtype)
        if policy == "mean" and len(known):
            instead = known.mean(dim=0)
        elif policy == "random":
            # as long as the present vectors are on average, so that no row stands out by its norm
            scale = known.norm(dim=1).mean() if len(known) else 1.0
            instead = torch.nn.functional.normalize(values[absent], dim=1) * scale
    values.copy_(features)
    values[absent] = instead
