"""MoMoK as a two-tower model: queries to vectors, candidates to vectors, a score is a product.

Source: Zhang et al. 2025, "Multiple Heads are Better than One: Mixture of Modality Knowledge
Experts for Entity Representation Learning" (arXiv:2405.16869).

Shapes: as in ``momok.model.towers``; R relations (2R with reciprocals).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import TypeVar

import torch
from torch import Tensor, nn

from momok.model.decoders import Decoder
from momok.model.grouped_product import RelationGroups, group_by_relation
from momok.model.noise import Noise
from momok.model.normalisers import Normalisers
from momok.model.parts import ModelParts
from momok.model.spec import JOINT, MoMoKSpec
from momok.model.towers import Candidates, Queries
from momok.model.without_storage import without_storage
from momok.shard import Shard

_BLOCK = 1024  # entities encoded at a time where no gradient is wanted

_Encoded = TypeVar("_Encoded", Queries, Candidates)

Rows = Mapping[str, Tensor]  # modality -> stored table rows [n, f_m]


class MoMoK(ModelParts):
    """Mixture of modality knowledge experts; built as ``ModelParts``."""

    def __init__(
        self,
        spec: MoMoKSpec,
        *,
        features: Mapping[str, Tensor] | None = None,
        present: Mapping[str, Tensor] | None = None,
        generator: torch.Generator | None = None,
        shard: Shard | None = None,
    ) -> None:
        super().__init__(spec, features=features, present=present, generator=generator, shard=shard)
        self.noise_generator: torch.Generator | None = None  # set by training
        self.candidate_generator: torch.Generator | None = None  # of noise on a rank's own rows
        self._normalisers = Normalisers(self._encode_everything, self.shard)

    @property
    def _noise(self) -> Noise:
        return Noise(self.noise_generator if self.training else None)

    @property
    def _candidate_noise(self) -> Noise:
        return Noise((self.candidate_generator or self.noise_generator) if self.training else None)

    def queries(self, heads: Tensor, relations: Tensor, *, normalised: bool = True) -> Queries:
        """The query tower, for entity ids ``heads`` [B] and relation ids ``relations`` [B].

        With an offset of scores, vectors have a column more than those of ``encode_queries``.
        Scores of a softmax are log-probabilities but for a constant of the query and head where
        they are not ``normalised``, which is most of the work.
        """
        encoded = self.encode_queries(self.look_up(heads), heads, relations)
        return self.widen(encoded, normalised=normalised)

    def candidates(self, entity_ids: Tensor | slice | None = None) -> Candidates:
        """The candidate tower, for the entities asked for (None: all that are here, in order).

        As wide as the vectors of ``queries``. Without gradients, all N, or those of a slice, are
        encoded some at a time.
        """
        if not torch.is_grad_enabled() and not isinstance(entity_ids, Tensor):
            asked = entity_ids or slice(self.shard.first, self.shard.stop)
            first, end, _ = asked.indices(self.num_entities)
            if end - first > _BLOCK or entity_ids is None:
                return self._candidates_in_blocks(first, end)
        return self.widen(self.encode_candidates(self.entity_rows(entity_ids), entity_ids))

    def _candidates_in_blocks(self, first: int, stop: int) -> Candidates:
        """Entities ``first`` to ``stop``, with the memory of experts and fusion for one block.

        Blocks are of one size, the last overlapping: a product of another shape may round
        differently, and equal candidates would no longer tie.
        """
        found: dict[tuple[str, str], Tensor] = {}
        for block in range(first, stop, _BLOCK):
            end = min(block + _BLOCK, stop)
            part = slice(max(end - _BLOCK, first), end)
            piece = self.widen(self.encode_candidates(self.entity_rows(part), part))
            named = {("vectors", name): x for name, x in piece.vectors.items()}
            named |= {("gates", name): x for name, x in piece.gates.items()}
            if piece.fusion_weights is not None:
                named["fusion", JOINT] = piece.fusion_weights.transpose(0, 1)
            for key, rows in named.items():
                if key not in found:
                    found[key] = rows.new_empty(stop - first, *rows.shape[1:])
                found[key][part.start - first : part.stop - first] = rows
        weights = found.get(("fusion", JOINT))
        return Candidates(
            vectors={name: found["vectors", name] for name in self.heads},
            gates={name: found["gates", name] for name in self.banks_by_name},
            fusion_weights=None if weights is None else weights.transpose(0, 1),
        )

    def widen(self, encoded: _Encoded, *, normalised: bool = True) -> _Encoded:
        """What a tower gave, with what else belongs to a score in a column of its vectors.

        That is the offset of all scores, or what makes them log-probabilities. Of several members
        the mean is taken.
        """
        offset, softmax = self.spec.score_offset, self.spec.softmax and not self.training
        if self.spec.members > 1 and isinstance(encoded, Queries):
            mean = {head: x / self.spec.members for head, x in encoded.vectors.items()}
            encoded = replace(encoded, vectors=mean)
        if not offset and not softmax:
            return encoded
        of_query = isinstance(encoded, Queries)
        columns = dict.fromkeys(encoded.vectors, 1.0 if of_query or softmax else offset)
        wide = {
            head: torch.cat([x, x.new_full((len(x), 1), columns[head])], dim=1)
            for head, x in encoded.vectors.items()
        }
        if of_query and softmax:
            with torch.no_grad():
                for head, x in encoded.vectors.items():
                    wide[head][:, -1] = -self._normalisers.compute(head, x) if normalised else 0.0
        return replace(encoded, vectors=wide)

    def take_parts(self) -> dict[str, MoMoK]:
        """The models that this one is made of and that can be trained apart, in its memory.

        One per head and member, named ``HEAD`` or ``HEAD/NUMBER``. Experts and a joint head share
        what they learn with: such a model, and one of a single part, is one part without a name.
        """
        spec, apart = self.spec, {}
        if spec.experts or spec.joint_width is not None or spec.members == len(self.heads) == 1:
            return {"": self}
        for number, modality in enumerate(spec.modalities):
            relations = self.relations[number].detach().chunk(spec.members, dim=1)
            for member in range(spec.members):
                with without_storage():
                    part = MoMoK(replace(spec, modalities=(modality,), members=1), shard=self.shard)
                part.tables[0] = self.tables_by_name[modality.name].take_member(member)
                part.relations[0] = nn.Parameter(relations[member])
                part.decoders[0] = self.decoders[number]
                name = modality.name if spec.members == 1 else f"{modality.name}/{member + 1}"
                apart[name] = part.train(self.training)
        return apart

    def candidate_parameters(self) -> list[nn.Parameter]:
        """What the candidate tower learns with, beside the tables."""
        parts: list[nn.Module] = [*self.banks]
        if self.entity_fusion is not None:
            parts.append(self.entity_fusion)
        decoders = self.decoders_by_name.values()
        parts += [d for d in decoders if type(d).candidates is not Decoder.candidates]
        maps = [table.projection for table in self.tables_by_name.values()]
        return [m for m in maps if m is not None] + [p for part in parts for p in part.parameters()]

    def train(self, mode: bool = True) -> MoMoK:
        """Switch between training and evaluation; what is kept of all candidates is forgotten."""
        self._normalisers = Normalisers(self._encode_everything, self.shard)
        return super().train(mode)

    def _encode_everything(self) -> dict[str, Tensor]:
        """The candidates' vectors of all entities here, without the column of ``widen``."""
        return {head: x[:, :-1] for head, x in self.candidates().vectors.items()}

    def score(self, heads: Tensor, relations: Tensor) -> dict[str, Tensor]:
        """Scores of all entities: per head [B, N]. The plain form, for small graphs and tests."""
        queries, candidates = self.queries(heads, relations).vectors, self.candidates().vectors
        return {head: queries[head] @ candidates[head].T for head in self.heads}

    def entity_rows(self, ids: Tensor | slice | None = None) -> dict[str, Tensor]:
        """Stored table rows per modality, [n, f_m], of entities that are here (None: all).

        Training holds them for their gradients.
        """
        places = None if ids is None else self.shard.place(ids)
        return {name: table.rows(places) for name, table in self.tables_by_name.items()}

    def look_up(self, ids: Tensor) -> dict[str, Tensor]:
        """Stored table rows per modality, [B, f_m], of any entities: all ranks ask for the same."""
        tables = self.tables_by_name
        return {name: self.shard.take(table.rows, ids) for name, table in tables.items()}

    def add_row_gradients(self, rows: Rows, ids: Tensor | slice) -> None:
        """Add the gradients that given rows collected to those of the tables they came from.

        A gather inside the graph would make a gradient of the whole table for every block. Of rows
        that were looked up, those that are here take theirs.
        """
        own = None
        if not self.shard.whole and isinstance(ids, Tensor):
            own = self.shard.owned(ids)
            ids = ids[own]
        places = self.shard.place(ids)
        for name, table in self.tables_by_name.items():
            gradient = rows[name].grad
            if gradient is not None:
                table.add_row_gradient(gradient if own is None else gradient[own], places)

    def _join_looked_up(self, rows: Rows, ids: Tensor) -> dict[str, Tensor]:
        """What the experts see of the rows that were looked up of the entities ``ids``."""
        joined = {}
        for name, table in self.tables_by_name.items():
            given = self.shard.take(table.features.__getitem__, ids) if table.spec.mapped else None
            joined[name] = table.join(rows[name], given)
        return joined

    def before_step(self) -> None:
        """Called before the gradients of a step are made: memory of the last ones is used again."""
        for decoder in self.decoders_by_name.values():
            decoder.before_step()

    def encode_queries(
        self,
        rows: Rows,
        heads: Tensor,
        relations: Tensor,
        groups: RelationGroups | None = None,
    ) -> Queries:
        """The query tower over table rows that were looked up of the entities ``heads`` [B].

        Args:
            groups: ``group_by_relation(relations)``, if the caller has it.
        """
        return self.encode_query_vectors(self._join_looked_up(rows, heads), relations, groups)

    def encode_query_vectors(
        self, entities: Rows, relations: Tensor, groups: RelationGroups | None = None
    ) -> Queries:
        """The query tower over what the experts see of entities: per modality [B, d_m].

        Args:
            entities: modalities that are not there have no head, and no part in the joint one.
            groups: ``group_by_relation(relations)``, if the caller has it.
        """
        noise = self._noise
        temperature = None
        if self.temperature is not None:
            # not by indexing, whose gradient adds in any order on several threads
            temperature = torch.sigmoid(self.temperature.index_select(0, relations))
        vectors, gates, outputs, fusion_weights = self._mix(entities, noise, temperature)
        groups = groups or group_by_relation(relations)
        of_modality = [table[groups.distinct] for table in self.relations]  # M x [U, d_r]
        relation_vectors = dict(zip(self.modalities, of_modality, strict=True))
        if self.relation_fusion is not None:
            relation_vectors[JOINT] = self.relation_fusion(of_modality, noise)[0]
        decoders = {h: d for h, d in self.decoders_by_name.items() if h in vectors}
        return Queries(
            vectors={
                head: decoder.queries(vectors[head], relation_vectors[head], groups, noise)
                for head, decoder in decoders.items()
            },
            entities={head: vectors[head] for head in decoders},
            relations={head: relation_vectors[head] for head in decoders},
            gates=gates,
            expert_outputs=outputs,
            fusion_weights=fusion_weights,
        )

    def _mix(
        self, entities: Rows, noise: Noise, temperature: Tensor | None = None
    ) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor], Tensor | None]:
        """Vectors per modality and of the joint head; gates and outputs of the experts; attention.

        Args:
            entities: what the experts see, per modality that is there.
            temperature: [n] what the gates' logits are divided by, of queries.
        """
        vectors = dict(entities)
        gates: dict[str, Tensor] = {}
        outputs: dict[str, Tensor] = {}
        for name, bank in self.banks_by_name.items():
            if name in entities:
                gates[name] = bank.gate(entities[name], noise, temperature)
                outputs[name] = bank.outputs(entities[name], noise)
                vectors[name] = bank.mix(outputs[name], gates[name])
        attention = None
        if self.entity_fusion is not None:
            vectors[JOINT], attention = self.entity_fusion(
                [vectors.get(name) for name in self.modalities], noise
            )
        return vectors, gates, outputs, attention

    def draw_candidate_noise(self, rows: int) -> list[Tensor]:
        """What ``encode_candidates`` would draw for this many entities, in order: a tape."""
        noise = self._candidate_noise
        if noise.off:
            return []
        banks = self.banks_by_name.values()
        tape = [drawn for bank in banks for drawn in bank.draw_noise(rows, noise)]
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
        places = None if ids is None else self.shard.place(ids)
        entities = {
            name: table.vectors(rows[name], places) for name, table in self.tables_by_name.items()
        }
        drawn = self._candidate_noise if noise is None else noise
        return self.encode_candidate_vectors(entities, drawn)

    def encode_candidate_vectors(self, entities: Rows, noise: Noise) -> Candidates:
        """The candidate tower over what the experts see of entities: per modality [n, d_m]."""
        vectors, gates, _, fusion_weights = self._mix(entities, noise)
        decoders = {h: d for h, d in self.decoders_by_name.items() if h in vectors}
        return Candidates(
            vectors={h: decoder.candidates(vectors[h]) for h, decoder in decoders.items()},
            gates=gates,
            fusion_weights=fusion_weights,
            entities={head: vectors[head] for head in decoders},
        )

    def expert_outputs(self, rows: Rows, ids: Tensor) -> dict[str, Tensor]:
        """What the experts say of table rows that were looked up: per modality [n, K, d_m]."""
        entities = self._join_looked_up(rows, ids)
        return {
            name: bank.outputs(entities[name], self._noise)
            for name, bank in self.banks_by_name.items()
        }
