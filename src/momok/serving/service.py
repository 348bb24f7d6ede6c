"""What requests need, in one place, and what the page and the API both do."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from itertools import islice
from typing import Any, TypeVar, cast

import numpy as np
import torch
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from momok.errors import ConfigError
from momok.graph.candidates import Side
from momok.graph.fact_index import UNKNOWN
from momok.serving import schemas
from momok.serving.beside import Beside
from momok.serving.contradictions import Ids
from momok.serving.describe import describe_explanation, predict_facts
from momok.serving.identity import Gate
from momok.serving.metrics import Metrics
from momok.serving.model_holder import ModelHolder, ServedModel
from momok.serving.proposals import (
    Proposal,
    QueueFilter,
    choose,
    compute_probabilities,
    compute_probability,
    label_fact,
)
from momok.serving.retraining import Retraining
from momok.serving.review_schemas import BatchRequest, ReviewRequest
from momok.serving.reviews.files import FORMATS, FileFormat, encode_reviews
from momok.serving.reviews.records import (
    Action,
    Decision,
    Review,
    ReviewConflictError,
    ReviewFilter,
    name_fact,
)
from momok.serving.reviews.store import ReviewStore
from momok.serving.settings import ServeSettings

Asked = TypeVar("Asked")
Written = TypeVar("Written")
Answer = TypeVar("Answer", bound=BaseModel)
_PIECES_AT_ONCE = 500
_AS_ASKED = {"action", "source", "ordering", "version", "request"}


class Service:
    """The parts of a running server.

    Attributes:
        settings: as started.
        holder: the model.
        beside: the second model, if there is one.
        store: the decisions.
        retraining: the training on them.
        secret: signs sessions; the same after a restart, so that open pages stay usable.
        gate: tells who asks.
        metrics: counts.

    Raises:
        MomokError: the run cannot be loaded, or the review database cannot be used.
    """

    def __init__(self, settings: ServeSettings) -> None:
        self.settings, self.metrics = settings, Metrics()
        self.holder = ModelHolder(settings, self.metrics)
        self.beside = Beside(settings, self.model.graph) if settings.beside else None
        self.store = ReviewStore(settings.reviews_url)
        self.retraining = Retraining(settings.run, torch.get_num_threads())
        self.secret = self.store.load_secret()
        self.gate = Gate(self.store, settings.token)

    def close(self) -> None:
        """Stop the threads, then close the database."""
        self.retraining.close()
        self.holder.close()
        if self.beside is not None:
            self.beside.close()
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
            labels = label_fact(model.graph, fact)  # a number could be a label, too
            explanation = model.predictor.explain(*labels, asked=asked, limit=limit)
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

    def lease(
        self, proposals: Sequence[Proposal], reviewer: str, but: Collection[str] = ()
    ) -> Review | None:
        """The first proposal that is free for a reviewer; ``but`` are keys of facts."""
        return self.store.lease([(p.fact, p.probability) for p in proposals], reviewer, but)

    def pick_waiting(
        self, model: ServedModel, wanted: QueueFilter, reviewer: str
    ) -> list[Proposal]:
        """Facts that others have given their opinion on, which wait for this reviewer's."""
        graph, found, asked = model.graph, list[Proposal](), list[Proposal]()
        for (head, relation, tail), probability in self.store.list_waiting(reviewer):
            if head in graph.entities and tail in graph.entities and relation in graph.relations:
                ids = (
                    graph.entities.index(head),
                    graph.relations.index(relation),
                    graph.entities.index(tail),
                )
                if wanted.relation in (None, ids[1]):
                    known = asked if probability is None else found  # None: decided along
                    known.append(Proposal((head, relation, tail), probability or 0.0, ids))
        new = compute_probabilities(model.predictor, [proposal.ids for proposal in asked])
        found += [p._replace(probability=value) for p, value in zip(asked, new, strict=True)]
        return choose(model.predictor, found, wanted)

    async def decide(
        self, model: ServedModel, asked: ReviewRequest, reviewer: str, *, may_settle: bool
    ) -> Review:
        """Write a decision down; answered only when it is on the disk.

        What says the same turned round is decided with it; so is the fact with the right tail.
        On a disputed fact it is the last word of who may settle.

        Raises:
            DataError: a name is unknown or ambiguous.
            ConfigError: a right tail of a fact that is not rejected, or that fact's own.
            ReviewConflictError: somebody was faster.
            StorageError: the database refused.
        """
        decision = await self.holder.compute(self._complete, model, asked)
        decision = replace(decision, reviewer=reviewer, may_settle=may_settle)
        return await self._write(asked.action, self.store.decide, decision)

    async def decide_batch(
        self, model: ServedModel, asked: BatchRequest, reviewer: str, *, may_settle: bool
    ) -> list[Review]:
        """Write a decision on many facts down, on all or on none; one undo takes it back.

        Raises:
            MomokError: as ``decide``.
        """
        complete = partial(self._complete, model)
        decisions = await self.holder.compute(lambda: [complete(one) for one in asked.split()])
        own = [replace(d, reviewer=reviewer, may_settle=may_settle) for d in decisions]
        return await self._write(asked.action, self.store.decide_batch, own, count=len(own))

    def _complete(self, model: ServedModel, asked: ReviewRequest) -> Decision:
        """A decision by labels, with what goes along, of nobody yet."""
        head, relation, tail = fact = model.names.find_fact(asked.head, asked.relation, asked.tail)
        along: list[tuple[Ids, Action]] = [(m, asked.action) for m in model.mirrors.find(fact)]
        reason, right_tail = asked.reason if asked.action == "reject" else "", ""
        if asked.right_tail:
            right = model.names.find_entity(asked.right_tail)
            if right == tail or asked.action != "reject":
                raise ConfigError("a right tail belongs to a rejected fact, and is another entity")
            reason, right_tail = "wrong_tail", model.graph.entities.labels[right]
            corrected = head, relation, right
            row = model.graph.fact_index.find_rows(*np.array([corrected]).T)[0]
            if row == UNKNOWN:
                facts = [corrected, *model.mirrors.find(corrected)]
                along += [(each, "accept") for each in facts]
        if asked.action == "skip":
            along = []
        return Decision(
            fact=label_fact(model.graph, fact),
            reviewer="",
            reason=reason,
            right_tail=right_tail,
            note=asked.note.strip(),
            probability=compute_probability(model.predictor, fact),
            along=tuple((label_fact(model.graph, other), action) for other, action in along),
            **asked.model_dump(include=_AS_ASKED),
        )

    async def undo(self, reviewer: str) -> Review:
        """Take a reviewer's latest decision back.

        Raises:
            ReviewConflictError: there is none, or the fact has changed since.
        """
        return await self._write("undo", self.store.undo, reviewer)

    async def _write(
        self, action: str, write: Callable[[Asked], Written], asked: Asked, *, count: int = 1
    ) -> Written:
        try:
            written = await run_in_threadpool(write, asked)
        except ReviewConflictError:
            self.metrics.conflicts.inc()
            raise
        self.metrics.decisions.labels(action).inc(count)
        return written

    def export_reviews(self, form: FileFormat, wanted: ReviewFilter) -> StreamingResponse:
        """Decided facts as a file, sent while it is read."""
        written, graph = FORMATS[form], self.model.graph
        name = re.sub(r"[^A-Za-z0-9._-]", "-", graph.name) or "graph"
        reviews = self.store.iterate_reviews(wanted)
        pieces = encode_reviews(reviews, form, partial(name_fact, graph))
        return StreamingResponse(
            iter(lambda: "".join(islice(pieces, _PIECES_AT_ONCE)), ""),
            media_type=f"{written.media_type}; charset=utf-8",
            headers={
                "content-disposition": f'attachment; filename="{name}-reviews.{written.ending}"'
            },
        )
