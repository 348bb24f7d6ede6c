"""Why an answer has its score: heads, modalities, experts, rules, similar entities, train facts.

``Predictor.explain`` gives an ``Explanation``; ``docs/explanations.md`` says what each number
means, from which equation, and what it does not mean.

The answer is the mean over decision heads of ``p_h = sigmoid(score_h)``, so its parts have shares:
``p_h / sum_h p_h`` of a head, and ``(p_m + p_joint * alpha_m) / sum_h p_h`` of a modality, with the
joint head's attention ``alpha`` over modalities (MuJoD; Zhang et al. 2025, arXiv:2405.16869,
section 3.2), averaged over its branches and over query and candidate; even where it has none. The
shares of a pool are those of ``momok.evaluation.pooling.compute_pooled_shares``.

Shapes: P pairs of query and candidate, n rows, H heads, M modalities, K experts, G branches of
the fusion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from pydantic_core import to_jsonable_python
from torch import Tensor

from momok.evaluation.pooling import MEAN, Pooling
from momok.graph import SplitName
from momok.html import render_table
from momok.model import JOINT
from momok.prediction.questions import Side, Thing

SourceStatus = Literal["found", "changed", "missing", "memory"]
"""What became of the graph a run was trained on: as it was; other facts or features now; not
there or not readable; made in memory, so that there is no folder."""

Reason = Literal["direct", "path", "relation", "other"]
"""Why a train fact is listed as support: it joins head and tail; its other end has a train fact
with the other side; it has the same relation; it is about the entity."""


@dataclass(frozen=True)
class ExplainedEntity(Thing):
    """An entity as people want to see it.

    Attributes:
        title: the name, with the label where other entities share the name.
        picture: its picture file, where the graph's folder is found and has one.
    """

    title: str
    picture: Path | None


@dataclass(frozen=True, kw_only=True)
class HeadPart:
    """What one decision head says of the fact.

    Attributes:
        name: the modality, or ``joint``.
        probability: what it says of the answer (``momok.evaluation.pooling.Pooling``).
        calibrated: the same, calibrated on validation; None where the run is not calibrated.
        share: its part in the sum of the probabilities; the shares sum to one.
    """

    name: str
    probability: float
    calibrated: float | None
    share: float


@dataclass(frozen=True, kw_only=True)
class ModalityPart:
    """What one modality puts in.

    Attributes:
        name: the modality.
        share: its part of the answer, its own head and its part in the joint head; they sum to one.
        present_head, present_tail: whether the head and the tail entity have features of it.
    """

    name: str
    share: float
    present_head: bool
    present_tail: bool


@dataclass(frozen=True, kw_only=True)
class ExpertGates:
    """The weights of the K experts of one modality; each tuple sums to one.

    Attributes:
        query_gates: of the entity asked about, under this relation (ReMoKE).
        relation_average: the mean of the query gates over the relation's train queries in the
            direction asked; None where train has no such query.
        candidate_gates: of the answer, which knows no relation.
    """

    query_gates: tuple[float, ...]
    relation_average: tuple[float, ...] | None
    candidate_gates: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class FusionWeights:
    """The joint head's attention over modalities (MuJoD), averaged over its branches.

    Attributes:
        query: by modality, of the entity asked about; they sum to one.
        candidate: by modality, of the answer.
    """

    query: dict[str, float]
    candidate: dict[str, float]


@dataclass(frozen=True, kw_only=True)
class SimilarEntity:
    """An entity that resembles one side of the fact and holds the relation to the other in train.

    Attributes:
        entity: which.
        similarity: cosine, -1 to 1.
        rank: its place among all entities with the modality, by similarity; 1 is the nearest.
    """

    entity: ExplainedEntity
    similarity: float
    rank: int


@dataclass(frozen=True, kw_only=True)
class Evidence:
    """What one modality shows of similar facts in train.

    Attributes:
        vectors: what was compared: the modality's ``features`` as given, or the vectors
            ``trained`` from them (structure has no others).
        compared: how many entities have the modality; ``rank`` is a place among them.
        like_head: entities that resemble the head and hold the relation to the same tail; None
            where the head does not have the modality, so that nothing can be compared.
        like_tail: entities that resemble the tail and to which the head holds the relation; None
            where the tail does not have the modality.
    """

    vectors: Literal["features", "trained"]
    compared: int
    like_head: tuple[SimilarEntity, ...] | None
    like_tail: tuple[SimilarEntity, ...] | None


@dataclass(frozen=True, kw_only=True)
class ExplainedFact:
    """A fact as people want to see it."""

    head: ExplainedEntity
    relation: Thing
    tail: ExplainedEntity

    def __str__(self) -> str:
        return f"{self.head.title} — {self.relation.name} → {self.tail.title}"


@dataclass(frozen=True, kw_only=True)
class SupportingFact(ExplainedFact):
    """A train fact about one side of the fact.

    Attributes:
        reason: the most telling reason to list it.
        via: for ``path``, a train fact that joins its other end to the other side.
    """

    reason: Reason
    via: ExplainedFact | None


@dataclass(frozen=True, kw_only=True)
class SpeakingRule:
    """A rule that speaks for the fact, and what it rests on.

    Attributes:
        reason: what the fact follows from, and how often it does in train, in words.
        rule: the rule as a formula.
        kind: one of ``momok.rules.KINDS``.
        support, cases: in how many of the cases of its body in train it holds.
        confidence: support by cases, shrunk: ``support / (cases + 5)``.
        weight: what it adds to the evidence of its kind.
        leak: whether it gives held-out facts away, as ``momok data check`` counts them.
        facts: train facts that are its body.
        ways: how many such bodies there are, of which one is given.
    """

    reason: str
    rule: str
    kind: str
    support: int
    cases: int
    confidence: float
    weight: float
    leak: bool
    facts: tuple[ExplainedFact, ...]
    ways: int


@dataclass(frozen=True, kw_only=True)
class SourceState:
    """Where features and pictures come from: the graph that the run was trained on.

    Attributes:
        status: see ``SourceStatus``.
        location: where it was looked for: a folder or a name of the catalog.
        remark: in words what is missing here for it; "" when it is as it was.
    """

    status: SourceStatus
    location: str
    remark: str


@dataclass(frozen=True, kw_only=True)
class Explanation(ExplainedFact):
    """Why the model gives a fact the probability it gives.

    The model was trained for two questions, and they give two numbers: with ``asked`` = ``tail``
    the query is (head, relation, ?) and the tail is the candidate; with ``head`` it is the other
    way round.

    Attributes:
        asked: the side taken as the answer.
        known: the split that has the fact already, or None.
        probability: the answer of the model, which joins the heads.
        calibrated: the same, calibrated on validation; None where the run is not calibrated.
        rank: the place of the answer among all candidates, other known answers left out.
        candidates: how many candidates that are.
        heads: by decision head.
        modalities: by modality.
        experts: by modality.
        relation_queries: how many train queries the relation has in this direction.
        fusion: None for a model without attention over modalities.
        evidence: by modality.
        rules: those that speak for the fact, the strongest first, capped; None where the answer has
            none in it.
        rule_count: how many there are.
        head_facts, tail_facts: train facts about the two sides, most telling first, capped.
        head_fact_count, tail_fact_count: how many train facts there are about each.
        source: where features and pictures come from.
    """

    asked: Side
    known: SplitName | None
    probability: float
    calibrated: float | None
    rank: int
    candidates: int
    heads: tuple[HeadPart, ...]
    modalities: tuple[ModalityPart, ...]
    experts: dict[str, ExpertGates]
    relation_queries: int
    fusion: FusionWeights | None
    evidence: dict[str, Evidence]
    rules: tuple[SpeakingRule, ...] | None
    rule_count: int
    head_facts: tuple[SupportingFact, ...]
    tail_facts: tuple[SupportingFact, ...]
    head_fact_count: int
    tail_fact_count: int
    source: SourceState

    def __repr__(self) -> str:
        return f"<Explanation of {self}: {self._summarise()}>"

    def _repr_html_(self) -> str:
        tables = [
            render_table(
                str(self),
                [(part.name, part.probability, part.share) for part in self.heads],
                header=("head", "probability", "share"),
                note=self._summarise(),
            ),
            render_table(
                "Shares of the answer",
                [(part.name, part.share) for part in self.modalities],
                header=("modality", "share"),
            ),
        ]
        support = [("rule", rule.reason) for rule in self.rules or ()]
        facts = dict.fromkeys(map(str, (*self.head_facts, *self.tail_facts)))
        support += [("fact", fact) for fact in facts]
        if support:
            tables.append(render_table("What speaks for it", support))
        return "\n".join(tables)

    def _summarise(self) -> str:
        place = f"rank {self.rank:,} of {self.candidates:,} {self.asked}s"
        calibrated = "" if self.calibrated is None else f", calibrated {self.calibrated:.4f}"
        known = f"known in {self.known}" if self.known else "new"
        return f"{self.probability:.4f}{calibrated}, {place}, {known}"

    def to_json(self) -> dict[str, Any]:
        """The plain form: the attributes by name, pictures as paths."""
        plain: dict[str, Any] = to_jsonable_python(self)
        return plain


def average_branches(fusion_weights: Tensor) -> Tensor:
    """The joint head's attention over modalities, [G, n, M] to [n, M]: float64, rows sum to one."""
    mean = fusion_weights.double().mean(dim=0)
    return mean / mean.sum(dim=1, keepdim=True)  # the softmax's sum is one in float32 only


def compute_head_shares(scores: Mapping[str, Tensor], pooling: Pooling = MEAN) -> dict[str, Tensor]:
    """The part of every head in the sum of the probabilities of ``scores``: per head [P]."""
    # As a softmax of log-probabilities: exact where every probability underflows to zero.
    stacked = torch.stack([pooling.compute_log_probabilities(x) for x in scores.values()])
    return dict(zip(scores, torch.softmax(stacked, dim=0), strict=True))


def compute_modality_shares(
    scores: Mapping[str, Tensor],
    modalities: Sequence[str],
    attention: Tensor,
    pooling: Pooling = MEAN,
) -> Tensor:
    """The part of every modality in the answer: [P, M], rows that sum to one.

    Modalities that are heads have a part of their own; that of the joint head, where there is one,
    is dealt out by its ``attention`` [P, M]. ``scores`` are float64.
    """
    parts = compute_head_shares(scores, pooling)
    nothing = torch.zeros_like(next(iter(parts.values())))
    own = torch.stack([parts.get(modality, nothing) for modality in modalities], dim=1)
    return own + parts.get(JOINT, nothing).unsqueeze(1) * attention


def leading_expert(gate: Sequence[float]) -> int:
    """The number of the expert with the largest gate weight, from 0."""
    return max(range(len(gate)), key=gate.__getitem__)
