"""True or false: a decision on every fact, by a threshold for each relation.

The score of a fact is the sum of the logarithms of the model's two answers, to (h, r, ?) for t and
to (?, r, t) for h. Thresholds are chosen on validation facts and as many made false ones, then
judged on test. A false fact has one side of a true one replaced, heads and tails in turn: by any
entity (easy), or by one that train has on that side of the relation (hard: of the right kind, and
wrong). What is true in any split is no false fact.

Shapes: F facts, R relations.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import numpy as np

from momok.arrays import Bools, Floats, Ints
from momok.errors import ConfigError, DataError
from momok.graph import MultimodalGraph, SplitName
from momok.graph.fact_index import UNKNOWN
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

FalseFacts = Literal["any", "typed"]
"""Which entities make false facts: any, or those that train has on that side of the relation."""

_ENOUGH = 10  # true validation facts of a relation, to have a threshold of its own
_TRIES = 20  # draws of an entity that makes a fact false
_LEAST = 1e-300


@dataclass(frozen=True, kw_only=True)
class Decisions:
    """How good decisions on true and false facts are; shares from 0 to 1.

    Attributes:
        count: facts, half of them true.
        accuracy: share that was decided rightly.
        precision: share of those called true that are; None where none was.
        recall: share of the true ones called true.
        f1: the harmonic mean of both; None where precision is.
        auc_pr: average precision over all thresholds: 0.5 is chance.
    """

    count: int
    accuracy: float
    precision: float | None
    recall: float
    f1: float | None
    auc_pr: float


@dataclass(frozen=True, kw_only=True)
class Classification:
    """Decisions on the facts of a split and as many false ones.

    Attributes:
        split: which facts were judged.
        false_facts: how the false ones were made.
        overall: over all facts.
        by_relation: by label, of relations with facts in the split.
        threshold: the least score of a fact that is called true, for relations with few
            validation facts.
        thresholds: by label, for all others.
    """

    split: SplitName
    false_facts: FalseFacts
    overall: Decisions
    by_relation: Mapping[str, Decisions]
    threshold: float
    thresholds: Mapping[str, float]

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {"task": "classification", **asdict(self)}


def classify(
    scorer: Scorer,
    split: SplitName = "test",
    *,
    false_facts: FalseFacts = "typed",
    seed: int = 0,
    progress: Progress = no_progress,
) -> Classification:
    """Choose thresholds on validation and judge them on a split.

    Args:
        scorer: of the run.
        split: which facts are judged.
        false_facts: how the false ones are made.
        seed: of what is drawn for them.
        progress: is told of the questions.

    Raises:
        DataError: validation or the split has no facts, or none that can be made false.
        ConfigError: another kind of false facts.
    """
    graph = scorer.graph
    if false_facts not in get_args(FalseFacts):
        raise ConfigError(f"false_facts = {false_facts!r}: expected 'any' or 'typed'")
    needed: tuple[SplitName, ...] = ("valid", split)
    for name in needed:
        if not len(graph.facts(name)):
            raise DataError(
                f"the {name} split of graph '{graph.name}' has no facts: thresholds are chosen on "
                "valid and judged on others"
            )
    generator = np.random.default_rng(seed)
    chosen_on = _make_set(graph, graph.valid, false_facts, generator)
    judged_on = _make_set(graph, graph.facts(split), false_facts, generator)
    for name, (facts, _) in zip(needed, (chosen_on, judged_on), strict=True):
        if not len(facts):
            raise DataError(
                f"no {name} fact of graph '{graph.name}' can be made false: everything is true"
            )
    everything = np.concatenate([chosen_on[0], judged_on[0]])
    scores = score_facts(scorer, everything, progress)
    before, now = np.split(scores, [len(chosen_on[0])])
    limits = _choose_thresholds(before, *chosen_on, graph.num_relations)
    facts, is_true = judged_on
    labels = graph.relations.labels
    called = now >= limits.each[facts[:, 1]]
    return Classification(
        split=split,
        false_facts=false_facts,
        overall=_judge(now, called, is_true),
        by_relation={
            labels[r]: _judge(now[mine], called[mine], is_true[mine])
            for r in np.unique(facts[:, 1]).tolist()
            for mine in [facts[:, 1] == r]
        },
        threshold=limits.common,
        thresholds={labels[r]: float(limits.each[r]) for r in limits.own},
    )


def score_facts(scorer: Scorer, facts: Ints, progress: Progress = no_progress) -> Floats:
    """The sum of the logarithms of the two answers to facts [F, 3], by ids."""
    both = scorer.score_both(*facts.T, progress=progress)
    return np.asarray(np.log(np.maximum(both, _LEAST)).sum(axis=0))


def _make_set(
    graph: MultimodalGraph, facts: Ints, kind: FalseFacts, generator: np.random.Generator
) -> tuple[Ints, Bools]:
    """True facts [F, 3] followed by as many false ones, and which are true [2F]."""
    false = facts.copy()
    sides = np.where(np.arange(len(facts)) % 2 == 0, 2, 0)
    open_rows = np.arange(len(facts))
    for attempt in range(_TRIES):
        typed = kind == "typed" and attempt < _TRIES // 2  # where all of a kind are true: any
        for role in np.unique(facts[open_rows, 1] * 3 + sides[open_rows]).tolist():
            relation, side = divmod(role, 3)
            mine = open_rows[(facts[open_rows, 1] == relation) & (sides[open_rows] == side)]
            reverse = graph.num_relations if side == 0 else 0
            among = graph.train_index.entities_of(relation + reverse) if typed else np.empty(0)
            if len(among) < 2:
                among = np.arange(graph.num_entities)
            false[mine, side] = generator.choice(among, len(mine))
        heads, relations, tails = false[open_rows].T
        open_rows = open_rows[graph.true_facts.find_rows(heads, relations, tails) != UNKNOWN]
        if not len(open_rows):
            break
    kept = np.ones(len(facts), dtype=bool)
    kept[open_rows] = False  # everything is true of them: there is no false fact to be made
    pairs = np.concatenate([facts[kept], false[kept]])
    return pairs, np.arange(len(pairs)) < int(kept.sum())


@dataclass(frozen=True, eq=False)
class _Thresholds:
    common: float
    each: Floats
    own: list[int]


def _choose_thresholds(
    scores: Floats, facts: Ints, is_true: Bools, num_relations: int
) -> _Thresholds:
    """The thresholds with the most right decisions, for each relation [R]."""
    common = _choose(scores, is_true)
    each, own = np.full(num_relations, common), []
    counts = np.bincount(facts[is_true, 1], minlength=num_relations)
    for relation in np.flatnonzero(counts >= _ENOUGH).tolist():
        mine = facts[:, 1] == relation
        each[relation] = _choose(scores[mine], is_true[mine])
        own.append(relation)
    return _Thresholds(common, each, own)


def _choose(scores: Floats, is_true: Bools) -> float:
    """Between two scores, where most decisions are right."""
    order = np.argsort(scores, kind="stable")
    ordered, truth = scores[order], is_true[order]
    # called false: the first i of them
    right = np.concatenate([[0], (~truth).cumsum()]) + np.append(truth[::-1].cumsum()[::-1], 0)
    between = np.concatenate([[True], ordered[1:] > ordered[:-1], [True]])
    best = int(np.argmax(np.where(between, right, -1)))
    if best == 0:
        return float(ordered[0])
    if best == len(ordered):
        return float(np.nextafter(ordered[-1], np.inf))
    return float((ordered[best - 1] + ordered[best]) / 2)


def _judge(scores: Floats, called: Bools, is_true: Bools) -> Decisions:
    right = int((called & is_true).sum())
    precision = right / int(called.sum()) if called.any() else None
    recall = right / int(is_true.sum())
    f1 = None if precision is None else 2 * right / (int(called.sum()) + int(is_true.sum()))
    return Decisions(
        count=len(scores),
        accuracy=float((called == is_true).mean()),
        precision=precision,
        recall=recall,
        f1=f1,
        auc_pr=compute_average_precision(scores, is_true),
    )


def compute_average_precision(scores: Floats, is_true: Bools) -> float:
    """The area under the curve of precision and recall; equal scores are one threshold."""
    order = np.argsort(-scores, kind="stable")
    ordered, truth = scores[order], is_true[order].cumsum()
    last = np.append(ordered[1:] < ordered[:-1], True)  # of equal scores
    found, called = truth[last], np.flatnonzero(last) + 1
    gained = np.diff(found, prepend=0) / max(int(truth[-1]), 1)
    return float((gained * found / called).sum())
