"""Tables of entity vectors, one per modality.

Shapes: N entities, n of them asked for, f width of the table, d width that the experts see, M
members, each with a table of its own.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal, get_args

import torch
from torch import Tensor, nn

from momok.model.without_storage import without_storage
from momok.shard import Shard

MissingPolicy = Literal["mean", "zero", "random"]
"""What stands for the features of an entity that has none: see ``FeatureSettings.missing``."""

_DRAWN = 1 << 22  # numbers drawn at a time, where most are another rank's


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
        shard: which of the N rows are here; n below.
        features: [n, f] given vectors; None starts the table at random (structure), Xavier
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
        shard: Shard,
        *,
        features: Tensor | None = None,
        present: Tensor | None = None,
        scale: float = 0.0,
        generator: torch.Generator | None = None,
        members: int = 1,
    ) -> None:
        super().__init__()
        self.spec, self.shard = spec, shard
        self.sparse_gradient = False  # whether the table's gradient holds the rows used, no others
        if present is None:
            present = torch.ones(shard.entities, dtype=torch.bool)
        self.register_buffer("present", present)
        width = spec.width if spec.mapped else spec.table_width
        values = _draw_rows(shard, width, members, scale, generator)
        here = present[shard.first : shard.stop]
        if spec.mapped:
            mean, centred = torch.zeros(spec.table_width), torch.zeros(len(shard), spec.table_width)
            if features is not None:  # else a checkpoint fills them
                mean = shard.mean(features[here])
                centred = (features - mean) * here.unsqueeze(1)
            self.register_buffer("mean", mean)
            self.register_buffer("features", centred)
        elif features is not None:
            _fill(values, features, here, spec.missing, shard)
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
        """Rows of the table as stored, [n, f], or [n, M f]; all of them for None.

        Here and below ``ids`` are places in the table: with all rows here, ids of entities.
        """
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
        return self.join(rows, self.given(ids))

    def given(self, ids: Tensor | slice | None = None) -> Tensor | None:
        """The features that are added to stored rows, [n, f]; None where there are none."""
        if not self.spec.mapped:
            return None
        return self.features if ids is None else self.features[ids]

    def join(self, rows: Tensor, given: Tensor | None) -> Tensor:
        """What the experts see of stored rows, with what is ``given`` beside them."""
        if self.projection is None:
            return rows
        if given is None:
            return rows @ self.projection.T
        return rows + given @ self.projection.T

    def take_member(self, number: int) -> EntityTable:
        """The table of one of M members, in the memory of this one, with the same features."""
        with without_storage():
            taken = EntityTable(self.spec, self.shard)
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


def _draw_rows(
    shard: Shard, width: int, members: int, scale: float, generator: torch.Generator | None
) -> Tensor:
    """This rank's part of a table at random: the numbers that one process alone would draw."""
    shape = (shard.entities, width) if members == 1 else (members, shard.entities, width)
    if shard.whole or torch.empty(0).is_meta:
        here = (*shape[:-2], len(shard), width)
        return draw_vectors(torch.empty(here), scale, generator)
    if scale == 0.0:
        fans = shape[-1] + shape[-2] if members == 1 else width * (members + shard.entities)
        scale = math.sqrt(2.0 / fans)
    kept = torch.empty(members, len(shard) * width)
    total, start = math.prod(shape), 0
    while start < total:
        # the generator draws sixteen numbers at a time, and those at the end anew
        stop = total if total - start < 2 * _DRAWN else start + _DRAWN
        drawn = torch.empty(stop - start).normal_(std=scale, generator=generator)
        for member in range(members):
            first = (member * shard.entities + shard.first) * width
            low, high = max(start, first), min(stop, first + kept.shape[1])
            if low < high:
                kept[member, low - first : high - first] = drawn[low - start : high - start]
        start = stop
    return kept.view(*shape[:-2], len(shard), width)


def _fill(
    values: Tensor, features: Tensor, present: Tensor, policy: MissingPolicy, shard: Shard
) -> None:
    """Write ``features`` over random ``values``, and at absent entities what the policy says."""
    absent = ~present
    instead: Tensor | float = 0.0
    if shard.any(bool(absent.any())):
        known = features[present].to(values.dtype)
        some = shard.any(bool(len(known)))
        if policy == "mean" and some:
            instead = shard.mean(known)
        elif policy == "random":
            # as long as the present vectors are on average, so that no row stands out by its norm
            scale = shard.mean(known.norm(dim=1)) if some else 1.0
            instead = torch.nn.functional.normalize(values[absent], dim=1) * scale
    values.copy_(features)
    values[absent] = instead
