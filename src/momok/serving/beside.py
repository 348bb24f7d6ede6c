"""A second model beside the one that is served: the same question, or the same queue, to both.

Everything goes between the two by label: a retrained model may have its entities in another order.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import NamedTuple, TypeVar

from momok.errors import ConfigError
from momok.graph import MultimodalGraph, SplitName
from momok.prediction import Predictor
from momok.prediction.predictor import Known
from momok.prediction.questions import Triple
from momok.serving.model_holder import ServedModel
from momok.serving.proposals import Mirrors, Proposal, ReviewQueue
from momok.serving.reviews.records import Fact
from momok.serving.schemas import MAX_ANSWERS
from momok.serving.settings import ServeSettings

Key = TypeVar("Key")


class Entry(NamedTuple):
    """What one model says of an answer: its rank, its probability (else its score)."""

    rank: int
    chance: float
    known: SplitName | None = None


class Pair(NamedTuple):
    """What both models say of an answer; None where it is not among their first thousand."""

    served: Entry | None
    beside: Entry | None

    @property
    def known(self) -> SplitName | None:
        """The split of either graph that has it."""
        return next((entry.known for entry in self if entry is not None and entry.known), None)

    @property
    def moved(self) -> int | None:
        """By how many ranks the second model has it higher."""
        if self.served is None or self.beside is None:
            return None
        return self.served.rank - self.beside.rank


class Beside:
    """The second model, loaded at the start and kept to the end.

    Attributes:
        names: what the two models are called: their run folders.
        predictor, queue: as of the served model.

    Raises:
        ConfigError: its graph has other entities or relations.
        MomokError: the run cannot be loaded.
    """

    def __init__(self, settings: ServeSettings, served: MultimodalGraph) -> None:
        assert settings.beside is not None
        self.predictor = Predictor(settings.beside)
        graph = self.predictor.graph
        _check_graph(settings, graph, served)
        short = settings.run.resolve().name, settings.beside.resolve().name
        self.names = short if short[0] != short[1] else (str(settings.run), str(settings.beside))
        self.queue = ReviewQueue(self.predictor, Mirrors(graph.fact_index))

    def close(self) -> None:
        """Stop; what has begun is finished."""
        self.queue.close()


def _check_graph(settings: ServeSettings, graph: MultimodalGraph, served: MultimodalGraph) -> None:
    for what, here, there in (
        ("entities", graph.entities.labels, served.entities.labels),
        ("relations", graph.relations.labels, served.relations.labels),
    ):
        if set(here) != set(there):
            raise ConfigError(
                f"{settings.beside}: its graph {graph.name!r} has other {what} than that of "
                f"{settings.run} ({len(here):,} and {len(there):,}); models stand side by side "
                "where both know the same entities and relations"
            )


def compare_answers(
    model: ServedModel, beside: Beside, question: Triple, k: int, known: Known
) -> dict[str, Pair]:
    """The first k answers of either model by label, the best ranks first.

    A question without a relation, (head, None, tail), asks for relations.
    """
    head, relation, tail = question
    listed = []
    for predictor in (model.predictor, beside.predictor):
        if relation is None:
            assert head is not None
            assert tail is not None
            relations = predictor.predict_relations(head, tail, MAX_ANSWERS, known=known)
            listed.append({a.label: Entry(a.rank, a.score, a.known) for a in relations})
        else:
            answers = predictor.predict_many([question], MAX_ANSWERS, known=known)[0]
            listed.append(
                {
                    a.label: Entry(
                        a.rank, a.score if a.probability is None else a.probability, a.known
                    )
                    for a in answers
                }
            )
    return _pair(listed, k)


def compare_queues(
    model: ServedModel,
    served: Iterable[Proposal],
    beside: Iterable[Proposal],
    k: int,
    decided: Collection[Fact],
) -> dict[Fact, Pair]:
    """The first k undecided proposals of either model for a relation, the best ranks first.

    Of a symmetric relation a fact and its reverse are one.
    """
    listed: list[dict[Fact, Entry]] = []
    for proposals in (served, beside):
        entries: dict[Fact, Entry] = {}
        for proposal in proposals:
            fact = proposal.fact
            head, relation, tail = fact
            symmetric = model.mirrors.is_symmetric(model.graph.relations.index(relation))
            turned = tail, relation, head
            if fact in decided or (symmetric and turned in decided):
                continue
            if symmetric and listed and turned in listed[0]:
                fact = turned
            entries[fact] = Entry(len(entries) + 1, proposal.probability)
        listed.append(entries)
    return _pair(listed, k)


def _pair(listed: Sequence[Mapping[Key, Entry]], k: int) -> dict[Key, Pair]:
    """The entries of the served and of the second model with a rank up to k in either."""
    served, beside = listed
    pairs = {key: Pair(served.get(key), beside.get(key)) for key in (*served, *beside)}

    def find_place(key: Key) -> tuple[int, int]:
        ranks = [MAX_ANSWERS + 1 if entry is None else entry.rank for entry in pairs[key]]
        return min(ranks), ranks[0]

    return {key: pairs[key] for key in sorted(pairs, key=find_place) if find_place(key)[0] <= k}
