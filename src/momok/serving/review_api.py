"""The JSON API of reviews, ``/api/v1/reviews``."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import StreamingResponse

from momok.serving import review_schemas, schemas
from momok.serving.api import ERRORS, After, Limit, WithModel, WithService
from momok.serving.identity import get_visitor
from momok.serving.proposals import QueueFilter
from momok.serving.reviews.records import Review, State
from momok.serving.schemas import MAX_TEXT
from momok.serving.service import EXPORTS, ExportFormat

_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "model": schemas.ErrorAnswer,
        "description": "Decided already, or changed since it was shown",
    }
}
router = APIRouter(prefix="/api/v1", responses=ERRORS)


@router.get("/reviews", tags=["reviews"])
def list_reviews(
    *,
    service: WithService,
    model: WithModel,
    state: State | None = None,
    relation: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
    after: After = 0,
    limit: Limit = 50,
) -> review_schemas.ReviewsAnswer:
    """The facts that somebody has touched, in the order they first were."""
    if relation is not None:
        relation = model.graph.relations.labels[model.names.find_relation(relation)]
    page, following = service.store.list_reviews(
        state=state, relation=relation, after=after, limit=limit
    )
    return review_schemas.ReviewsAnswer(reviews=page, next=following)


@router.post("/reviews", responses=_CONFLICT, tags=["reviews"])
async def decide(
    request: Request, service: WithService, model: WithModel, asked: review_schemas.ReviewRequest
) -> Review:
    """Accept, reject or skip a fact; when answered, the decision is on the disk.

    A fact that needs several opinions stays open until it has them; a disputed one is settled by
    who may, with its version.
    """
    name = service.gate.choose_name(request, asked.reviewer or "")
    may_settle = get_visitor(request).may("settler")
    return await service.decide(model, asked, name, may_settle=may_settle)


@router.post("/reviews/next", tags=["reviews"])
def next_review(
    request: Request, service: WithService, model: WithModel, asked: review_schemas.NextRequest
) -> review_schemas.NextReview:
    """The first new fact that nobody has decided or holds; kept for the reviewer."""
    relation = model.names.find_relation(asked.relation) if asked.relation else None
    wanted = QueueFilter(relation=relation, least=asked.least, order=asked.order)
    picked = model.queue.pick(wanted)
    name = service.gate.choose_name(request, asked.reviewer or "")
    review = service.lease(picked or [], name)
    return review_schemas.NextReview(
        review=review, ranking=picked is None or (review is None and model.queue.is_ranking(wanted))
    )


@router.post("/reviews/undo", responses=_CONFLICT, tags=["reviews"])
async def undo(
    request: Request, service: WithService, asked: review_schemas.ReviewerRequest
) -> Review:
    """Take back the reviewer's latest decision; the fact is open again."""
    return await service.undo(service.gate.choose_name(request, asked.reviewer or ""))


@router.get("/reviews/history", tags=["reviews"])
def history(
    request: Request, service: WithService, before: After | None = None, limit: Limit = 50
) -> review_schemas.HistoryAnswer:
    """All that was ever decided, latest first; while opinions are missing, one's own alone."""
    viewer = get_visitor(request).name
    page, following = service.store.list_events(viewer=viewer, before=before, limit=limit)
    return review_schemas.HistoryAnswer(events=page, next=following)


@router.get(
    "/reviews/export",
    tags=["reviews"],
    response_class=StreamingResponse,
    responses={
        200: {"content": {f"{export[0]}; charset=utf-8": {} for export in EXPORTS.values()}}
    },
)
def export(service: WithService, format: ExportFormat = "tsv") -> StreamingResponse:
    """The accepted facts: head, relation and tail labels by tabs, or N-Triples."""
    return service.export_accepted(format)
