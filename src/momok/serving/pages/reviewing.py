"""The review queue: one fact after the other, accepted, rejected or skipped."""

from __future__ import annotations

import asyncio
import secrets
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from momok.serving.api import After, WithModel, WithService
from momok.serving.describe import describe_details, list_relations
from momok.serving.entity_search import make_reference
from momok.serving.model_holder import ServedModel
from momok.serving.pages.rendering import (
    check_form,
    read_form,
    redirect,
    render,
    reviewer_name,
    write_reviewer,
)
from momok.serving.reviews.records import Event, Review, ReviewConflictError
from momok.serving.schemas import MAX_TEXT, ReviewerRequest, ReviewRequest
from momok.serving.service import Service

router = APIRouter()
_OUTCOMES = ("accept", "reject", "skip", "undo", "conflict", "nothing")
_PATIENCE = 2.0  # seconds to wait for a ranking before saying that it is being made


@router.get("/review")
async def review(
    request: Request,
    service: WithService,
    model: WithModel,
    relation: Annotated[str, Query(max_length=MAX_TEXT)] = "",
    did: str = "",
) -> Response:
    """The next fact of a relation, with what speaks for it; without one, the relations."""
    relations = list_relations(model, await run_in_threadpool(service.store.count))
    by_facts = sorted(relations, key=lambda entry: -entry.facts)
    if not relation:
        return render(request, "review_start.html", relations=by_facts)
    chosen = model.names.find_relation(relation)
    values: dict[str, Any] = {
        "relation": relations[chosen],
        "relations": by_facts,
        "did": did if did in _OUTCOMES else "",
    }
    ranking = asyncio.wrap_future(model.queue.rank(chosen))
    try:
        ranked = await asyncio.wait_for(asyncio.shield(ranking), _PATIENCE)
    except TimeoutError:
        return render(request, "review_wait.html", **values)
    offered = await run_in_threadpool(service.store.lease, ranked, reviewer_name(request))
    decided = relations[chosen].accepted + relations[chosen].rejected
    values["left"] = max(len(ranked) - decided, 0)
    card = None if offered is None else await _describe_card(service, model, offered)
    return render(request, "review.html", card=card, **values)


@router.post("/review/decide")
async def decide(request: Request, service: WithService, model: WithModel) -> Response:
    """Write a decision down, then show the next fact."""
    fields = await read_form(request)
    asked = check_form(ReviewRequest, fields | {"reviewer": reviewer_name(request)})
    did: str = asked.action
    try:
        await service.decide(model, asked)
    except ReviewConflictError:
        did = "conflict"
    if fields.get("back") == "why":
        return redirect("/why", head=asked.head, relation=asked.relation, tail=asked.tail)
    return redirect("/review", relation=asked.relation, did=did)


@router.post("/review/undo")
async def undo(request: Request, service: WithService) -> Response:
    """Take the latest decision of this browser's reviewer back, and show that fact again."""
    fields = await read_form(request)
    try:
        review = await service.undo(reviewer_name(request))
    except ReviewConflictError as conflict:
        did = "conflict" if conflict.review is not None else "nothing"
        return redirect("/review", relation=fields.get("relation", ""), did=did)
    return redirect("/review", relation=make_reference(review.relation), did="undo")


@router.post("/review/name")
async def name(request: Request, service: WithService) -> Response:
    """Under which name this browser's decisions are written."""
    fields = await read_form(request)
    given = " ".join(fields.get("name", "").split())
    reviewer = check_form(ReviewerRequest, {"reviewer": given}).reviewer
    before = reviewer_name(request)
    if before != reviewer:  # what was shown under the old name is free for others
        await run_in_threadpool(service.store.release, before)
    relation = fields.get("relation", "")
    response = redirect("/review", **({"relation": relation} if relation else {}))
    write_reviewer(response, reviewer)
    return response


@router.get("/history")
def history(
    request: Request, service: WithService, model: WithModel, before: After | None = None
) -> Response:
    """All decisions, latest first, and the accepted facts as files."""
    page, following = service.store.list_events(before=before, limit=50)
    decided = service.store.count().values()
    return render(
        request,
        "history.html",
        events=[(event, _name_fact(model, event)) for event in page],
        next=following,
        accepted=sum(states.get("accepted", 0) for states in decided),
        rejected=sum(states.get("rejected", 0) for states in decided),
    )


async def _describe_card(service: Service, model: ServedModel, offered: Review) -> dict[str, Any]:
    head, _, tail = fact = model.names.find_fact(*offered.fact)
    return {
        "review": offered,
        "head": describe_details(model, head),
        "tail": describe_details(model, tail),
        "why": await service.explain(model, fact),
        "request": secrets.token_hex(16),
    }


def _name_fact(model: ServedModel, event: Event) -> tuple[str, str, str]:
    """Names to show; labels where the graph does not have them any more."""
    graph = model.graph
    head, tail = (
        graph.title(graph.entities.index(label)) if label in graph.entities else label
        for label in (event.head, event.tail)
    )
    relation = event.relation
    if relation in graph.relations:
        relation = graph.relation_names[graph.relations.index(relation)]
    return head, relation, tail
