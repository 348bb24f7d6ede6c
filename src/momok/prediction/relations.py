"""Which relation holds between two entities: (head, ?, tail).

A model of (h, r, ?) and (?, r, t) says how likely an answer is, given the relation. How likely the
relation is comes from the train facts of the two entities:

    P(r | h, t)  is proportional to  p(r | h) p(t | h, r) + p(r | t) p(h | r, t)

with p(r | h) the share of r among the train facts that h is the head of, smoothed by one fact
spread over the relations as train has them; p(r | t) likewise for tails. An answer is here the mean
of what the heads say: rules, which speak for several relations between the same entities at once,
and weights fitted to other questions made it worse (docs/prediction.md).

Shapes: B pairs, R relations, N entities, F facts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import polars as pl

from momok.arrays import Floats, Ints
from momok.errors import DataError
from momok.evaluation import Metrics, Ranks, compute_grouped_metrics, compute_metrics
from momok.graph import SPLIT_NAMES, MultimodalGraph, SplitName
from momok.graph.fact_index import UNKNOWN, FactIndex
from momok.html import render_table
from momok.prediction.questions import Thing, describe_entity, describe_relation
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

_SMOOTHING = 1.0  # facts, spread over the relations as train has them
_PAIRS = 64  # scored at a time


@dataclass(frozen=True, kw_only=True)
class RelationPrediction:
    """One relation that may hold between two entities.

    Attributes:
        rank: from 1.
        label: the relation's label.
        name: its display name.
        score: the probability that it is this relation, if it is one: over all relations these
            sum to one.
        tail_answer: what the heads answer to (head, relation, ?) for the tail, not calibrated.
        head_answer: what they answer to (?, relation, tail) for the head.
        known: the split that has this fact already, or None.
    """

    rank: int
    label: str
    name: str
    score: float
    tail_answer: float
    head_answer: float
    known: SplitName | None


class RelationPredictions(list[RelationPrediction]):
    """The relations between two entities, likeliest first.

    Attributes:
        head: an entity.
        tail: the other.
    """

    def __init__(self, head: Thing, tail: Thing, found: Iterable[RelationPrediction]) -> None:
        super().__init__(found)
        self.head, self.tail = head, tail

    def __str__(self) -> str:
        return f"{self.head.name} — ? → {self.tail.name}"

    def __repr__(self) -> str:
        best = ", ".join(f"{p.name} {p.score:.3f}" for p in self[:3])
        return f"<RelationPredictions {self}: {best}{', ...' if len(self) > 3 else ''}>"

    def _repr_html_(self) -> str:
        rows = [
            (p.rank, p.name, p.score, p.tail_answer, p.head_answer, f"✓ {p.known}" * bool(p.known))
            for p in self
        ]
        header = ("rank", "relation", "score", "tail", "head", "known")
        return render_table(str(self), rows, header=header, notes=self.notes)

    @property
    def notes(self) -> list[str]:
        """How the relations are to be read as a table, a line each."""
        return [
            "score: of all relations, how likely it is this one, if it is one",
            "tail, head: what the heads answer to (head, relation, ?) and (?, relation, tail)",
        ]

    def to_frame(self) -> pl.DataFrame:
        """Give them as a frame of polars, a row each, a column for every attribute."""
        schema = {
            "rank": pl.Int64,
            **dict.fromkeys(("label", "name"), pl.String),
            **dict.fromkeys(("score", "tail_answer", "head_answer"), pl.Float64),
            "known": pl.String,
        }
        return pl.DataFrame([asdict(p) for p in self], schema=pl.Schema(schema))

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {
            "query": {"head": self.head.to_json(), "relation": None, "tail": self.tail.to_json()},
            "predictions": [asdict(p) for p in self],
        }


def predict_relations(
    scorer: Scorer, head: int, tail: int, k: int, *, hide: bool
) -> RelationPredictions:
    """The k likeliest relations from one entity to another, by ids; see ``Predictor``."""
    graph = scorer.graph
    found = score_relations(scorer, np.array([head]), np.array([tail]))
    relations = np.arange(graph.num_relations)
    known = graph.fact_index.find_splits(np.array([head]), relations, np.array([tail]))
    order = np.lexsort((relations, -found.scores[0]))
    if hide:
        order = order[known[order] == UNKNOWN]
    rows = [
        RelationPrediction(
            rank=rank,
            **describe_relation(graph, relation).to_json(),
            score=float(found.scores[0, relation]),
            tail_answer=float(found.tail_answers[0, relation]),
            head_answer=float(found.head_answers[0, relation]),
            known=None if known[relation] == UNKNOWN else SPLIT_NAMES[known[relation]],
        )
        for rank, relation in enumerate(order[:k].tolist(), 1)
    ]
    return RelationPredictions(describe_entity(graph, head), describe_entity(graph, tail), rows)


@dataclass(frozen=True, eq=False)
class RelationScores:
    """What is said of all relations between B pairs.

    Attributes:
        scores: [B, R] rows sum to one.
        tail_answers: [B, R] the heads' answers to (head, relation, ?) for the tails.
        head_answers: [B, R] theirs to (?, relation, tail) for the heads.
        shares: [B, R] what the train facts of the two entities say without the model.
    """

    scores: Floats
    tail_answers: Floats
    head_answers: Floats
    shares: Floats


def score_relations(scorer: Scorer, heads: Ints, tails: Ints) -> RelationScores:
    """Score all relations from ``heads`` [B] to ``tails`` [B]."""
    graph, R = scorer.graph, scorer.graph.num_relations
    relations = np.tile(np.arange(R), len(heads))
    h, t = np.repeat(heads, R), np.repeat(tails, R)
    both = scorer.score_both(h, relations, t, of_heads=True)
    tail_answers, head_answers = (answers.reshape(len(heads), R) for answers in both)
    of_head = _find_shares(graph.train_index, heads, 0)
    of_tail = _find_shares(graph.train_index, tails, R)
    joint = of_head * tail_answers + of_tail * head_answers
    counted = of_head * of_tail / np.maximum(_find_overall(graph.train_index), 1e-12)
    return RelationScores(_normalise(joint), tail_answers, head_answers, _normalise(counted))


def _find_overall(train: FactIndex) -> Floats:
    """The share of every relation in train [R]."""
    counts = train.relation_counts + 1.0
    return np.asarray(counts / counts.sum())


def _find_shares(train: FactIndex, entities: Ints, first: int) -> Floats:
    """p(r | entity) [B, R] by the facts that it is the head of (``first`` 0) or tail of (R)."""
    R = train.num_relations
    rows, _ = train.lookup(np.repeat(entities, R), np.tile(np.arange(R) + first, len(entities)))
    counts = np.bincount(rows, minlength=len(entities) * R).reshape(len(entities), R)
    smoothed = counts + _SMOOTHING * _find_overall(train)
    return np.asarray(smoothed / smoothed.sum(axis=1, keepdims=True))


def _normalise(scores: Floats) -> Floats:
    return np.asarray(scores / np.maximum(scores.sum(axis=1, keepdims=True), 1e-300))


@dataclass(frozen=True, kw_only=True)
class RelationEvaluation:
    """How well relations are told, on held-out facts (h, ?, t).

    Attributes:
        split: of which split.
        num_facts: how many facts it has.
        overall: of the facts that were ranked; realistic ranks, other true relations left out.
        counts_alone: what the train facts of the two entities give without the model: the least
            that a model should beat.
        by_relation: by the label of the true relation.
    """

    split: SplitName
    num_facts: int
    overall: Metrics
    counts_alone: Metrics
    by_relation: Mapping[str, Metrics]

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {
            "task": "relations",
            "split": self.split,
            "num_facts": self.num_facts,
            "overall": self.overall.to_json(),
            "counts_alone": self.counts_alone.to_json(),
            "by_relation": {label: m.to_json() for label, m in self.by_relation.items()},
        }


def evaluate_relations(
    scorer: Scorer,
    split: SplitName = "test",
    *,
    limit: int = 1000,
    progress: Progress = no_progress,
) -> RelationEvaluation:
    """Rank the true relation of held-out facts among all relations.

    Args:
        scorer: of the run.
        split: which facts.
        limit: how many facts at most, drawn with a fixed seed: every one is R questions to either
            side.
        progress: is told of the facts.

    Raises:
        DataError: the split has no facts.
    """
    graph = scorer.graph
    facts = graph.facts(split)
    if not len(facts):
        raise DataError(f"the {split} split of graph '{graph.name}' has no facts to evaluate on")
    chosen = np.random.default_rng(0).permutation(len(facts))[:limit]
    facts = facts[np.sort(chosen)]
    ranks, counted = [], []
    for start in range(0, len(facts), _PAIRS):
        heads, relations, tails = facts[start : start + _PAIRS].T
        found = score_relations(scorer, heads, tails)
        others = _find_others(graph, heads, relations, tails)
        ranks.append(_rank(found.scores, relations, others))
        counted.append(_rank(found.shares, relations, others))
        progress("ranking relations", min(start + _PAIRS, len(facts)), len(facts))
    realistic = np.concatenate(ranks)
    grouped = compute_grouped_metrics(realistic, facts[:, 1], graph.num_relations)
    return RelationEvaluation(
        split=split,
        num_facts=len(graph.facts(split)),
        overall=compute_metrics(realistic),
        counts_alone=compute_metrics(np.concatenate(counted)),
        by_relation={
            label: metrics
            for label, metrics in zip(graph.relations.labels, grouped, strict=True)
            if metrics.count
        },
    )


def _find_others(graph: MultimodalGraph, heads: Ints, relations: Ints, tails: Ints) -> Any:
    """Which other relations hold between the pairs: [B, R]."""
    shown = np.arange(graph.num_relations)
    known = graph.true_facts.find_rows(heads[:, None], shown, tails[:, None]) != UNKNOWN
    known[np.arange(len(heads)), relations] = False
    return known


def _rank(scores: Floats, relations: Ints, others: Any) -> Floats:
    """Realistic ranks [B] of the true relations."""
    rows = np.arange(len(scores))
    own = scores[rows, relations][:, None]
    shown = np.where(others, -1.0, scores)
    greater = (shown > own).sum(axis=1)
    ties = (shown == own).sum(axis=1)
    return Ranks(optimistic=1 + greater, pessimistic=greater + ties).realistic
