"""What a model is made of: tables, experts, relations, decoders and fusions.

Shapes: N entities, R relations (2R with reciprocals), M modalities.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

import torch
from torch import Tensor, nn

from momok.model.decoders import DECODERS, Decoder
from momok.model.experts import ExpertBank
from momok.model.fusions import FUSIONS, Fusion
from momok.model.spec import MoMoKSpec
from momok.model.tables import EntityTable, draw_vectors
from momok.shard import Shard


class ModelParts(nn.Module):
    """The trained parts of a model, by the names of modalities and heads.

    Args:
        spec: sizes and switches.
        features: per modality [n, f_m]; a modality without features (structure) has none.
        present: per modality [N], which entities have features.
        generator: of the initial weights; None uses PyTorch's global one.
        shard: which n rows of the tables are here; all N by default.
    """

    def __init__(
        self,
        spec: MoMoKSpec,
        *,
        features: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        shard: Shard | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.shard = shard or Shard(spec.num_entities)
        features, present = features or {}, present or {}
        relations = 2 * spec.num_relations
        widths = [modality.width for modality in spec.modalities]
        self.tables = nn.ModuleList(
            EntityTable(
                modality,
                self.shard,
                features=features.get(modality.name),
                present=present.get(modality.name),
                scale=spec.initial_scale,
                generator=generator,
                members=spec.members,
            )
            for modality in spec.modalities
        )
        self.banks = nn.ModuleList(
            ExpertBank(
                width,
                spec.experts,
                dropout=spec.expert_dropout,
                noisy=spec.gate_noise,
                generator=generator,
            )
            for width in (widths if spec.experts else ())
        )
        kind = DECODERS[spec.decoder]
        relation_widths = [kind.choose_relation_width(w, spec.relation_width) for w in widths]
        self.relations = nn.ParameterList(
            draw_vectors(torch.empty(relations, width), spec.initial_scale, generator)
            for width in (spec.members * width for width in relation_widths)
        )
        self.temperature = None  # tau, one number per relation
        if spec.experts and spec.relation_temperature:
            self.temperature = nn.Parameter(torch.randn(relations, generator=generator))
        decoders = list(zip(widths, relation_widths, strict=True)) if spec.modality_heads else []
        joint_relation = 0
        if spec.joint_width is not None:
            joint_relation = kind.choose_relation_width(spec.joint_width, spec.joint_width)
            decoders.append((spec.joint_width, joint_relation))
        self.decoders = nn.ModuleList(
            kind(width, relation, dropouts=spec.decoder_dropouts, generator=generator)
            for width, relation in decoders
        )
        self.entity_fusion = self._build_fusion(widths, spec.joint_width, generator)
        self.relation_fusion = self._build_fusion(
            relation_widths, spec.joint_width and joint_relation, generator
        )

    def _build_fusion(
        self, widths: list[int], width: int | None, generator: torch.Generator | None
    ) -> Fusion | None:
        spec, kind = self.spec, FUSIONS[self.spec.fusion]
        if width is None:
            return None
        sizes = {"branches": spec.branches, "dropout": spec.fusion_dropout}
        return kind(widths, width, **sizes, generator=generator)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(modality.name for modality in self.spec.modalities)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the decision heads: the modalities, then ``joint``, as far as they are on."""
        return tuple(self.spec.head_widths)

    @property
    def softmax(self) -> bool:
        """Whether scores are log-probabilities among all entities, not log-odds of pairs."""
        return self.spec.softmax

    @property
    def num_entities(self) -> int:
        return self.spec.num_entities

    @property
    def num_relations(self) -> int:
        """R, without reciprocals: relation ids 0 to 2R - 1 are accepted, r + R is r reversed."""
        return self.spec.num_relations

    @property
    def present(self) -> dict[str, Tensor]:
        """Per modality [N], which entities have it (structure: all)."""
        return {name: table.present for name, table in self.tables_by_name.items()}

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.parameters()).device

    @property
    def tables_by_name(self) -> dict[str, EntityTable]:
        """Per modality its table of entity vectors."""
        return dict(zip(self.modalities, cast(Iterable[EntityTable], self.tables), strict=True))

    @property
    def banks_by_name(self) -> dict[str, ExpertBank]:
        """Per modality its experts; empty without experts."""
        return dict(zip(self.modalities, cast(Iterable[ExpertBank], self.banks), strict=False))

    @property
    def decoders_by_name(self) -> dict[str, Decoder]:
        """Per head its decoder."""
        return dict(zip(self.heads, cast(Iterable[Decoder], self.decoders), strict=True))
