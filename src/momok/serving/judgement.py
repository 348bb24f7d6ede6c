"""How good a model is: on validation, and on facts that people have decided."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from momok.graph import MultimodalGraph
from momok.graph.candidates import Side
from momok.prediction import Predictor
from momok.serving.reviews.records import Review
from momok.training import RunFolder

_MOST_FACTS = 2000  # decided facts of a kind that models are compared on
_LEAST = 1e-30  # of a probability whose logarithm is taken


@dataclass(frozen=True, kw_only=True)
class Judgement:
    """How good a model is.

    Attributes:
        mrr: on the validation facts.
        auc: how often it finds an accepted fact likelier than a rejected one; None where there is
            none of either.
    """

    mrr: float | None = None
    auc: float | None = None


def judge(run: RunFolder, reviews: list[Review]) -> Judgement:
    """How good the model of a run is, on validation and on decided facts.

    Decided facts are judged by the heads alone: to a new model accepted facts are known ones, and
    rules, whose weights were found on unknown facts, say nothing of them.
    """
    predictor = Predictor(run)
    found: dict[str, list[float]] = {}
    for state in ("accepted", "rejected"):
        of_state = (
            _find_ids(predictor.graph, review) for review in reviews if review.state == state
        )
        ids = [fact for fact in of_state if fact is not None][:_MOST_FACTS]
        found[state] = _score(predictor, ids) if ids else []
    mrr = run.load_evaluation("valid").overall["answer"].mrr
    return Judgement(mrr=mrr, auc=compute_auc(found["accepted"], found["rejected"]))


def _score(predictor: Predictor, facts: list[tuple[int, int, int]]) -> list[float]:
    """The mean logarithm of the heads' probabilities, of the lower of both answers."""
    sides: tuple[Side, ...] = ("tail", "head")
    means = [
        np.mean(np.log(np.stack([*scores.heads.values()]) + _LEAST), axis=0)
        for scores in (predictor.score_facts(np.array(facts), asked=side) for side in sides)
    ]
    lower: list[float] = np.minimum(*means).tolist()
    return lower


def compute_auc(higher: list[float], lower: list[float]) -> float | None:
    """How often one of ``higher`` is above one of ``lower``, ties half: the area under the ROC."""
    if not higher or not lower:
        return None
    ranks = rankdata(np.array([*higher, *lower]))[: len(higher)]
    wins = float(ranks.sum()) - len(higher) * (len(higher) + 1) / 2
    return wins / (len(higher) * len(lower))


def _find_ids(graph: MultimodalGraph, review: Review) -> tuple[int, int, int] | None:
    head, relation, tail = review.fact
    if head in graph.entities and tail in graph.entities and relation in graph.relations:
        return graph.entities.ids[head], graph.relations.ids[relation], graph.entities.ids[tail]
    return None
