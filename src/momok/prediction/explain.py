"""Explanations of facts: what is made once per run, and what is put together per fact.

Shapes: N entities, R relations (2R with reciprocals), M modalities, K experts, d width.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, cached_property

import numpy as np
import torch
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.evaluation.blocks import RankedQueries
from momok.evaluation.ranking import AnswerRanker
from momok.evaluation.scoring import ANSWER
from momok.graph import SPLIT_NAMES
from momok.graph.candidates import Side
from momok.graph.fact_index import UNKNOWN, lookup_excluded
from momok.prediction.evidence import SimilarityTable, find_support
from momok.prediction.expert_statistics import average_query_gates
from momok.prediction.explanation import (
    Evidence,
    ExpertGates,
    ExplainedEntity,
    ExplainedFact,
    Explanation,
    FusionWeights,
    HeadPart,
    ModalityPart,
    SimilarEntity,
    SpeakingRule,
    SupportingFact,
)
from momok.prediction.questions import describe_relation
from momok.prediction.scorer import Encoded, Scorer
from momok.prediction.shares import compute_head_shares
from momok.rules import Grounding, write_formula
from momok.rules.leaks import Leaks
from momok.training.queries import TrainingQueries


class Explainer:
    """Explains facts with the model of a scorer; what all facts share is made once."""

    def __init__(self, scorer: Scorer) -> None:
        self._scorer = scorer
        self._graph, self._model = scorer.graph, scorer.model
        self._find_table = cache(self._build_table)

    def explain(self, head: int, relation: int, tail: int, asked: Side, limit: int) -> Explanation:
        """Explain one fact, by ids; ``limit`` is the length of every list."""
        reverse = asked == "head"
        entity, answer = (tail, head) if reverse else (head, tail)
        query = relation + (self._graph.num_relations if reverse else 0)
        encoded = self._scorer.encode_queries(_one(entity), _one(query))
        scores = self._scorer.score_pairs(encoded.vectors, _one(0), _one(answer))
        [shares] = self._scorer.compute_shares(scores, encoded, _one(0), _one(answer))
        row, column = torch.tensor([0]), torch.tensor([answer])
        device = self._model.device
        probability = float(
            self._scorer.pooling.pool(scores, encoded.terms, row.to(device), column.to(device))
        )
        rules, rule_count = self.find_rules(entity, query, answer, limit)
        split = int(self._graph.fact_index.find_splits(_one(entity), _one(query), _one(answer))[0])
        rank, candidates = self._rank(encoded, entity, query, answer)
        rest = self._scorer.find_rest(encoded, _one(entity), _one(query))
        support = [
            self._support(side, other, (head, relation, tail), limit)
            for side, other in ((head, tail), (tail, head))
        ]
        return Explanation(
            **vars(self._describe_fact(head, relation, tail)),
            asked=asked,
            known=None if split == UNKNOWN else SPLIT_NAMES[split],
            probability=probability,
            calibrated=self._calibrate(ANSWER, probability, rest),
            rank=rank,
            candidates=candidates,
            heads=tuple(self._describe_heads(scores, encoded, answer, rest)),
            modalities=self._describe_modalities(shares, head, tail),
            experts=self._describe_experts(encoded, query, answer),
            relation_queries=int(self.query_counts[query]),
            fusion=self._weigh_modalities(encoded, answer),
            evidence=self._find_evidence(head, relation, tail, limit),
            rules=rules,
            rule_count=rule_count,
            head_facts=support[0][0],
            tail_facts=support[1][0],
            head_fact_count=support[0][1],
            tail_fact_count=support[1][1],
            source=self._scorer.source.state,
        )

    def find_rules(
        self, entity: int, query: int, answer: int, limit: int
    ) -> tuple[tuple[SpeakingRule, ...] | None, int]:
        """The strongest rules that speak for an answer to (entity, query, ?), and how many do.

        Args:
            entity, answer: ids.
            query: in 0..2R-1.
            limit: how many rules are given; None are where the answer of the run has none in it.
        """
        pool = self._scorer.pool
        if pool is None or pool.rules is None:
            return None, 0
        found = pool.rules.ground(entity, query, answer)
        return tuple(map(self._describe_rule, found[:limit])), len(found)

    # -- the number and its parts ----------------------------------------------------------

    def _describe_heads(
        self,
        scores: Mapping[str, Tensor],
        encoded: Encoded,
        answer: int,
        rest: Mapping[str, Floats],
    ) -> Iterator[HeadPart]:
        pooling = self._scorer.pooling
        shares = compute_head_shares(scores, pooling)
        if encoded.terms is not None:
            shares = self._scorer.compute_pooled_shares(
                scores, encoded.terms, _one(0), _one(answer)
            )
        for head, score in scores.items():
            probability = float(pooling.compute_log_probabilities(score).exp())
            yield HeadPart(
                name=head,
                probability=probability,
                calibrated=self._calibrate(head, probability, rest),
                share=float(shares[head]),
            )

    def _calibrate(self, name: str, probability: float, rest: Mapping[str, Floats]) -> float | None:
        calibration = self._scorer.calibration
        return None if calibration is None else calibration.apply(name, [probability], rest).item()

    def _rank(self, encoded: Encoded, entity: int, query: int, answer: int) -> tuple[int, int]:
        """The rank of the answer among what is no known answer, and among how many candidates."""
        facts, train = self._graph.fact_index, self._graph.train_index
        known = lookup_excluded(facts, train, _one(entity), _one(query))
        queries = RankedQueries(
            encoded.vectors,
            answers=_one(answer),
            answer_rows=_one(0),
            known=known,
            terms=encoded.terms,
        )
        ranker = AnswerRanker(self._scorer.candidates.vectors, pooling=self._scorer.pooling)
        ranks = ranker.rank(queries)[ANSWER]
        others = int((known[1] != answer).sum())
        return int(ranks.optimistic[0]), self._graph.num_entities - others

    def _weigh_modalities(self, encoded: Encoded, answer: int) -> FusionWeights | None:
        if not self._scorer.has_attention:
            return None
        sides = encoded.attention[0], self._scorer.candidates.attention[answer]
        query, candidate = (
            dict(zip(self._model.modalities, side.tolist(), strict=True)) for side in sides
        )
        return FusionWeights(query=query, candidate=candidate)

    def _describe_modalities(
        self, shares: Tensor, head: int, tail: int
    ) -> tuple[ModalityPart, ...]:
        present = self._scorer.present
        return tuple(
            ModalityPart(
                name=name,
                share=share,
                present_head=bool(present[name][head]),
                present_tail=bool(present[name][tail]),
            )
            for name, share in zip(self._scorer.parts, shares.tolist(), strict=True)
        )

    def _describe_experts(
        self, encoded: Encoded, query: int, answer: int
    ) -> dict[str, ExpertGates]:
        averages = self.average_gates if self.query_counts[query] else None
        candidates = self._scorer.candidates.gates
        return {
            name: ExpertGates(
                query_gates=tuple(gate[0].double().tolist()),
                relation_average=None
                if averages is None
                else tuple(averages[name][query].tolist()),
                candidate_gates=tuple(candidates[name][answer].double().tolist()),
            )
            for name, gate in encoded.gates.items()
        }

    # -- rules, similar entities and train facts --------------------------------------------------

    def _describe_rule(self, grounding: Grounding) -> SpeakingRule:
        rule = grounding.rule
        facts = tuple(self._describe_fact(*fact) for fact in grounding.facts)
        more = f", and in {grounding.ways - 1:,} more ways" if grounding.ways > 1 else ""
        counts = f"(holds in {rule.support:,} of {rule.body:,} cases in train)"
        return SpeakingRule(
            reason=f"{' and '.join(map(str, facts))}{more} {counts}",
            rule=write_formula(rule, self._graph),
            kind=rule.kind,
            support=rule.support,
            cases=rule.body,
            confidence=rule.confidence,
            weight=grounding.weight,
            leak=self._leaks.include(rule),
            facts=facts,
            ways=grounding.ways,
        )

    def _find_evidence(
        self, head: int, relation: int, tail: int, limit: int
    ) -> dict[str, Evidence]:
        """Per modality, the entities like one side that hold the relation to the other."""
        reverse = relation + self._graph.num_relations
        _, heads = self._graph.train_index.lookup(_one(tail), _one(reverse))
        _, tails = self._graph.train_index.lookup(_one(head), _one(relation))
        evidence = {}
        for modality in self._model.modalities:
            table = self._find_table(modality)
            evidence[modality] = Evidence(
                vectors=table.vectors,
                compared=table.compared,
                like_head=self._find_similar(table, head, heads, limit),
                like_tail=self._find_similar(table, tail, tails, limit),
            )
        return evidence

    def _find_similar(
        self, table: SimilarityTable, entity: int, among: Ints, limit: int
    ) -> tuple[SimilarEntity, ...] | None:
        if not table.present[entity]:
            return None
        return tuple(
            SimilarEntity(entity=self._describe_entity(e), similarity=cosine, rank=rank)
            for e, cosine, rank in table.find_similar(entity, among, limit)
        )

    def _support(
        self, entity: int, other: int, fact: tuple[int, int, int], limit: int
    ) -> tuple[tuple[SupportingFact, ...], int]:
        found, count = find_support(self._graph.train_index, entity, other, fact, limit)
        facts = self._graph.train_index.facts
        return tuple(
            SupportingFact(
                **vars(self._describe_fact(*facts[support.fact])),
                reason=support.reason,
                via=None if support.via is None else self._describe_fact(*facts[support.via]),
            )
            for support in found
        ), count

    def _describe_fact(self, head: int, relation: int, tail: int) -> ExplainedFact:
        return ExplainedFact(
            head=self._describe_entity(head),
            relation=describe_relation(self._graph, relation),
            tail=self._describe_entity(tail),
        )

    def _describe_entity(self, entity: int) -> ExplainedEntity:
        return ExplainedEntity(
            label=self._graph.entities.labels[entity],
            name=self._graph.entity_names[entity],
            title=self._graph.title(entity),
            picture=self._scorer.source.pictures.get(entity),
        )

    # -- made once per run -----------------------------------------------------------------

    def _build_table(self, modality: str) -> SimilarityTable:
        given = self._scorer.source.features.get(modality)
        if given is not None:
            return SimilarityTable(vectors="features", matrix=given.matrix, present=given.present)
        table = self._model.tables_by_name[modality]
        with torch.no_grad():
            trained = table.vectors(table.rows()).float().cpu().numpy()
        return SimilarityTable(
            vectors="trained", matrix=trained, present=self._scorer.present[modality]
        )

    @cached_property
    def _leaks(self) -> Leaks:
        return Leaks(self._graph)

    @cached_property
    def average_gates(self) -> dict[str, Tensor]:
        """The mean gate over the train queries of every relation: per modality [2R, K]."""
        tau, device = self._model.temperature, self._model.device
        with torch.no_grad():
            return average_query_gates(
                self._scorer.candidates.gates,
                None if tau is None else torch.sigmoid(tau),
                self.queries.heads.to(device),
                self.queries.relations.to(device),
                2 * self._graph.num_relations,
            )

    @cached_property
    def queries(self) -> TrainingQueries:
        """The distinct train queries in both directions, as training asked them."""
        return TrainingQueries(self._graph.train, self._graph.num_relations)

    @cached_property
    def query_counts(self) -> Tensor:
        """How many train queries every relation has: [2R]."""
        return torch.bincount(self.queries.relations, minlength=2 * self._graph.num_relations)


def _one(value: int) -> Ints:
    return np.array([value], dtype=np.int64)
