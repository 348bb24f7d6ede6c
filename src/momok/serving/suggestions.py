"""What is worth asking or showing: questions about an entity, new facts of a relation.

A role is one side of a relation: 2R of them. What kind of thing an entity is shows in its roles: of
one that plays for a club it is worth asking where it was born, of one that is a river not. So roles
are proposed that other entities with a role in common have too.

Of new facts only those between entities that train has in these roles: what nobody would ever say
of such an entity is not worth a person's time. ``momok.prediction.missing`` ranks them.

Shapes: N entities, R relations.
"""

from __future__ import annotations

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.graph.fact_index import UNKNOWN, FactIndex
from momok.prediction import Predictor
from momok.prediction.calibration.record import PLAUSIBLE_FACT
from momok.prediction.missing.facts import BulkOptions, iterate_new_facts
from momok.prediction.questions import Side
from momok.serving.reviews.records import Fact

RankedFact: TypeAlias = tuple[Fact, float]
"""Labels of a fact that the graph does not have, and how likely the model finds it."""

_BLOCK = 4096  # entities
_MOST_ROLES = 1024  # beyond it, only an entity's own roles are asked about
_KEPT = 1000  # facts of one relation
_SYMMETRIC = 0.8  # of a relation's facts are there in reverse
_SINGLE = 0.95  # of the entities have one answer: a second one contradicts
_ENOUGH = 10  # entities to tell that by


class RoleTable:
    """How often roles go together: P(role b | role a) over the entities with role a, [2R, 2R]."""

    def __init__(self, facts: FactIndex) -> None:
        self._facts = facts
        roles, entities = np.divmod(facts.keys, facts.num_entities)  # a query is a role
        num_roles = 2 * facts.num_relations
        counts = np.bincount(roles, minlength=num_roles)
        self._popular = np.argsort(-counts, kind="stable")
        self._given: NDArray[np.float64] | None = None
        if num_roles <= _MOST_ROLES:
            together = np.zeros((num_roles, num_roles))
            order = np.argsort(entities, kind="stable")
            roles, entities = roles[order], entities[order]
            for start in range(0, facts.num_entities, _BLOCK):
                begin, end = np.searchsorted(entities, [start, start + _BLOCK])
                block = np.zeros((_BLOCK, num_roles), dtype=np.float32)
                block[entities[begin:end] - start, roles[begin:end]] = 1.0
                together += block.T @ block
            self._given = together / np.maximum(counts[:, None], 1)

    def propose(self, entity: int, limit: int) -> list[int]:
        """Roles in 0..2R-1, most fitting first: its own and those that go with them."""
        own = np.unique(self._facts.about(entity)[0])
        if not len(own):
            return [int(role) for role in self._popular[:limit]]
        if self._given is None:
            return [int(role) for role in own[:limit]]
        fit = self._given[own].max(axis=0)
        order = np.argsort(-fit, kind="stable")[:limit]
        return [int(role) for role in order if fit[role] > 0.0]


class ReviewQueue:
    """Ranks the new facts of a relation when first asked for, one relation at a time."""

    def __init__(self, predictor: Predictor) -> None:
        self._predictor = predictor
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="momok-queue")
        self._ranked: dict[int, Future[list[RankedFact]]] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        """Stop; what has begun is finished."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def rank(self, relation: int) -> Future[list[RankedFact]]:
        """The ranked facts of a relation, now or later."""
        with self._lock:
            known = self._ranked.get(relation)
            if known is None or (known.done() and known.exception() is not None):
                known = self._thread.submit(rank_new_facts, self._predictor, relation)
                self._ranked[relation] = known
            return known


def rank_new_facts(predictor: Predictor, relation: int) -> list[RankedFact]:
    """The best new facts of a relation between entities known in these roles, best first.

    Of a symmetric relation a fact and its reverse are one, in the likelier direction.
    """
    graph, options = predictor.graph, BulkOptions(per_relation=_KEPT, plausible=True)
    entities, relations = graph.entities.labels, graph.relations.labels
    is_symmetric = _is_symmetric(graph.fact_index, relation)
    ranked: dict[tuple[int, int], RankedFact] = {}
    for fact in iterate_new_facts(predictor.scorer, [relation], options):
        if not (is_symmetric and (fact.tail, fact.head) in ranked):
            labels = entities[fact.head], relations[relation], entities[fact.tail]
            shown = fact.score if fact.probability is None else fact.probability
            ranked[fact.head, fact.tail] = labels, shown
    return list(ranked.values())


def _is_symmetric(facts: FactIndex, relation: int) -> bool:
    heads, relations, tails = facts.facts[facts.facts[:, 1] == relation].T
    reverse = facts.find_rows(tails, relations, heads)
    return len(reverse) > 0 and float((reverse != UNKNOWN).mean()) >= _SYMMETRIC


def find_contradicted(facts: FactIndex, fact: tuple[int, int, int]) -> list[tuple[int, int, int]]:
    """The known facts that a new one contradicts: where almost all entities have one answer."""
    head, relation, tail = fact
    found = []
    for entity, role in ((head, relation), (tail, relation + facts.num_relations)):
        bounds = np.array([role, role + 1]) * facts.num_entities
        begin, end = np.searchsorted(facts.keys, bounds)
        sizes = np.diff(facts.offsets[begin : end + 1])
        if len(sizes) >= _ENOUGH and (sizes == 1).mean() >= _SINGLE:
            _, answers = facts.lookup(np.array([entity]), np.array([role]))
            for other in answers.tolist():
                known = (head, relation, other) if role == relation else (other, relation, tail)
                if known != fact:
                    found.append(known)
    return found


def compute_probability(predictor: Predictor, fact: tuple[int, int, int]) -> float:
    """How likely the model finds a fact, as the queue has it: by the lower of its two answers."""
    sides: tuple[Side, ...] = ("tail", "head")
    lower = min(float(predictor.score_facts([fact], asked=side).answer[0]) for side in sides)
    if predictor.calibration is None:
        return lower
    return float(predictor.calibration.apply(PLAUSIBLE_FACT, lower))
