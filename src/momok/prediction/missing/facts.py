"""New facts of whole relations, ranked: what the graph most likely misses.

All pairs of entities are ranked, not only those of known questions (``momok.prediction.
fact_search`` says how and why the score is the lower of two answers). Facts of train, validation
and test are left out.

Shapes: n facts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.errors import ConfigError
from momok.graph import MultimodalGraph
from momok.prediction.calibration.record import FACT, PLAUSIBLE_FACT, Calibration
from momok.prediction.missing.search import FoundFacts, find_new_facts
from momok.prediction.questions import Name, Thing, describe_entity, describe_relation
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

__all__ = [
    "BulkOptions",
    "NewFact",
    "count_pairs",
    "iterate_new_facts",
    "rank_relation",
    "resolve_relations",
]

Ints: TypeAlias = NDArray[np.int64]
Floats: TypeAlias = NDArray[np.float64]

DEFAULT_PER_RELATION = 1000


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """Which new facts are wanted.

    Attributes:
        per_relation: how many facts of a relation at most.
        min_probability: the least calibrated probability; None takes any.
        plausible: only facts whose head was a head of the relation in train, and whose tail a tail
            of it; and of an entity with itself only where the relation has such facts in train.

    Raises:
        ConfigError: a value out of range.
    """

    per_relation: int = DEFAULT_PER_RELATION
    min_probability: float | None = None
    plausible: bool = False

    @property
    def output(self) -> str:
        """The calibrated output that says how probable such facts are."""
        return PLAUSIBLE_FACT if self.plausible else FACT

    def __post_init__(self) -> None:
        """Check the ranges."""
        if self.per_relation < 1:
            raise ConfigError(f"per_relation = {self.per_relation}: expected at least 1 fact")
        least = self.min_probability
        if least is not None and not 0 <= least <= 1:
            raise ConfigError(f"min_probability = {least}: expected a number from 0 to 1")


@dataclass(frozen=True, kw_only=True)
class NewFact:
    """A fact that the graph does not have.

    Attributes:
        rank: from 1, within its relation.
        head: label and name.
        relation: label and name.
        tail: label and name.
        score: the lower of the two answers, not calibrated.
        probability: the calibrated score (``fact``, or ``plausible_fact`` where only such are
            wanted, in ``momok.prediction.calibration``); None in a run that is not calibrated.
        tail_answer: the answer of the model to (head, relation, ?) for this tail.
        head_answer: its answer to (?, relation, tail) for this head.
    """

    rank: int
    head: Thing
    relation: Thing
    tail: Thing
    score: float
    probability: float | None
    tail_answer: float
    head_answer: float

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {
            "rank": self.rank,
            "head": self.head.to_json(),
            "relation": self.relation.to_json(),
            "tail": self.tail.to_json(),
            "score": self.score,
            "probability": self.probability,
            "tail_answer": self.tail_answer,
            "head_answer": self.head_answer,
        }


def iterate_new_facts(
    scorer: Scorer,
    relations: Sequence[Name] | None = None,
    *,
    per_relation: int = DEFAULT_PER_RELATION,
    min_probability: float | None = None,
    plausible: bool = False,
    memory_budget: int | None = None,
    progress: Progress = no_progress,
) -> Iterator[NewFact]:
    """Give the new facts of relations, one relation after the other, the best first.

    Args:
        scorer: the model.
        relations: by label, name or id; all by default.
        per_relation, min_probability, plausible: as in ``BulkOptions``.
        memory_budget: bytes of buffers, by default the scorer's.
        progress: is told of the pairs of entities.

    Raises:
        UnknownLabelError: no such relation; near misses are suggested.
        AmbiguousNameError: several share the name.
        ConfigError: a value out of range, or a least probability for a run without calibration.
    """
    options = BulkOptions(
        per_relation=per_relation, min_probability=min_probability, plausible=plausible
    )
    chosen = resolve_relations(scorer.graph, relations)
    check_calibrated(scorer, options)
    return _iterate(scorer, chosen, options, memory_budget, progress)


def _iterate(
    scorer: Scorer,
    relations: Sequence[int],
    options: BulkOptions,
    memory_budget: int | None,
    progress: Progress,
) -> Iterator[NewFact]:
    graph = scorer.graph
    total = sum(count_pairs(scorer, relation, options) for relation in relations)
    done = 0

    def tell(pairs: int) -> None:
        nonlocal done
        done += pairs
        progress("ranking pairs of entities", done, total)

    for relation in relations:
        found = rank_relation(scorer, relation, options, memory_budget=memory_budget, progress=tell)
        calibrated = calibrate_facts(scorer.calibration, options, found.scores)
        for place in range(len(found)):
            yield NewFact(
                rank=place + 1,
                head=describe_entity(graph, found.heads[place]),
                relation=describe_relation(graph, relation),
                tail=describe_entity(graph, found.tails[place]),
                score=float(found.scores[place]),
                probability=None if calibrated is None else float(calibrated[place]),
                tail_answer=float(found.tail_answers[place]),
                head_answer=float(found.head_answers[place]),
            )


def rank_relation(
    scorer: Scorer,
    relation: int,
    options: BulkOptions,
    *,
    memory_budget: int | None = None,
    progress: Callable[[int], None] = lambda _pairs: None,
) -> FoundFacts:
    """Rank the new facts of one relation, by id.

    Args:
        scorer: the model.
        relation: without reciprocals.
        options: which facts.
        memory_budget, progress: as for ``find_new_facts``.
    """
    floor = 0.0
    calibration = scorer.calibration
    least = options.min_probability
    if least is not None and calibration is not None:
        floor = calibration.outputs[options.output].map.find_threshold(least)
        if floor > 1:
            progress(count_pairs(scorer, relation, options))
            return FoundFacts.none()
    heads, tails, loops = _choose_entities(scorer, relation, options)
    found = find_new_facts(
        scorer,
        relation,
        limit=options.per_relation,
        floor=floor * (1 - 1e-9),  # the exact comparison is the next one, of probabilities
        heads=heads,
        tails=tails,
        loops=loops,
        memory_budget=memory_budget,
        progress=progress,
    )
    calibrated = calibrate_facts(calibration, options, found.scores)
    if least is None or calibrated is None:
        return found
    return found.first(int((calibrated >= least).sum()))  # they never rise with the rank


def resolve_relations(graph: MultimodalGraph, relations: Sequence[Name] | None) -> tuple[int, ...]:
    """Ids of relations given by label, name or id, each once, ascending; None gives all.

    Raises:
        UnknownLabelError: no such relation; near misses are suggested.
        AmbiguousNameError: several share the name.
    """
    if relations is None:
        return tuple(range(graph.num_relations))
    return tuple(sorted({graph.find_relation(relation) for relation in relations}))


def check_calibrated(scorer: Scorer, options: BulkOptions) -> None:
    """Check that a least probability means something.

    Raises:
        ConfigError: it was asked for, and the run is not calibrated.
    """
    if options.min_probability is not None and scorer.calibration is None:
        raise ConfigError(
            f"{scorer.run.path}: a least probability needs a calibrated run, and this one has "
            f"no calibration of its checkpoint; momok calibrate {scorer.run.path} makes it"
        )


def calibrate_facts(
    calibration: Calibration | None, options: BulkOptions, scores: Floats
) -> Floats | None:
    """Calibrated probabilities [n] of facts, of the kind that was asked for; None without any."""
    return None if calibration is None else calibration.apply(options.output, scores)


def count_pairs(scorer: Scorer, relation: int, options: BulkOptions) -> int:
    """How many pairs of entities are looked at in a relation."""
    heads, tails, _ = _choose_entities(scorer, relation, options)
    N = scorer.graph.num_entities
    return (N if heads is None else len(heads)) * (N if tails is None else len(tails))


def _choose_entities(
    scorer: Scorer, relation: int, options: BulkOptions
) -> tuple[Ints | None, Ints | None, bool]:
    """Heads, tails (None: all), and whether an entity may have the relation to itself."""
    if not options.plausible:
        return None, None, True
    train, reverse = scorer.train, relation + scorer.graph.num_relations
    return train.entities_of(reverse), train.entities_of(relation), train.has_loops(relation)
