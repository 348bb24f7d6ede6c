"""The best new facts of a relation, for people to look at.

Only facts between entities that train has in these roles: what nobody would ever say of such an
entity is not worth a person's time. ``momok.prediction.missing.facts`` ranks them, over all pairs.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from momok.prediction import Predictor
from momok.prediction.calibration.record import PLAUSIBLE_FACT
from momok.prediction.missing.facts import iterate_new_facts
from momok.prediction.questions import Side

__all__ = ["NewFact", "ReviewQueue", "find_new_facts", "judge_fact"]

_KEPT = 1000  # facts of one relation


@dataclass(frozen=True)
class NewFact:
    """A fact that the graph does not have, by ids, and how likely the model finds it."""

    head: int
    relation: int
    tail: int
    probability: float


class ReviewQueue:
    """Ranks the new facts of a relation when first asked for, one relation at a time."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._ranked: dict[int, Future[list[NewFact]]] = {}
        self._lock = threading.Lock()

    def rank(self, relation: int, thread: ThreadPoolExecutor) -> Future[list[NewFact]]:
        """The ranked facts of a relation, now or when ``thread`` has come to it."""
        with self._lock:
            known = self._ranked.get(relation)
            failed = known is not None and known.done() and _has_failed(known)
            if known is None or failed:
                known = thread.submit(find_new_facts, self._predictor, relation)
                self._ranked[relation] = known
            return known

    def ready(self, relation: int) -> list[NewFact] | None:
        """The ranked facts, if they are ranked already."""
        known = self._ranked.get(relation)
        if known is None or not known.done() or _has_failed(known):
            return None
        return known.result()


def find_new_facts(predictor: Predictor, relation: int) -> list[NewFact]:
    """The best new facts of a relation between entities known in these roles, best first."""
    index = predictor.graph.entities.index
    found = iterate_new_facts(predictor.scorer, [relation], per_relation=_KEPT, plausible=True)
    return [
        NewFact(
            index(fact.head.label),
            relation,
            index(fact.tail.label),
            fact.score if fact.probability is None else fact.probability,
        )
        for fact in found
    ]


def judge_fact(predictor: Predictor, fact: tuple[int, int, int]) -> float:
    """How likely the model finds a fact, as the queue has it: by the lower of its two answers."""
    sides: tuple[Side, ...] = ("tail", "head")
    lower = min(float(predictor.score_facts([fact], asked=side).answer[0]) for side in sides)
    if predictor.calibration is None:
        return lower
    return float(predictor.calibration.apply(PLAUSIBLE_FACT, lower))


def _has_failed(work: Future[list[NewFact]]) -> bool:
    return work.cancelled() or work.exception() is not None
