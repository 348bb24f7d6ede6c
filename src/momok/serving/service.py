"""What requests need, in one place, and what the page and the API both do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import Any, Literal, TypeVar

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from momok.errors import ConfigError
from momok.graph.names import flatten
from momok.prediction.missing.files import to_iri
from momok.prediction.questions import Side
from momok.serving import schemas
from momok.serving.batching import Question
from momok.serving.describe import describe_explanation, predict_facts
from momok.serving.metrics import Metrics
from momok.serving.model_holder import ModelHolder, ServedModel
from momok.serving.reviews.records import Decision, Fact, Review, ReviewConflictError
from momok.serving.reviews.store import ReviewStore
from momok.serving.settings import ServeSettings
from momok.serving.suggestions import compute_probability

Result = TypeVar("Result")
Answer = TypeVar("Answer", bound=BaseModel)
ExportFormat = Literal["tsv", "ntriples"]

MEDIA_TYPES: dict[ExportFormat, str] = {
    "tsv": "text/tab-separated-values; charset=utf-8",
    "ntriples": "application/n-triples; charset=utf-8",
}
_LINES_AT_ONCE = 500
_ENDINGS: dict[ExportFormat, str] = {"tsv": "tsv", "ntriples": "nt"}


class Service:
    """The parts of a running server.

    Attributes:
        settings: as started.
        holder: the model.
        store: the decisions.
        secret: signs sessions; the same after a restart, so that open pages stay usable.
        metrics: counts.

    Raises:
        MomokError: the run cannot be loaded, or the review database cannot be used.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.holder = ModelHolder(settings, self.metrics)
        self.store = ReviewStore(settings.reviews_url, lease_seconds=settings.lease_seconds)
        self.secret = self.store.load_secret()

    def close(self) -> None:
        """Stop the threads, then close the database."""
        self.holder.close()
        self.store.close()

    @property
    def model(self) -> ServedModel:
        """The model that is served now: taken once per request."""
        return self.holder.current

    # -- the model -------------------------------------------------------------------------

    async def explain(
        self,
        model: ServedModel,
        fact: tuple[int, int, int],
        *,
        asked: Side = "tail",
        limit: int = 5,
    ) -> schemas.ExplanationAnswer:
        """Why a fact has its probability."""

        def explain() -> schemas.ExplanationAnswer:
            explanation = model.predictor.explain(*fact, asked=asked, limit=limit)
            return describe_explanation(model, explanation)

        key = ("explain", fact, asked, limit)
        return await self._compute_once(model, key, schemas.ExplanationAnswer, explain)

    async def predict_facts(
        self, model: ServedModel, entity: int, k: int
    ) -> schemas.EntityPredictionsAnswer:
        """The best new facts of an entity by relation."""
        kind = schemas.EntityPredictionsAnswer
        return await self._compute_once(
            model, ("facts", entity, k), kind, lambda: predict_facts(model, entity, k)
        )

    async def _compute_once(
        self,
        model: ServedModel,
        key: tuple[Any, ...],
        kind: type[Answer],
        work: Callable[[], Answer],
    ) -> Answer:
        kept = model.answers.get(key)
        if kept is not None:
            return kind.model_validate_json(kept)
        answer = await self.holder.compute(work)
        content = answer.model_dump_json().encode()
        if len(content) <= model.answers.maxsize:
            model.answers[key] = content
        return answer

    # -- reviews ---------------------------------------------------------------------------

    async def decide(self, model: ServedModel, asked: schemas.ReviewRequest) -> Review:
        """Write a decision down; answered only when it is on the disk.

        Raises:
            DataError: a name is unknown or ambiguous.
            ReviewConflictError: somebody was faster.
            StorageError: the database refused.
        """
        head, relation, tail = fact = model.names.find_fact(asked.head, asked.relation, asked.tail)
        entities, relations = model.graph.entities.labels, model.graph.relations.labels
        decision = Decision(
            fact=(entities[head], relations[relation], entities[tail]),
            action=asked.action,
            reviewer=asked.reviewer,
            note=asked.note.strip(),
            version=asked.version,
            probability=await self.holder.compute(
                lambda: compute_probability(model.predictor, fact)
            ),
            request=asked.request,
        )
        return await self._write(asked.action, lambda: self.store.decide(decision))

    async def undo(self, reviewer: str) -> Review:
        """Take a reviewer's latest decision back.

        Raises:
            ReviewConflictError: there is none, or the fact has changed since.
        """
        return await self._write("undo", lambda: self.store.undo(reviewer))

    async def _write(self, action: str, work: Callable[[], Result]) -> Result:
        try:
            result = await run_in_threadpool(work)
        except ReviewConflictError:
            self.metrics.conflicts.inc()
            raise
        self.metrics.decisions.labels(action).inc()
        return result

    def export_accepted(self, form: ExportFormat) -> StreamingResponse:
        """The accepted facts as a file, sent while it is read."""
        write = to_tsv if form == "tsv" else to_ntriples
        name = re.sub(r"[^A-Za-z0-9._-]", "-", self.model.graph.name) or "graph"
        disposition = f'attachment; filename="{name}-accepted.{_ENDINGS[form]}"'
        lines = write(review.fact for review in self.store.iterate_accepted())
        return StreamingResponse(
            iter(lambda: "".join(islice(lines, _LINES_AT_ONCE)), ""),
            media_type=MEDIA_TYPES[form],
            headers={"content-disposition": disposition},
        )


def resolve_question(model: ServedModel, asked: schemas.Question) -> Question:
    """Ids of a question.

    Raises:
        DataError: a name is unknown or ambiguous.
        ConfigError: not exactly one of head and tail.
    """
    if (asked.head is None) == (asked.tail is None):
        raise ConfigError("give exactly one of head and tail; the other is predicted")
    find = model.names.find_entity
    return (
        None if asked.head is None else find(asked.head),
        model.names.find_relation(asked.relation),
        None if asked.tail is None else find(asked.tail),
    )


def to_tsv(facts: Iterable[Fact]) -> Iterator[str]:
    """Lines of head, relation and tail label, without a header: as the splits of a graph."""
    for fact in facts:
        yield "\t".join(map(flatten, fact)) + "\n"


def to_ntriples(facts: Iterable[Fact]) -> Iterator[str]:
    """N-Triples; a label that is no IRI becomes ``urn:momok:entity/...``, percent-encoded."""
    for head, relation, tail in facts:
        parts = to_iri(head, "entity"), to_iri(relation, "relation"), to_iri(tail, "entity")
        yield " ".join(parts) + " .\n"
