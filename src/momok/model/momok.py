"""MoMoK as a two-tower model: queries to vectors, candidates to vectors, a score is a product.

Source: Zhang et al. 2025, "Multiple Heads are Better than One: Mixture of Modality Knowledge
Experts for Entity Representation Learning" (arXiv:2405.16869).

Shapes: B queries, N entities, n of them as candidates, R relations (2R with reciprocals), U
distinct relations in a batch, M modalities, K experts, G branches of the joint head, d_m width
of modality m.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from momok.model.experts import ExpertBank
from momok.model.fusions import ModalityFusion
from momok.model.grouped_product import RelationGroups, TuckER, group_by_relation
from momok.model.noise import Noise
from momok.model.tables import EntityTable
from momok.model.towers import Candidates, MoMoKSpec, Queries
from momok.model.votes import widen_candidates, widen_queries

__all__ = ["JOINT", "Candidates", "MoMoK", "MoMoKSpec", "Queries"]

JOINT = "joint"  # the name of the joint decision head

_BLOCK = 1024  # entities encoded at a time where no gradient is wanted

Rows = Mapping[str, Tensor]  # modality -> stored table rows [n, f_m]


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
    def tables_by_name(self) -> dict[str, EntityTable]:
        """Per modality its table of entity vectors."""
        return {name: table for name, table, _ in self._towers}

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
        """The query tower, for entity ids ``heads`` [B] and relation ids ``relations`` [B].

        Vectors are up to two columns wider than a head: see ``momok.model.votes``.
        """
        encoded = self.encode_queries(self.entity_rows(heads), heads, relations)
        return self.widen_queries(encoded, self.votes(heads))

    def candidates(self, entity_ids: Tensor | slice | None = None) -> Candidates:
        """The candidate tower, for the entities asked for (None: all N, in order).

        As wide as the vectors of ``queries``. Without gradients, all N, or those of a slice, are
        encoded some at a time.
        """
        if not torch.is_grad_enabled() and not isinstance(entity_ids, Tensor):
            first, end, _ = (entity_ids or slice(None)).indices(self.num_entities)
            if end - first > _BLOCK or entity_ids is None:
                return self._candidates_in_blocks(first, end)
        return self._candidate_block(entity_ids)

    def _candidate_block(self, entity_ids: Tensor | slice | None) -> Candidates:
        encoded = self.encode_candidates(self.entity_rows(entity_ids), entity_ids)
        return self.widen_candidates(encoded, self.votes(entity_ids))

    def _candidates_in_blocks(self, first: int, stop: int) -> Candidates:
        """Entities ``first`` to ``stop``, with the memory of experts and fusion for one block.

        Blocks are of one size, the last overlapping: a product of another shape may round
        differently, and equal candidates would no longer tie.
        """
        found: dict[tuple[str, str], Tensor] = {}
        for block in range(first, stop, _BLOCK):
            end = min(block + _BLOCK, stop)
            part = slice(max(end - _BLOCK, first), end)
            piece = self._candidate_block(part)
            named = [(("vectors", name), x) for name, x in piece.vectors.items()]
            named += [(("gates", name), x) for name, x in piece.gates.items()]
            if piece.fusion_weights is not None:
                named.append((("fusion", JOINT), piece.fusion_weights.transpose(0, 1)))
            for key, rows in named:
                if key not in found:
                    found[key] = rows.new_empty(stop - first, *rows.shape[1:])
                found[key][part.start - first : part.stop - first] = rows
        weights = found.get(("fusion", JOINT))
        return Candidates(
            vectors={name: found["vectors", name] for name in self.heads},
            gates={name: found["gates", name] for name in self.modalities},
            fusion_weights=None if weights is None else weights.transpose(0, 1),
        )

    @property
    def abstaining(self) -> tuple[str, ...]:
        """Heads that do not vote on all entities."""
        return tuple(name for name, table, _ in self._towers if table.masked)

    def votes(self, ids: Tensor | slice | None = None) -> dict[str, Tensor]:
        """Per masked head, on which of the entities [n] it votes; other heads vote on all."""
        found = {name: table.votes(ids) for name, table, _ in self._towers}
        return {name: votes for name, votes in found.items() if votes is not None}

    def widen_queries(self, encoded: Queries, votes: Mapping[str, Tensor]) -> Queries:
        """What ``encode_queries`` gave, with all that belongs to a score in the vectors."""
        vectors = dict(encoded.vectors)
        for head, rows in encoded.voters.items():
            some = vectors[head]
            vectors[head] = some.new_zeros(len(votes[head]), some.shape[1]).index_copy(
                0, rows, some
            )
        wide = widen_queries(vectors, votes, offset=self.spec.score_offset)
        return replace(encoded, vectors=wide)

    def widen_candidates(self, encoded: Candidates, votes: Mapping[str, Tensor]) -> Candidates:
        """The same of what ``encode_candidates`` gave."""
        wide = widen_candidates(encoded.vectors, votes, offset=self.spec.score_offset)
        return replace(encoded, vectors=wide)

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
        for decoder in self._decoders:
            decoder.release_core_gradient()

    def encode_queries(
        self,
        rows: Rows,
        heads: Tensor,
        relations: Tensor,
        groups: RelationGroups | None = None,
    ) -> Queries:
        """The query tower over given table rows of the entities ``heads`` [B].

        Args:
            groups: ``group_by_relation(relations)``, if the caller has it.
        """
        entities = {name: table.vectors(rows[name], heads) for name, table, _ in self._towers}
        return self.encode_query_vectors(entities, self.votes(heads), relations, groups)

    def encode_query_vectors(
        self,
        entities: Rows,
        votes: Mapping[str, Tensor],
        relations: Tensor,
        groups: RelationGroups | None = None,
    ) -> Queries:
        """The query tower over what the experts see of entities: per modality [B, d_m].

        Args:
            votes: per masked head, which of the entities [B] have its modality.
            groups: ``group_by_relation(relations)``, if the caller has it.
        """
        noise = self._noise
        temperature = None
        if self.temperature is not None:
            # not by indexing, whose gradient adds in any order on several threads
            temperature = torch.sigmoid(self.temperature.index_select(0, relations))
        vectors: dict[str, Tensor] = {}
        gates: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        for name, _, bank in self._towers:
            gates[name] = bank.gate(entities[name], noise, temperature)
            outputs[name] = bank.outputs(entities[name], noise)
            vectors[name] = bank.mix(outputs[name], gates[name])
        groups = groups or group_by_relation(relations)
        relation_vectors = [table[groups.distinct] for table in self.relations]  # M x [U, d_r]
        fusion_weights = None
        if self.entity_fusion is not None and self.relation_fusion is not None:
            vectors[JOINT], fusion_weights = self.entity_fusion(
                list(vectors.values()), noise, self._absent(votes)
            )
            relation_vectors.append(self.relation_fusion(relation_vectors, noise)[0])
        encoded: dict[str, Tensor] = {}
        voters: dict[str, Tensor] = {}
        for place, (head, decoder) in enumerate(zip(self.heads, self._decoders, strict=True)):
            if head not in votes:
                encoded[head] = decoder(vectors[head], relation_vectors[place], groups, noise)
                continue
            chosen = votes[head].nonzero().squeeze(1)
            if self.training and len(chosen) == 1:
                chosen = chosen[:0]  # batch norm has no variance over a single query
            voters[head], some = chosen, group_by_relation(relations[chosen])
            encoded[head] = vectors[head][chosen]
            if len(chosen):
                relation = self.relations[place][some.distinct]
                encoded[head] = decoder(encoded[head], relation, some, noise)
        return Queries(
            vectors=encoded,
            gates=gates,
            expert_outputs=outputs,
            fusion_weights=fusion_weights,
            voters=voters,
        )

    def _absent(self, votes: Mapping[str, Tensor]) -> list[Tensor | None]:
        """Per modality, which rows the fusion leaves out."""
        return [~votes[name] if name in votes else None for name in self.modalities]

    @property
    def _decoders(self) -> list[TuckER]:
        return cast(list[TuckER], list(self.decoders))

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
        entities = {name: table.vectors(rows[name], ids) for name, table, _ in self._towers}
        noise = self._noise if noise is None else noise
        return self.encode_candidate_vectors(entities, self.votes(ids), noise)

    def encode_candidate_vectors(
        self, entities: Rows, votes: Mapping[str, Tensor], noise: Noise
    ) -> Candidates:
        """The candidate tower over what the experts see of entities: see the query tower's."""
        vectors: dict[str, Tensor] = {}
        gates: dict[str, Tensor] = {}
        for name, _, bank in self._towers:
            gates[name] = bank.gate(entities[name], noise)
            vectors[name] = bank.mix(bank.outputs(entities[name], noise), gates[name])
        fusion_weights = None
        if self.entity_fusion is not None:
            vectors[JOINT], fusion_weights = self.entity_fusion(
                list(vectors.values()), noise, self._absent(votes)
            )
        return Candidates(vectors=vectors, gates=gates, fusion_weights=fusion_weights)

    def expert_outputs(self, rows: Rows, ids: Tensor) -> dict[str, Tensor]:
        """What the experts say of given table rows: per modality [n, K, d_m]."""
        return {
            name: bank.outputs(table.vectors(rows[name], ids), self._noise)
            for name, table, bank in self._towers
        }
