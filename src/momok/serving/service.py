"""What requests need, in one place, and what the page and the API both do."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from itertools import islice
from typing import Any, Literal, TypeVar, cast

from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from momok.graph.names import flatten
from momok.prediction.missing.files import to_iri
from momok.prediction.questions import Side
from momok.serving import schemas
from momok.serving.describe import describe_explanation, predict_facts
from momok.serving.metrics import Metrics
from momok.serving.model_holder import ModelHolder, ServedModel
from momok.serving.reviews.records import Decision, Fact, Review, ReviewConflictError
from momok.serving.reviews.store import ReviewStore
from momok.serving.settings import ServeSettings
from momok.serving.suggestions import compute_probability

Asked = TypeVar("Asked")
Answer = TypeVar("Answer", bound=BaseModel)
ExportFormat = Literal["tsv", "ntriples"]
_LINES_AT_ONCE = 500


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
        self.store = ReviewStore(settings.reviews_url)
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

        return await self._compute_once(model, ("explain", fact, asked, limit), explain)

    async def predict_facts(
        self, model: ServedModel, entity: int, k: int
    ) -> schemas.EntityPredictionsAnswer:
        """The best new facts of an entity by relation."""
        key = "facts", entity, k
        return await self._compute_once(model, key, lambda: predict_facts(model, entity, k))

    async def _compute_once(
        self, model: ServedModel, key: tuple[Any, ...], compute: Callable[[], Answer]
    ) -> Answer:
        if key in model.answers:
            return cast("Answer", model.answers[key])
        answer = await self.holder.compute(compute)
        with suppress(ValueError):  # one answer is larger than all that is kept
            model.answers[key] = answer
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
            probability=await self.holder.compute(compute_probability, model.predictor, fact),
            request=asked.request,
        )
        return await self._write(asked.action, self.store.decide, decision)

    async def undo(self, reviewer: str) -> Review:
        """Take a reviewer's latest decision back.

        Raises:
            ReviewConflictError: there is none, or the fact has changed since.
        """
        return await self._write("undo", self.store.undo, reviewer)

    async def _write(self, action: str, write: Callable[[Asked], Review], asked: Asked) -> Review:
        try:
            review = await run_in_threadpool(write, asked)
        except ReviewConflictError:
            self.metrics.conflicts.inc()
            raise
        self.metrics.decisions.labels(action).inc()
        return review

    def export_accepted(self, form: ExportFormat) -> StreamingResponse:
        """The accepted facts as a file, sent while it is read."""
        media_type, ending, write = EXPORTS[form]
        name = re.sub(r"[^A-Za-z0-9._-]", "-", self.model.graph.name) or "graph"
        lines = write(review.fact for review in self.store.iterate_accepted())
        return StreamingResponse(
            iter(lambda: "".join(islice(lines, _LINES_AT_ONCE)), ""),
            media_type=f"{media_type}; charset=utf-8",
            headers={"content-disposition": f'attachment; filename="{name}-accepted.{ending}"'},
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


EXPORTS: dict[ExportFormat, tuple[str, str, Callable[[Iterable[Fact]], Iterator[str]]]] = {
    "tsv": ("text/tab-separated-values", "tsv", to_tsv),
    "ntriples": ("application/n-triples", "nt", to_ntriples),
}
"""Media type, ending and writer of each form."""
