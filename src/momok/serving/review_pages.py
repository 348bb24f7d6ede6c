"""The pages of reviews: the queue, one card after the other, and the history."""

from __future__ import annotations

import secrets
from typing import Annotated, Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from momok.serving.api import After, WithModel, WithService
from momok.serving.describe import (
    describe_contradictions,
    describe_details,
    describe_relation,
    list_relations,
)
from momok.serving.entity_search import make_reference
from momok.serving.identity import get_visitor
from momok.serving.model_holder import ServedModel
from momok.serving.proposals import WORTH, QueueFilter
from momok.serving.queue_pages import Queue, WithQueue, count_left, describe_queue, pick, read_queue
from momok.serving.rendering import check_form, read_form, redirect, render, reviewer_name
from momok.serving.review_overview import summarise
from momok.serving.review_schemas import ReviewerRequest, ReviewRequest
from momok.serving.reviews.records import (
    REASONS,
    Review,
    ReviewConflictError,
    hash_fact,
    name_fact,
)
from momok.serving.service import Service

router = APIRouter(include_in_schema=False)
_OUTCOMES = ("accept", "reject", "unsure", "skip", "undo", "conflict", "nothing")
_AHEAD = 64  # cards that a page has before it


Keys = Annotated[list[str], Query(max_length=_AHEAD)]


@router.get("/review")
async def review(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    queue: WithQueue,
    did: str = "",
    waits: bool = False,
    but: Keys = [],  # noqa: B006  # FastAPI copies it
) -> Response:
    """The next fact of a queue, with what speaks for it; without a relation, where to begin.

    ``but`` are keys of facts that the page has already: it loads the next one ahead.
    """
    if not queue.relation:
        mine = reviewer_name(request)
        overview = await run_in_threadpool(summarise, service.store, model, mine)
        waiting = len(await run_in_threadpool(service.store.list_waiting, mine))
        return render(request, "review_start.html", overview=overview, worth=WORTH, waiting=waiting)
    wanted = queue.resolve(model)
    values = await run_in_threadpool(describe_queue, service, model, queue)
    values |= {"did": did if did in _OUTCOMES else "", "about_fact": "", "reasons": REASONS}
    values["waits"] = waits
    name = reviewer_name(request)
    picked = await pick(service, model, queue, wanted, name)
    if picked is None:
        return render(request, "review_wait.html", **values)
    offered = await run_in_threadpool(service.lease, picked, name, but)
    values["left"] = await run_in_threadpool(count_left, service, model, wanted, picked, name)
    values["ranking"] = not queue.waiting and model.queue.is_ranking(wanted)
    card = None
    if offered is not None:
        card = await _make_card(service, model, wanted, offered)
    return render(request, "review.html", card=card, **values)


async def _make_card(
    service: Service, model: ServedModel, wanted: QueueFilter, offered: Review
) -> dict[str, Any]:
    """All that is shown of a fact."""
    head, relation, tail = fact = model.names.find_fact(*offered.fact)
    return {
        "key": hash_fact(offered.fact),
        "review": offered,
        "relation": describe_relation(model, relation),
        "probability": offered.probability,
        "ordering": wanted.order if wanted.is_sample or wanted.order != "random" else "",
        "against": describe_contradictions(model, fact),
        "mirrors": [_name_ids(model, mirror) for mirror in model.mirrors.find(fact)],
        "head": describe_details(model, head),
        "tail": describe_details(model, tail),
        "why": await service.explain(model, fact),
        "request": secrets.token_hex(16),
    }


@router.post("/review/decide")
async def decide(request: Request, service: WithService, model: WithModel) -> Response:
    """Write a decision down, then show the next fact.

    A script that has it already asks by ``live`` for what to say of it alone.
    """
    fields = await read_form(request)
    fields |= dict(parse_qsl(fields.pop("fact", "")))  # of a button that decides by itself
    fields["action"], _, reason = fields.get("action", "").partition(":")
    if fields["action"] == "wrong_tail":
        fields["action"] = "reject"
    else:
        fields.pop("right_tail", "")
    asked = check_form(ReviewRequest, fields | {"reason": reason})
    name = service.gate.choose_name(request, reviewer_name(request))
    queue = read_queue(fields, asked.relation)
    did, waits = str(asked.action), False
    try:
        may_settle = get_visitor(request).may("settler")
        written = await service.decide(model, asked, name, may_settle=may_settle)
        waits = written.state == "open"
    except ReviewConflictError:
        did = "conflict"
    back, _, side = fields.get("back", "").partition(":")
    if back == "why":
        return redirect(request, "/why", head=asked.head, relation=asked.relation, tail=asked.tail)
    if back == "settle":
        return redirect(request, "/settle", after=side, did=did)
    if back == "entity":
        label = asked.head if side == "head" else asked.tail
        return redirect(request, "/entity", label=label)
    if "live" in fields:
        return await _say(request, service, model, queue, asked, did=did, waits=waits)
    said = {"did": did} | ({"waits": "1"} if waits else {})
    return redirect(request, "/review", **dict(parse_qsl(queue.query)), **said)


async def _say(
    request: Request,
    service: Service,
    model: ServedModel,
    queue: Queue,
    asked: ReviewRequest,
    *,
    did: str,
    waits: bool,
) -> Response:
    """What became of a decision, and how far the queue is."""
    wanted = queue.resolve(model)
    name = reviewer_name(request)
    picked = await pick(service, model, queue, wanted, name) or []
    relations = list_relations(model, await run_in_threadpool(service.store.count))
    left = await run_in_threadpool(count_left, service, model, wanted, picked, name)
    ids = model.names.find_fact(asked.head, asked.relation, asked.tail)
    return render(
        request,
        "review_said.html",
        did=did,
        waits=waits,
        about_fact=" ".join(_name_ids(model, ids)),
        relation=None if wanted.relation is None else relations[wanted.relation],
        left=left,
    )


@router.post("/review/undo")
async def undo(request: Request, service: WithService, model: WithModel) -> Response:
    """Take the latest decision of this browser's reviewer back, and show that fact again."""
    fields = await read_form(request)
    queue = read_queue(fields, fields.get("relation", ""))
    try:
        review = await service.undo(service.gate.choose_name(request, reviewer_name(request)))
    except ReviewConflictError as conflict:
        did = "conflict" if conflict.review is not None else "nothing"
        return redirect(request, "/review", **dict(parse_qsl(queue.query)), did=did)
    name = reviewer_name(request)
    shown = await pick(service, model, queue, queue.resolve(model), name) or []
    if all(proposal.fact != review.fact for proposal in shown):
        queue = Queue(relation=make_reference(review.relation), least="0")
    return redirect(request, "/review", **dict(parse_qsl(queue.query)), did="undo")


@router.post("/review/name")
async def name(request: Request, service: WithService) -> Response:
    """Under which name this browser's decisions are written."""
    fields = await read_form(request)
    given = " ".join(fields.get("name", "").split())
    checked = check_form(ReviewerRequest, {"reviewer": given}).reviewer or ""
    reviewer = service.gate.choose_name(request, checked)
    before = reviewer_name(request)
    if before != reviewer:  # what was shown under the old name is free for others
        await run_in_threadpool(service.store.release, before)
    request.session["reviewer"] = reviewer
    queue = read_queue(fields, fields.get("relation", ""))
    return redirect(request, "/review", **dict(parse_qsl(queue.query)))


@router.get("/history")
def history(
    request: Request, service: WithService, model: WithModel, before: After | None = None
) -> Response:
    """All decisions, latest first, and the accepted facts as files."""
    viewer = reviewer_name(request)
    page, following = service.store.list_events(viewer=viewer, before=before, limit=50)
    counts = service.store.count()
    decided = counts.values()
    return render(
        request,
        "history.html",
        events=[
            (event, name_fact(model.graph, (event.head, event.relation, event.tail)))
            for event in page
        ],
        next=following,
        accepted=sum(states.get("accepted", 0) for states in decided),
        rejected=sum(states.get("rejected", 0) for states in decided),
        reasons=REASONS,
        relations=list_relations(model, counts),
    )


def _name_ids(model: ServedModel, fact: tuple[int, int, int]) -> tuple[str, str, str]:
    """Names of a fact, to show."""
    graph, (head, relation, tail) = model.graph, fact
    return graph.title(head), graph.relation_names[relation], graph.title(tail)
