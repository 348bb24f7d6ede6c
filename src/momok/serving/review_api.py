"""The JSON API of reviews, ``/api/v1/reviews``."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from momok.graph.text_files import decode_text
from momok.serving import review_schemas, schemas
from momok.serving.api import ERRORS, After, Limit, WithModel, WithService
from momok.serving.identity import get_viewer, get_visitor, needs
from momok.serving.proposals import Proposal, QueueFilter
from momok.serving.reviews.files import FORMATS, FileFormat, parse_reviews
from momok.serving.reviews.records import Reason, Review, ReviewFilter, State
from momok.serving.schemas import MAX_TEXT

_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {
        "model": schemas.ErrorAnswer,
        "description": "Decided already, or changed since it was shown",
    }
}
Decided = Literal["accepted", "rejected", "unsure", "disputed"]
_MOST_DIFFERING = 100  # in an answer
router = APIRouter(prefix="/api/v1", responses=ERRORS)


def _read_filter(
    *,
    model: WithModel,
    state: Annotated[list[Decided | Literal[""]], Query(max_length=5)] = [],  # noqa: B006  # FastAPI copies it
    relation: Annotated[str, Query(max_length=MAX_TEXT)] = "",
    reviewer: Annotated[str, Query(max_length=80)] = "",
    reason: Reason = "",
    since: Annotated[str, Query(max_length=40, description="A day or a time.")] = "",
    until: Annotated[str, Query(max_length=40, description="A time, or a day: its end.")] = "",
) -> ReviewFilter:
    """Which decisions are wanted; "" is any."""
    label = model.graph.relations.labels[model.names.find_relation(relation)] if relation else None
    return ReviewFilter(
        states=tuple(given for given in state if given),
        relation=label,
        reviewer=reviewer or None,
        reason=reason or None,
        since=since or None,
        until=until or None,
    )


WithFilter = Annotated[ReviewFilter, Depends(_read_filter)]


@router.get("/reviews", tags=["reviews"])
def list_reviews(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    state: State | None = None,
    relation: Annotated[str | None, Query(max_length=MAX_TEXT)] = None,
    after: After = 0,
    limit: Limit = 50,
) -> review_schemas.ReviewsAnswer:
    """The facts that somebody has touched; while opinions are missing, one's own alone."""
    if relation is not None:
        relation = model.graph.relations.labels[model.names.find_relation(relation)]
    page, following = service.store.list_reviews(
        state=state, relation=relation, viewer=get_viewer(request), after=after, limit=limit
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


@router.post("/reviews/batch", responses=_CONFLICT, tags=["reviews"])
async def decide_batch(
    request: Request, service: WithService, model: WithModel, asked: review_schemas.BatchRequest
) -> review_schemas.BatchReviews:
    """Accept, reject or mark many facts as unsure, all or none; one undo takes it back."""
    name = service.gate.choose_name(request, asked.reviewer or "")
    may_settle = get_visitor(request).may("settler")
    reviews = await service.decide_batch(model, asked, name, may_settle=may_settle)
    return review_schemas.BatchReviews(reviews=reviews)


@router.post("/reviews/next", tags=["reviews"])
def next_review(
    request: Request, service: WithService, model: WithModel, asked: review_schemas.NextRequest
) -> review_schemas.NextReview:
    """The first new fact that nobody has decided or holds; kept for the reviewer."""
    relation = model.names.find_relation(asked.relation) if asked.relation else None
    wanted = QueueFilter(relation=relation, least=asked.least, order=asked.order)
    name = service.gate.choose_name(request, asked.reviewer or "")
    if asked.waiting:
        picked: list[Proposal] | None = service.pick_waiting(model, wanted, name)
    else:
        picked = model.queue.pick(wanted)
    review = service.lease(picked or [], name)
    return review_schemas.NextReview(
        review=review,
        ranking=picked is None
        or (review is None and not asked.waiting and model.queue.is_ranking(wanted)),
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
    viewer = get_viewer(request)
    page, following = service.store.list_events(viewer=viewer, before=before, limit=limit)
    return review_schemas.HistoryAnswer(events=page, next=following)


@router.get(
    "/reviews/export",
    tags=["reviews"],
    response_class=StreamingResponse,
    responses={
        200: {"content": {f"{form.media_type}; charset=utf-8": {} for form in FORMATS.values()}}
    },
)
def export(
    request: Request, service: WithService, wanted: WithFilter, format: FileFormat = "tsv"
) -> StreamingResponse:
    """Where decided facts stand, as a file: TSV, CSV, JSON lines, or N-Triples."""
    about = f"decisions as {format}; {wanted}".removesuffix("; ")
    service.store.record(service.gate.describe(request), "export", about)
    return service.export_reviews(format, wanted)


@router.post(
    "/reviews/import",
    tags=["reviews"],
    dependencies=[needs("admin")],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                form.media_type: {"schema": {"type": "string"}} for form in FORMATS.values()
            },
        }
    },
)
async def import_reviews(
    request: Request,
    service: WithService,
    format: FileFormat = "tsv",
    reviewer: review_schemas.Reviewer = "import",
) -> review_schemas.ImportAnswer:
    """Write decisions from a file, all or none; what is decided already stays as it is."""
    text = decode_text((await request.body()).removeprefix(codecs.BOM_UTF8), Path("body"))
    reviews = parse_reviews(text, format, "body")
    report = await run_in_threadpool(
        service.store.import_reviews, reviews, reviewer, by=service.gate.describe(request)
    )
    return review_schemas.ImportAnswer(
        added=report.added,
        known=report.known,
        undecided=report.undecided,
        differing=report.differing[:_MOST_DIFFERING],
    )
