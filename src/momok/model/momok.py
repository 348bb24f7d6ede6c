"""MoMoK as a two-tower model: queries to vectors, candidates to vectors, a score is a product.

Source: Zhang et al. 2025, "Multiple Heads are Better than One: Mixture of Modality Knowledge
Experts for Entity Representation Learning" (arXiv:2405.16869).

Shapes: B queries, N entities, n of them as candidates, R relations (2R with reciprocals), U
distinct relations in a batch, M modalities, K experts, G branches of the joint head, d_m width
of modality m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from momok.model.decoder import TuckER, group_by_relation
from momok.model.experts import ExpertBank
from momok.model.fusion import ModalityFusion
from momok.model.noise import Noise
from momok.model.tables import EntityTable, ModalitySpec

__all__ = ["JOINT", "Candidates", "MoMoK", "MoMoKSpec", "Queries"]

JOINT = "joint"  # the name of the joint decision head

Rows = Mapping[str, Tensor]  # modality -> stored table rows [n, f_m]


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


@dataclass(frozen=True, kw_only=True)
class Queries:
    """What the query tower makes of B queries.

    Args:
        vectors: per head [B, d_head].
        gates: per modality [B, K], the weight of each expert under the query's relation.
        expert_outputs: per modality [B, K, d_m].
        fusion_weights: [G, B, M], the joint head's attention over modalities, if there is one.
    """

    vectors: dict[str, Tensor]
    gates: dict[str, Tensor]
    expert_outputs: dict[str, Tensor]
    fusion_weights: Tensor | None


@dataclass(frozen=True, kw_only=True)
class Candidates:
    """What the candidate tower makes of n entities: as ``Queries``, without a relation."""

    vectors: dict[str, Tensor]
    gates: dict[str, Tensor]
    fusion_weights: Tensor | None


class MoMoK(nn.Module):
    """Mixture of modality knowledge experts.

    Args:
        spec: sizes and switches.
        features: per modality [N, f_m]; a modality without features (structure) has none.
        present: per modality [N], which entities have features.
        generator: of the initial weights; None uses PyTorch's global one.
    """

    def __init__(
        self,
        spec: MoMoKSpec,
        *,
        features: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.spec = spec
        self.noise_generator: torch.Generator | None = None  # set by training
        features, present = features or {}, present or {}
        relations = 2 * spec.num_relations
        widths = [modality.width for modality in spec.modalities]
        self.tables = nn.ModuleList(
            EntityTable(
                modality,
                spec.num_entities,
                features=features.get(modality.name),
                present=present.get(modality.name),
                generator=generator,
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
            for width in widths
        )
        self.relations = nn.ParameterList(
            nn.init.xavier_normal_(torch.empty(relations, spec.relation_width), generator=generator)
            for _ in widths
        )
        self.temperature = None  # tau, one number per relation
        if spec.relation_temperature:
            self.temperature = nn.Parameter(torch.randn(relations, generator=generator))
        decoders = [(width, spec.relation_width) for width in widths]
        if spec.joint_width is not None:
            decoders.append((spec.joint_width, spec.joint_width))
        self.decoders = nn.ModuleList(
            TuckER(d, r, dropouts=spec.decoder_dropouts, generator=generator) for d, r in decoders
        )
        self.entity_fusion = self._fusion(widths, generator)
        self.relation_fusion = self._fusion([spec.relation_width] * len(widths), generator)

    def _fusion(
        self, widths: list[int], generator: torch.Generator | None
    ) -> ModalityFusion | None:
        if self.spec.joint_width is None:
            return None
        return ModalityFusion(
            widths,
            self.spec.joint_width,
            branches=self.spec.branches,
            dropout=self.spec.fusion_dropout,
            generator=generator,
        )

    # -- names and sizes -------------------------------------------------------------------

    @property
    def modalities(self) -> tuple[str, ...]:
        """Names of the modalities, in order."""
        return tuple(modality.name for modality in self.spec.modalities)

    @property
    def heads(self) -> tuple[str, ...]:
        """Names of the decision heads: the modalities, then ``joint`` when it is on."""
        return self.modalities + (() if self.spec.joint_width is None else (JOINT,))

    @property
    def num_entities(self) -> int:
        """N."""
        return self.spec.num_entities

    @property
    def num_relations(self) -> int:
        """R, without reciprocals: relation ids 0 to 2R - 1 are accepted, r + R is r reversed."""
        return self.spec.num_relations

    @property
    def present(self) -> dict[str, Tensor]:
        """Per modality [N], which entities have it (structure: all)."""
        return {name: table.present for name, table, _ in self._towers}

    @property
    def device(self) -> torch.device:
        """Where the parameters lie."""
        return next(self.parameters()).device

    @property
    def _towers(self) -> list[tuple[str, EntityTable, ExpertBank]]:
        """Per modality its name, its table and its experts."""
        parts = zip(self.modalities, self.tables, self.banks, strict=True)
        return cast(list[tuple[str, EntityTable, ExpertBank]], list(parts))

    @property
    def _noise(self) -> Noise:
        return Noise(self.noise_generator if self.training else None)

    # -- the two towers --------------------------------------------------------------------

    def queries(self, heads: Tensor, relations: Tensor) -> Queries:
        """The query tower, for entity ids ``heads`` [B] and relation ids ``relations`` [B]."""
        return self.encode_queries(self.entity_rows(heads), heads, relations)

    def candidates(self, entity_ids: Tensor | slice | None = None) -> Candidates:
        """The candidate tower, for the entities asked for (None: all N, in order)."""
        return self.encode_candidates(self.entity_rows(entity_ids), entity_ids)

    def score(self, heads: Tensor, relations: Tensor) -> dict[str, Tensor]:
        """Logits of all entities: per head [B, N]. The plain form, for small graphs and tests."""
        queries, candidates = self.queries(heads, relations).vectors, self.candidates().vectors
        return {head: queries[head] @ candidates[head].T for head in self.heads}

    # -- the same, from table rows that the caller holds (training takes their gradients) ----

    def entity_rows(self, ids: Tensor | slice | None = None) -> dict[str, Tensor]:
        """Stored table rows per modality: [n, f_m]."""
        return {name: table.rows(ids) for name, table, _ in self._towers}

    def add_row_gradients(self, rows: Rows, ids: Tensor | slice) -> None:
        """Add the gradients that given rows collected to those of the tables they came from.

        A gather inside the graph would make a gradient of the whole table for every block.
        """
        for name, table, _ in self._towers:
            gradient = rows[name].grad
            if gradient is not None:
                table.add_row_gradient(gradient, ids)

    def release_core_gradients(self) -> None:
        """Forget the gradients of the decoders' cores; their memory is used for the next ones."""
        for decoder in self.decoders:
            cast(TuckER, decoder).release_core_gradient()

    def encode_queries(self, rows: Rows, heads: Tensor, relations: Tensor) -> Queries:
        """The query tower over given table rows of the entities ``heads`` [B]."""
        noise = self._noise
        temperature = None
        if self.temperature is not None:
            # not by indexing, whose gradient adds in any order on several threads
            temperature = torch.sigmoid(self.temperature.index_select(0, relations))
        vectors: dict[str, Tensor] = {}
        gates: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        for name, table, bank in self._towers:
            entities = table.vectors(rows[name], heads)
            gates[name] = bank.gate(entities, noise, temperature)
            outputs[name] = bank.outputs(entities, noise)
            vectors[name] = bank.mix(outputs[name], gates[name])
        groups = group_by_relation(relations)
        relation_vectors = [table[groups.distinct] for table in self.relations]  # M x [U, d_r]
        fusion_weights = None
        if self.entity_fusion is not None and self.relation_fusion is not None:
            vectors[JOINT], fusion_weights = self.entity_fusion(list(vectors.values()), noise)
            relation_vectors.append(self.relation_fusion(relation_vectors, noise)[0])
        encoded = {
            head: cast(TuckER, decoder)(vectors[head], relation, groups, noise)
            for head, decoder, relation in zip(
                self.heads, self.decoders, relation_vectors, strict=True
            )
        }
        return Queries(
            vectors=encoded, gates=gates, expert_outputs=outputs, fusion_weights=fusion_weights
        )

    def draw_candidate_noise(self, rows: int) -> list[Tensor]:
        """What ``encode_candidates`` would draw for this many entities, in order: a tape."""
        noise = self._noise
        if noise.off:
            return []
        tape = [drawn for _, _, bank in self._towers for drawn in bank.draw_noise(rows, noise)]
        if self.entity_fusion is not None:
            tape += self.entity_fusion.draw_noise(rows, noise)
        return tape

    def encode_candidates(
        self, rows: Rows, ids: Tensor | slice | None = None, noise: Noise | None = None
    ) -> Candidates:
        """The candidate tower over given table rows of the entities ``ids``.

        Args:
            noise: drawn beforehand; None draws it as it is needed.
        """
        noise = self._noise if noise is None else noise
        vectors: dict[str, Tensor] = {}
        gates: dict[str, Tensor] = {}
        for name, table, bank in self._towers:
            entities = table.vectors(rows[name], ids)
            gates[name] = bank.gate(entities, noise)
            vectors[name] = bank.mix(bank.outputs(entities, noise), gates[name])
        fusion_weights = None
        if self.entity_fusion is not None:
            vectors[JOINT], fusion_weights = self.entity_fusion(list(vectors.values()), noise)
        return Candidates(vectors=vectors, gates=gates, fusion_weights=fusion_weights)

    def expert_outputs(self, rows: Rows, ids: Tensor) -> dict[str, Tensor]:
        """What the experts say of given table rows: per modality [n, K, d_m]."""
        return {
            name: bank.outputs(table.vectors(rows[name], ids), self._noise)
            for name, table, bank in self._towers
        }
