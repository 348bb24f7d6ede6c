"""Where to begin reviewing and when to stop: expected yield, precision so far, time spent."""

from __future__ import annotations

import math
from dataclasses import dataclass

from momok.serving.describe import describe_relation
from momok.serving.model_holder import ServedModel
from momok.serving.proposals import WORTH, Proposal
from momok.serving.reviews.reader import ReviewReader, Tally
from momok.serving.reviews.records import Fact
from momok.serving.schemas import Named

_NORMAL = 1.959964  # the 97.5 % quantile of the normal distribution


@dataclass(frozen=True)
class Precision:
    """The share of decided facts that were accepted, with its 95 % Wilson interval."""

    accepted: int
    decided: int

    @property
    def value(self) -> float:
        """The share."""
        return self.accepted / self.decided

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson 1927, "Probable inference, the law of succession, and statistical inference"."""
        n, p, z = self.decided, self.value, _NORMAL
        middle = p + z * z / (2 * n)
        half = z * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
        scale = 1 + z * z / n
        return max((middle - half) / scale, 0.0), min((middle + half) / scale, 1.0)


@dataclass(frozen=True)
class RelationYield:
    """What a relation's proposals promise, and what was decided.

    Attributes:
        worth: undecided proposals worth looking at; None while they are being ranked.
        expected: how many of them are true, by their probabilities; None if not calibrated.
        deviation: the standard deviation of that number, if facts are true independently.
        precision: of all decisions; None where there are none.
        sampled: of decisions in random order, which tell the precision of all proposals alike.
    """

    relation: Named
    facts: int
    worth: int | None
    expected: float | None
    deviation: float | None
    tally: Tally
    precision: Precision | None
    sampled: Precision | None


@dataclass(frozen=True)
class Overview:
    """The start page of reviews.

    Attributes:
        relations: those with the highest expected yield first.
        worth: proposals worth looking at, of the relations that are ranked.
        ranked: how many relations are.
        opinions: given here by all; of a fact that needs several, each.
        minutes: spent by all, and by the one who asks.
    """

    relations: list[RelationYield]
    worth: int
    expected: float | None
    ranked: int
    tally: Tally
    precision: Precision | None
    opinions: int
    minutes: tuple[float, float]

    @property
    def pace(self) -> float | None:
        """Decisions a minute."""
        return self.opinions / self.minutes[0] if self.minutes[0] >= 1 else None


def summarise(store: ReviewReader, model: ServedModel, reviewer: str) -> Overview:
    """What the proposals of all relations promise, as far as they are ranked."""
    ranked, tallies, decided = (
        model.queue.list_ranked(),
        store.tally(),
        store.list_decided(None, reviewer),
    )
    minutes = store.count_minutes()
    counts = model.graph.fact_index.relation_counts.tolist()
    relations = []
    for relation, facts in enumerate(counts):
        named = describe_relation(model, relation)
        tally = tallies.get(named.label, Tally())
        promise = _promise(ranked.get(relation), decided, calibrated=model.calibrated)
        relations.append(
            RelationYield(
                named,
                facts,
                *promise,
                tally,
                _measure(tally.accepted, tally.rejected),
                _measure(*tally.sampled),
            )
        )
    relations.sort(key=lambda entry: (-(entry.expected or 0.0), -(entry.worth or 0)))
    total = sum(tallies.values(), Tally())
    return Overview(
        relations=relations,
        worth=sum(entry.worth or 0 for entry in relations),
        expected=sum(entry.expected or 0.0 for entry in relations) if model.calibrated else None,
        ranked=len(ranked),
        tally=total,
        precision=_measure(total.accepted, total.rejected),
        opinions=sum(store.count_opinions().values()),
        minutes=(sum(minutes.values()), minutes.get(reviewer, 0.0)),
    )


def _promise(
    proposals: list[Proposal] | None, decided: set[Fact], *, calibrated: bool
) -> tuple[int | None, float | None, float | None]:
    """How many proposals are worth looking at, how many of them are true, how sure that is."""
    if proposals is None:
        return None, None, None
    least = WORTH * calibrated
    left = [p.probability for p in proposals if p.probability >= least and p.fact not in decided]
    if not calibrated:
        return len(left), None, None
    return len(left), sum(left), math.sqrt(sum(p * (1 - p) for p in left))


def _measure(accepted: int, rejected: int) -> Precision | None:
    return Precision(accepted, accepted + rejected) if accepted + rejected else None
