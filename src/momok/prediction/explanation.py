"""Why an answer has its score: heads, modalities, experts, rules, similar entities, train facts.

``Predictor.explain`` gives an ``Explanation``; ``docs/explanations.md`` says what each number
means, from which equation, and what it does not mean.

Shapes: K experts.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic_core import to_jsonable_python

from momok.graph import SplitName
from momok.graph.candidates import Side
from momok.graph.pictures import PictureError, encode_thumbnail
from momok.html import Share, render_pictures, render_table
from momok.prediction.questions import Thing

_PICTURE = 96  # pixels of the longer side, in a notebook

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
        calibrated = any(head.calibrated is not None for head in self.heads)
        heads = [
            (x.name, x.probability, *([x.calibrated] * calibrated), Share(x.share))
            for x in self.heads
        ]
        parts = [
            (
                x.name,
                Share(x.share),
                *("yes" if has else "no" for has in (x.present_head, x.present_tail)),
            )
            for x in self.modalities
        ]
        return "\n".join(
            [
                render_table(
                    str(self),
                    heads,
                    header=("head", "probability", *(["calibrated"] * calibrated), "share"),
                    notes=[self._summarise()],
                    warnings=self._warn(),
                ),
                render_pictures(self._open_pictures()),
                render_table(
                    "Shares of the answer",
                    parts,
                    header=(
                        "part",
                        "share",
                        f"{self.head.name} has it",
                        f"{self.tail.name} has it",
                    ),
                ),
                render_table("What speaks for it", self._list_support()),
            ]
        )

    def _warn(self) -> Iterator[str]:
        if self.known == "train":
            yield "The model learned from this fact: it is known in train."
        for rule in self.rules or ():
            if rule.leak:
                yield f"A leak: {rule.rule} gives held-out facts away."
        if self.source.remark:
            yield self.source.remark

    def _open_pictures(self) -> Iterator[tuple[str, bytes]]:
        for entity in (self.head, self.tail):
            with suppress(PictureError):  # it was moved or damaged since
                if entity.picture is not None:
                    yield entity.title, encode_thumbnail(entity.picture, side=_PICTURE)

    def _list_support(self) -> Iterator[tuple[str, str]]:
        for rule in self.rules or ():
            yield "rule", rule.reason
        for modality, evidence in self.evidence.items():
            for like, found in ((self.head, evidence.like_head), (self.tail, evidence.like_tail)):
                if found:
                    near = ", ".join(f"{x.entity.title} ({x.similarity:.2f})" for x in found)
                    yield modality, f"like {like.title}: {near}"
        for fact in dict.fromkeys(map(str, (*self.head_facts, *self.tail_facts))):
            yield "fact", fact

    def _summarise(self) -> str:
        place = f"rank {self.rank:,} of {self.candidates:,} {self.asked}s"
        calibrated = "" if self.calibrated is None else f", calibrated {self.calibrated:.4f}"
        known = f"known in {self.known}" if self.known else "new"
        return f"{self.probability:.4f}{calibrated}, {place}, {known}"

    def to_json(self) -> dict[str, Any]:
        """The plain form: the attributes by name, pictures as paths."""
        plain: dict[str, Any] = to_jsonable_python(self)
        return plain

    def to_dict(self) -> dict[str, Any]:
        """The same as ``to_json``."""
        return self.to_json()
