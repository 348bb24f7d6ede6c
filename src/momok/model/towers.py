"""The sizes of a model, and what its two towers give.

Shapes: B queries, N entities, n of them as candidates, M modalities, K experts, G branches of the
joint head, d_m width of modality m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from momok.model.tables import ModalitySpec

__all__ = ["Candidates", "MoMoKSpec", "Queries"]


@dataclass(frozen=True, kw_only=True)
class MoMoKSpec:
    """Every size and switch of a model; enough to build it empty and fill it from a checkpoint.

    Args:
        num_entities: N.
        num_relations: R, without reciprocals.
        modalities: in order; structure is the one without features.
        relation_width: of the relation vectors of the modality heads.
        joint_width: of the joint head; None leaves the joint head out.
        branches: G of the joint head.
        experts: K per modality.
        relation_temperature: whether a query's gate is sharpened or flattened by its relation.
        gate_noise: whether gates are noisy in training.
        expert_dropout, fusion_dropout, decoder_dropouts: probabilities, as in the paper.
        score_offset: what every score is raised by; none in the paper.
    """

    num_entities: int
    num_relations: int
    modalities: tuple[ModalitySpec, ...]
    relation_width: int = 256
    joint_width: int | None = 256
    branches: int = 2
    experts: int = 3
    relation_temperature: bool = True
    gate_noise: bool = True
    expert_dropout: float = 0.0
    fusion_dropout: float = 0.2
    decoder_dropouts: tuple[float, float, float] = (0.3, 0.4, 0.5)
    score_offset: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What the query tower makes of B queries.

    Args:
        vectors: per head [B, d_head].
        gates: per modality [B, K], the weight of each expert under the query's relation.
        expert_outputs: per modality [B, K, d_m].
        fusion_weights: [G, B, M], the joint head's attention over modalities, if there is one.
        voters: per masked head, ascending, the b queries that it votes on. ``encode_queries``
            gives vectors [b, d_head] of those alone, ``queries`` of all (``momok.model.votes``).
    """

    vectors: dict[str, Tensor]
    gates: dict[str, Tensor]
    expert_outputs: dict[str, Tensor]
    fusion_weights: Tensor | None
    voters: dict[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What the candidate tower makes of n entities: as ``Queries``, without a relation."""

    vectors: dict[str, Tensor]
    gates: dict[str, Tensor]
    fusion_weights: Tensor | None


class HasVectors(Protocol):
    """What a tower gives, at least: per head vectors [n, d_head]."""

    @property
    def vectors(self) -> Mapping[str, Tensor]: ...


class TwoTowerModel(Protocol):
    """What ranking needs of a model: vectors whose dot products are the scores of each head."""

    training: bool

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the decision heads."""
        ...

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities."""
        ...

    @property
    def present(self) -> Mapping[str, Tensor]:
        """Per modality, which entities have it: bool [N]."""
        ...

    def queries(self, heads: Tensor, relations: Tensor, /) -> HasVectors:
        """Encode queries [B], relations in 0..2R-1."""
        ...

    def candidates(self, entity_ids: slice | None = None, /) -> HasVectors:
        """Encode all entities, or some."""
        ...

    def train(self, mode: bool = True, /) -> Any:
        """Switch between training and evaluation mode."""
        ...
