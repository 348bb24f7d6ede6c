"""New facts for people to look at: ranked by relation, filtered and sorted, with their mirrors.

Only facts between entities that train has in these roles: what nobody would ever say of such an
entity is not worth a person's time. ``momok.prediction.missing`` ranks them.

Shapes: F facts, R relations.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from momok.graph import MultimodalGraph
from momok.graph.candidates import Side
from momok.graph.fact_index import UNKNOWN, FactIndex
from momok.prediction import Predictor
from momok.prediction.calibration_record import PLAUSIBLE_FACT
from momok.prediction.missing.facts import BulkOptions, iterate_new_facts
from momok.serving.contradictions import Ids
from momok.serving.reviews.records import Fact, hash_fact

Order = Literal["probability", "uncertainty", "random"]

WORTH = 0.01  # of calibrated facts as likely as this, one in a hundred is true
_KEPT = 1000  # facts of one relation
_MIRRORED = 0.8  # of a relation's facts are there turned round, too


class Proposal(NamedTuple):
    """A new fact: its labels, how likely the model finds it, its ids."""

    fact: Fact
    probability: float
    ids: Ids


class Mirrors:
    """Which facts say the same turned round: of symmetric relations, and of each other's inverses.

    Two relations are each other's inverse where at least 80 % of the facts of either are there as
    facts of the other turned round; a relation that is its own inverse is symmetric.
    """

    def __init__(self, facts: FactIndex) -> None:
        self._facts = facts
        N, R = facts.num_entities, facts.num_relations
        heads, relations, tails = facts.facts.T
        forward, turned = heads * N + tails, tails * N + heads
        order = np.argsort(forward, kind="stable")
        begins, ends = (np.searchsorted(forward[order], turned, side) for side in ("left", "right"))
        sizes = ends - begins
        rows = np.repeat(np.arange(len(turned)), sizes)
        places = np.arange(len(rows)) - np.repeat(np.cumsum(sizes) - sizes - begins, sizes)
        pairs, counts = np.unique(
            relations[rows] * R + relations[order[places]], return_counts=True
        )
        of_relation = np.bincount(relations, minlength=R)
        first, second = np.divmod(pairs, R)
        least = np.maximum(of_relation[first], of_relation[second]) * _MIRRORED
        self._relations: dict[int, list[int]] = {}
        for one, other in zip(first[counts >= least], second[counts >= least], strict=True):
            self._relations.setdefault(int(one), []).append(int(other))

    def is_symmetric(self, relation: int) -> bool:
        """Whether a relation is its own inverse."""
        return relation in self._relations.get(relation, ())

    def find(self, fact: Ids) -> list[Ids]:
        """The facts that say the same turned round and that the graph does not have."""
        head, relation, tail = fact
        turned = [(tail, other, head) for other in self._relations.get(relation, ())]
        known = self._facts.find_rows(*np.array(turned, dtype=np.int64).reshape(-1, 3).T)
        return [t for t, row in zip(turned, known.tolist(), strict=True) if row == UNKNOWN]


@dataclass(frozen=True, kw_only=True)
class QueueFilter:
    """Which proposals are wanted, and in which order.

    Attributes:
        relation: its id; None for all relations.
        least: the least probability.
        order: the likeliest first; those first that the model is least sure of; or at random, the
            same for everybody.
        type: of the head or of the tail; "" for any.
        modality: that both entities have; "" for any.
        text: a part of the name of the head or of the tail, in any case.
    """

    relation: int | None = None
    least: float = 0.0
    order: Order = "probability"
    type: str = ""
    modality: str = ""
    text: str = ""

    @property
    def is_sample(self) -> bool:
        """Whether decisions in this order tell the precision of a relation's proposals."""
        return self.order == "random" and not (self.type or self.modality or self.text)


class ReviewQueue:
    """Ranks the new facts of a relation when first asked for, one relation at a time."""

    def __init__(self, predictor: Predictor, mirrors: Mirrors) -> None:
        self._predictor, self._mirrors = predictor, mirrors
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="momok-queue")
        self._ranked: dict[int, Future[list[Proposal]]] = {}
        self._lock = threading.Lock()
        self._all_asked = self._closed = False
        self._picked: tuple[tuple[object, ...], list[Proposal]] | None = None

    def close(self, *, wait: bool = True) -> None:
        """Stop; what has begun is finished."""
        self._closed = True
        self._thread.shutdown(wait=wait, cancel_futures=wait)

    def rank(self, relation: int) -> Future[list[Proposal]]:
        """The ranked facts of a relation, now or later."""
        with self._lock:
            known = self._ranked.get(relation)
            if known is None or (known.done() and known.exception() is not None):
                known = self._thread.submit(
                    rank_new_facts, self._predictor, relation, self._mirrors
                )
                self._ranked[relation] = known
            return known

    def list_ranked(self) -> dict[int, list[Proposal]]:
        """The relations that are ranked; those that are not follow, those with most facts first."""
        if not self._all_asked:
            self._all_asked = True
            self._thread.submit(self._rank_next)
        return {
            relation: future.result()
            for relation, future in sorted(self._ranked.items())
            if future.done() and future.exception() is None
        }

    def _rank_next(self) -> None:
        """One relation, then again; what is asked for meanwhile comes first."""
        order = np.argsort(-self._predictor.graph.fact_index.relation_counts, kind="stable")
        rest = [relation for relation in order.tolist() if relation not in self._ranked]
        if rest and not self._closed:
            self.rank(rest[0])
            self._thread.submit(self._rank_next)

    def is_ranking(self, wanted: QueueFilter) -> bool:
        """Whether more proposals of a filter may follow."""
        if wanted.relation is not None:
            return not self.rank(wanted.relation).done()
        self.list_ranked()
        relations = range(self._predictor.graph.num_relations)
        return not all(r in self._ranked and self._ranked[r].done() for r in relations)

    def pick(self, wanted: QueueFilter) -> list[Proposal] | None:
        """The proposals of a filter, in its order; None where its relation is not ranked yet."""
        if wanted.relation is None:
            ranked = self.list_ranked()
        else:
            future = self.rank(wanted.relation)
            if not future.done():
                return None
            ranked = {wanted.relation: future.result()}
        key = wanted, tuple(ranked)
        picked = self._picked  # which another thread may replace meanwhile
        if picked is None or picked[0] != key:
            proposals = [proposal for found in ranked.values() for proposal in found]
            self._picked = picked = key, choose(self._predictor, proposals, wanted)
        return picked[1]


def choose(
    predictor: Predictor, proposals: Sequence[Proposal], wanted: QueueFilter
) -> list[Proposal]:
    """Those that a filter lets pass, in its order."""
    graph = predictor.graph
    names, types, text = graph.entity_names, graph.entity_types, wanted.text.casefold()
    found = [proposal for proposal in proposals if proposal.probability >= wanted.least]
    if wanted.type:
        found = [p for p in found if wanted.type in (types[p.ids[0]], types[p.ids[2]])]
    if wanted.modality:
        has = predictor.scorer.present[wanted.modality]
        found = [p for p in found if has[p.ids[0]] and has[p.ids[2]]]
    if text:
        found = [p for p in found if any(text in names[p.ids[i]].casefold() for i in (0, 2))]
    if wanted.order == "random":
        return sorted(found, key=lambda p: hash_fact(p.fact))
    if wanted.order == "uncertainty":
        return sorted(found, key=lambda p: abs(p.probability - 0.5))
    return sorted(found, key=lambda p: -p.probability)


def rank_new_facts(predictor: Predictor, relation: int, mirrors: Mirrors) -> list[Proposal]:
    """The best new facts of a relation between entities known in these roles, best first.

    Of a symmetric relation a fact and its reverse are one, in the likelier direction.
    """
    graph, options = predictor.graph, BulkOptions(per_relation=_KEPT, plausible=True)
    is_symmetric = mirrors.is_symmetric(relation)
    ranked: dict[tuple[int, int], Proposal] = {}
    for fact in iterate_new_facts(predictor.scorer, [relation], options):
        if not (is_symmetric and (fact.tail, fact.head) in ranked):
            ids = fact.head, relation, fact.tail
            shown = fact.score if fact.probability is None else fact.probability
            ranked[fact.head, fact.tail] = Proposal(label_fact(graph, ids), shown, ids)
    return list(ranked.values())


def label_fact(graph: MultimodalGraph, fact: Ids) -> Fact:
    """The labels of a fact."""
    head, relation, tail = fact
    entities = graph.entities.labels
    return entities[head], graph.relations.labels[relation], entities[tail]


def compute_probability(predictor: Predictor, fact: Ids) -> float:
    """How likely the model finds a fact, as the queue has it: by the lower of its two answers."""
    return compute_probabilities(predictor, [fact])[0]


def compute_probabilities(predictor: Predictor, facts: Sequence[Ids]) -> list[float]:
    """How likely the model finds facts, as the queue has them."""
    if not facts:
        return []
    sides: tuple[Side, ...] = ("tail", "head")
    answers = [predictor.score_facts(np.array(facts), asked=side).answer for side in sides]
    lower = np.minimum(*(np.asarray(answer, dtype=np.float64) for answer in answers))
    if predictor.calibration is not None:
        lower = predictor.calibration.apply(PLAUSIBLE_FACT, lower)
    return [float(value) for value in lower]
