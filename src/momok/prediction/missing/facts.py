"""New facts of whole relations, ranked: what the graph most likely misses.

All pairs of entities are ranked, not only those of known questions (``momok.prediction.missing.
search`` says how and why the score is the lower of two answers). Facts of train, validation and
test are left out, and those of an entity with itself unless train has such facts of the relation.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from momok.arrays import Floats, Ints
from momok.errors import ConfigError
from momok.graph import MultimodalGraph
from momok.graph.candidates import Name
from momok.prediction.calibration_record import FACT, PLAUSIBLE_FACT
from momok.prediction.missing.search import FoundFacts, find_new_facts
from momok.prediction.questions import check_count
from momok.prediction.scorer import Scorer
from momok.progress import Progress, no_progress

DEFAULT_PER_RELATION = 1000


@dataclass(frozen=True, kw_only=True)
class BulkOptions:
    """Which new facts are wanted.

    Attributes:
        per_relation: how many facts of a relation at most.
        min_probability: the least calibrated probability; None takes any.
        plausible: only facts whose head was a head of the relation in train, and whose tail a tail
            of it.
        heads, tails: only facts with these heads, and these tails: ids, ascending; None for all.

    Raises:
        ConfigError: a value out of range.
    """

    per_relation: int = DEFAULT_PER_RELATION
    min_probability: float | None = None
    plausible: bool = False
    heads: tuple[int, ...] | None = None
    tails: tuple[int, ...] | None = None

    def __post_init__(self) -> None:
        check_count("per_relation", self.per_relation, 1)
        least = self.min_probability
        if least is not None and not (isinstance(least, int | float) and 0 <= least <= 1):
            raise ConfigError(f"min_probability = {least!r}: expected a number from 0 to 1")
        for side, ids in (("heads", self.heads), ("tails", self.tails)):
            if ids is not None and not all(isinstance(i, int | np.integer) for i in ids):
                raise ConfigError(f"{side}: expected ids; momok.graph.candidates finds them")

    @property
    def output(self) -> str:
        """The calibrated output that says how probable such facts are."""
        return PLAUSIBLE_FACT if self.plausible else FACT

    def check_calibrated(self, scorer: Scorer) -> None:
        """Check that a run is calibrated where a least probability is asked for: ConfigError."""
        if self.min_probability is not None and scorer.calibration is None:
            raise ConfigError(
                f"{scorer.run.path}: a least probability needs a calibrated run, and this one has "
                f"no calibration of its checkpoint; momok calibrate {scorer.run.path} makes it"
            )

    def calibrate(self, scorer: Scorer, scores: Floats) -> Floats | None:
        """Calibrated probabilities [n] of such facts; None in a run that is not calibrated."""
        return None if scorer.calibration is None else scorer.calibration.apply(self.output, scores)


@dataclass(frozen=True)
class NewFact:
    """A fact that the graph does not have.

    Attributes:
        head: its id.
        relation: its id.
        tail: its id.
        tail_answer: the answer of the model to (head, relation, ?) for this tail.
        head_answer: its answer to (?, relation, tail) for this head.
        probability: the calibrated score (``fact``, or ``plausible_fact`` where only such are
            wanted, in ``momok.prediction.calibration``); None in a run that is not calibrated.
    """

    head: int
    relation: int
    tail: int
    tail_answer: float
    head_answer: float
    probability: float | None

    @property
    def score(self) -> float:
        """The lower of the two answers, not calibrated."""
        return min(self.tail_answer, self.head_answer)


def iterate_new_facts(
    scorer: Scorer,
    relations: Sequence[Name] | None = None,
    options: BulkOptions | None = None,
    progress: Progress = no_progress,
) -> Iterator[NewFact]:
    """Give the new facts of relations, one relation after the other, the best first.

    ``relations`` are given by label, name or id, all by default; ``progress`` is told of pairs of
    entities, and which relation it is at.

    Raises:
        UnknownLabelError: no such relation; near misses are suggested.
        AmbiguousNameError: several share the name.
        ConfigError: a least probability for a run without calibration.
    """
    wanted = options or BulkOptions()
    wanted.check_calibrated(scorer)
    chosen = resolve_relations(scorer.graph, relations)
    ranked = rank_relations(scorer, chosen, wanted, progress=progress)
    return (fact for found in ranked for fact in _list_facts(scorer, found, wanted))


def _list_facts(scorer: Scorer, found: FoundFacts, options: BulkOptions) -> Iterator[NewFact]:
    calibrated = options.calibrate(scorer, found.scores)
    ids = (part.tolist() for part in (found.heads, found.relations, found.tails))
    answers = found.tail_answers.tolist(), found.head_answers.tolist()
    probabilities = [None] * len(found) if calibrated is None else calibrated.tolist()
    return map(NewFact, *ids, *answers, probabilities)


def resolve_relations(graph: MultimodalGraph, relations: Sequence[Name] | None) -> tuple[int, ...]:
    """Ids of relations given by label, name or id, each once, ascending; None gives all."""
    if isinstance(relations, str | int):
        raise ConfigError(f"relations = {relations!r}: expected a list of relations")
    if relations is None:
        return tuple(range(graph.num_relations))
    return tuple(sorted({graph.find_relation(relation) for relation in relations}))


def rank_relations(
    scorer: Scorer,
    relations: Sequence[int],
    options: BulkOptions,
    finished: Collection[int] = (),
    progress: Progress = no_progress,
) -> Iterator[FoundFacts]:
    """Rank the new facts of relations, by id, one after the other.

    In the progress, which is told of pairs of entities, ``finished`` relations count as done.
    """
    done = sum(count_pairs(scorer, relation, options) for relation in finished)
    total = done + sum(count_pairs(scorer, relation, options) for relation in relations)
    for relation in relations:
        before = done

        def show(what: str, pairs: int, _pairs_of_relation: int, before: int = before) -> None:
            progress(what, before + pairs, total)

        show(f"ranking pairs: {scorer.graph.relation_names[relation]}", 0, 0)
        yield rank_relation(scorer, relation, options, progress=show)
        done += count_pairs(scorer, relation, options)


def rank_relation(
    scorer: Scorer, relation: int, options: BulkOptions, progress: Progress = no_progress
) -> FoundFacts:
    """Rank the new facts of one relation, by id; arguments as for ``rank_relations``."""
    floor, least = 0.0, options.min_probability
    if least is not None and scorer.calibration is not None:
        floor = scorer.calibration.outputs[options.output].map.find_threshold(least)
    heads, tails = _choose_entities(scorer, relation, options)
    found = find_new_facts(
        scorer,
        relation,
        limit=options.per_relation,
        floor=floor * (1 - 1e-9),  # the exact comparison is the next one, of probabilities
        heads=heads,
        tails=tails,
        progress=progress,
    )
    calibrated = options.calibrate(scorer, found.scores)
    return found if least is None or calibrated is None else found[calibrated >= least]


def count_pairs(scorer: Scorer, relation: int, options: BulkOptions) -> int:
    """How many pairs of entities are looked at in a relation."""
    heads, tails = _choose_entities(scorer, relation, options)
    return len(heads) * len(tails)


def _choose_entities(scorer: Scorer, relation: int, options: BulkOptions) -> tuple[Ints, Ints]:
    """Heads and tails that are looked at."""
    heads = tails = np.arange(scorer.graph.num_entities)
    if options.plausible:
        train, reverse = scorer.graph.train_index, relation + scorer.graph.num_relations
        heads, tails = train.entities_of(reverse), train.entities_of(relation)
    if options.heads is not None:
        heads = np.intersect1d(heads, options.heads)
    if options.tails is not None:
        tails = np.intersect1d(tails, options.tails)
    return heads, tails
