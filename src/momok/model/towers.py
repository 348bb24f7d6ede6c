"""What the two towers of a model give: the contract of training, evaluation and prediction.

Every decision head is a two-tower model: a vector per query, a vector per candidate, and a score is
their dot product. Whatever else belongs to a score is in columns of the two vectors.

Shapes: B queries, N entities, n of them as candidates, U distinct relations of a batch, M
modalities, K experts, G branches of the joint head, d_m width of modality m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What the query tower makes of B queries.

    Args:
        vectors: per head [B, d_head].
        entities: per head [B, d], the entities' vectors before the decoder.
        relations: per head [U, r], the vectors of the distinct relations.
        gates: per modality [B, K], the weight of each expert under the query's relation; empty
            without experts.
        expert_outputs: per modality [B, K, d_m].
        fusion_weights: [G, B, M], the joint head's attention over modalities, if it has one.
    """

    vectors: dict[str, Tensor]
    entities: dict[str, Tensor]
    relations: dict[str, Tensor]
    gates: dict[str, Tensor]
    expert_outputs: dict[str, Tensor]
    fusion_weights: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What the candidate tower makes of n entities.

    Args:
        vectors: per head [n, d_head].
        gates: per modality [n, K], the weight of each expert without a relation.
        fusion_weights: [G, n, M], as in ``Queries``.
        entities: per head [n, d], the vectors before the decoder.
    """

    vectors: dict[str, Tensor]
    gates: dict[str, Tensor]
    fusion_weights: Tensor | None
    entities: dict[str, Tensor] = field(default_factory=dict)


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
    def softmax(self) -> bool:
        """Whether scores are log-probabilities among all entities, not log-odds of pairs."""
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
