"""What requests need, in one place, and what the page and the API both do."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any, TypeVar

from momok.errors import ConfigError
from momok.prediction import Predictions
from momok.serving.access import Gatekeeper
from momok.serving.answers import encode_json
from momok.serving.batching import Question
from momok.serving.describe import describe_explanation, find_predicted
from momok.serving.metrics import Metrics
from momok.serving.model_holder import ModelHolder, ServedModel
from momok.serving.review_queue import NewFact, judge_fact
from momok.serving.reviews import Action, Decision, Fact, Review, ReviewConflictError, ReviewStore
from momok.serving.settings import ServeSettings

__all__ = ["Service"]

Result = TypeVar("Result")


@dataclass(frozen=True, kw_only=True)
class Service:
    """The parts of a running server.

    Attributes:
        settings: as started.
        holder: the model.
        store: the decisions.
        gate: who may ask.
        metrics: counts.
    """

    settings: ServeSettings
    holder: ModelHolder
    store: ReviewStore
    gate: Gatekeeper
    metrics: Metrics

    @staticmethod
    def open(settings: ServeSettings) -> Service:
        """Load the run and open the database.

        Raises:
            MomokError: one of them cannot be used.
        """
        metrics = Metrics()
        holder = ModelHolder(
            settings.run,
            threads=settings.arithmetic_threads,
            limits=settings.limits,
            metrics=metrics,
        )
        try:
            store = ReviewStore(settings.reviews_url, lease_seconds=settings.lease_seconds)
            secret = store.load_secret()
        except BaseException:
            holder.close()
            raise
        gate = Gatekeeper(
            token=settings.token,
            secret=secret,
            host=settings.host,
            allowed_hosts=settings.allowed_hosts,
        )
        return Service(settings=settings, holder=holder, store=store, gate=gate, metrics=metrics)

    def close(self) -> None:
        """Stop the threads, then close the database."""
        self.holder.close()
        self.store.close()

    @property
    def model(self) -> ServedModel:
        """The model that is served now: taken once per request."""
        return self.holder.current

    # -- the model -------------------------------------------------------------------------

    def resolve_question(
        self, model: ServedModel, head: str | None, relation: str, tail: str | None
    ) -> Question:
        """Ids of a question.

        Raises:
            DataError: unknown or ambiguous.
            ConfigError: not exactly one of head and tail.
        """
        if (head is None) == (tail is None):
            raise ConfigError("give exactly one of head and tail; the other is predicted")
        find = model.directory.find_entity
        return (
            None if head is None else find(head),
            model.directory.find_relation(relation),
            None if tail is None else find(tail),
        )

    async def predict(
        self, model: ServedModel, question: Question, k: int, *, hide: bool, plausible: bool
    ) -> Predictions:
        """Answer a question, together with others that wait."""
        return await self.holder.batcher.ask(
            question, k, hide=hide, plausible=plausible, predictor=model.predictor
        )

    async def explain(
        self,
        model: ServedModel,
        fact: tuple[int, int, int],
        *,
        asked: str = "tail",
        limit: int = 5,
    ) -> bytes:
        """Why a fact has its probability, as JSON."""

        def work() -> bytes:
            explanation = model.predictor.explain(*fact, asked=asked, limit=limit)  # type: ignore[arg-type]
            return encode_json(describe_explanation(model, explanation))

        return await self._remember(model, ("explain", fact, asked, limit), work)

    async def predicted_facts(self, model: ServedModel, entity: int, k: int) -> bytes:
        """The best new facts of an entity by relation, as JSON."""

        def work() -> bytes:
            return encode_json({"groups": find_predicted(model, entity, k), "model": model.version})

        return await self._remember(model, ("predicted", entity, k), work)

    async def _remember(
        self, model: ServedModel, key: tuple[Any, ...], work: Callable[[], bytes]
    ) -> bytes:
        kept = model.cache.get(key)
        if kept is None:
            kept = await self.holder.compute(work)
            model.cache.put(key, kept)
        return kept

    # -- reviews ---------------------------------------------------------------------------

    def rank_queue(self, model: ServedModel, relation: int) -> Future[list[NewFact]]:
        """The best new facts of a relation, now or later."""
        return model.queue.rank(relation, self.holder.queue_thread)

    async def next_review(
        self, model: ServedModel, ranked: list[NewFact], reviewer: str
    ) -> Review | None:
        """Give a reviewer the best fact that is free, and keep it for them."""
        graph = model.predictor.graph
        entities, relations = graph.entities.labels, graph.relations.labels
        candidates: list[tuple[Fact, float | None]] = [
            ((entities[f.head], relations[f.relation], entities[f.tail]), f.probability)
            for f in ranked
        ]
        return await self.holder.run(lambda: self.store.lease(candidates, reviewer))

    async def decide(
        self,
        model: ServedModel,
        fact: tuple[int, int, int],
        *,
        action: Action,
        reviewer: str,
        note: str = "",
        version: int | None = None,
        request: str = "",
    ) -> Review:
        """Write a decision down; answered only when it is on the disk.

        Raises:
            ReviewConflictError: somebody was faster.
            StorageError: the database refused.
        """
        probability = await self.holder.compute(lambda: judge_fact(model.predictor, fact))
        graph = model.predictor.graph
        head, relation, tail = fact
        decision = Decision(
            fact=(
                graph.entities.labels[head],
                graph.relations.labels[relation],
                graph.entities.labels[tail],
            ),
            action=action,
            reviewer=reviewer,
            note=note,
            version=version,
            probability=probability,
            request=request,
        )
        review = await self._count(lambda: self.store.decide(decision))
        self.metrics.decisions.labels(action).inc()
        return review

    async def undo(self, reviewer: str) -> Review:
        """Take a reviewer's latest decision back.

        Raises:
            ReviewConflictError: there is none, or the fact has changed since.
        """
        review = await self._count(lambda: self.store.undo(reviewer))
        self.metrics.decisions.labels("undo").inc()
        return review

    async def _count(self, work: Callable[[], Result]) -> Result:
        try:
            return await self.holder.run(work)
        except ReviewConflictError:
            self.metrics.conflicts.inc()
            raise
