"""Tables of entity vectors, one per modality.

Shapes: N entities, n of them asked for, f width of the table, d width that the experts see, M
members, each with a table of its own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from momok.model.without_storage import without_storage

MissingPolicy = Literal["mean", "zero", "random"]
"""What stands for the features of an entity that has none: see ``FeatureSettings.missing``."""


@dataclass(frozen=True, kw_only=True)
class ModalitySpec:
    """The sizes of one modality.

    Args:
        name: what it is called in results and settings.
        width: d, of the vectors that the experts see.
        table_width: f, of the features; differs from ``width`` only with a learned projection.
        trainable: whether the table itself is trained (the paper) or kept as given.
        mapped: whether a vector is a free one plus a learned linear map of the features.
        missing: what stands for an entity without features: the ``mean`` of those present,
            ``zero``, or a ``random`` vector each.
    """

    name: str
    width: int
    table_width: int
    trainable: bool = True
    mapped: bool = False
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
        scale: standard deviation of what is drawn at random; 0 draws as the paper does.
        members: M; with several the table is ``[M, N, f]``, and rows of all stand side by side.
    """

    present: Tensor
    features: Tensor
    mean: Tensor

    def __init__(
        self,
        spec: ModalitySpec,
        entities: int,
        *,
        features: Tensor | None = None,
        present: Tensor | None = None,
        scale: float = 0.0,
        generator: torch.Generator | None = None,
        members: int = 1,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.sparse_gradient = False  # whether the table's gradient holds the rows used, no others
        if present is None:
            present = torch.ones(entities, dtype=torch.bool)
        self.register_buffer("present", present)
        shape = entities, spec.width if spec.mapped else spec.table_width
        values = torch.empty(shape if members == 1 else (members, *shape))
        draw_vectors(values, scale, generator)
        if spec.mapped:
            mean, centred = torch.zeros(spec.table_width), torch.zeros(entities, spec.table_width)
            if features is not None:  # else a checkpoint fills them
                mean = features[present].mean(dim=0)
                centred = (features - mean) * present.unsqueeze(1)
            self.register_buffer("mean", mean)
            self.register_buffer("features", centred)
        elif features is not None:
            _fill(values, features, present, spec.missing)
        if spec.trainable:
            self.weight = nn.Parameter(values)
        else:
            self.register_buffer("weight", values)
        self.projection = None
        if spec.mapped or spec.table_width != spec.width:
            self.projection = nn.Parameter(torch.empty(members * spec.width, spec.table_width))
            if spec.mapped:
                draw_vectors(self.projection, scale, generator)
            else:
                nn.init.xavier_uniform_(self.projection, generator=generator)

    def rows(self, ids: Tensor | slice | None = None) -> Tensor:
        """Rows of the table as stored, [n, f], or [n, M f]; all of them for None."""
        if self.weight.dim() == 3:
            of_members = self.weight if ids is None else self.weight[:, ids]
            return of_members.transpose(0, 1).flatten(1)
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
        """What the experts see of the stored rows of the entities ``ids``: [n, f] to [n, d]."""
        if self.projection is None:
            return rows
        if not self.spec.mapped:
            return rows @ self.projection.T
        features = self.features if ids is None else self.features[ids]
        return rows + features @ self.projection.T

    def take_member(self, number: int) -> EntityTable:
        """The table of one of M members, in the memory of this one, with the same features."""
        with without_storage():
            taken = EntityTable(self.spec, self.weight.shape[-2])
        values = self.weight.detach().view(-1, *self.weight.shape[-2:])[number]
        if self.spec.trainable:
            taken.weight = nn.Parameter(values)
        else:
            taken.register_buffer("weight", values)
        if self.projection is not None:
            maps = self.projection.detach().view(-1, self.spec.width, self.spec.table_width)
            taken.projection = nn.Parameter(maps[number])
        for name, buffer in self.named_buffers():
            if name != "weight":
                setattr(taken, name, buffer)
        return taken

    def project(self, features: Tensor) -> Tensor:
        """What the experts see of an entity that has features and no row: [n, f] to [n, d]."""
        if self.projection is None:
            return features
        return (features - self.mean if self.spec.mapped else features) @ self.projection.T


def draw_vectors(values: Tensor, scale: float, generator: torch.Generator | None) -> Tensor:
    """Fill with normal numbers of the given scale; 0 takes Xavier's (Glorot & Bengio 2010)."""
    if scale == 0.0:
        return nn.init.xavier_normal_(values, generator=generator)
    return nn.init.normal_(values, std=scale, generator=generator)


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
