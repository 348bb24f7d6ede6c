"""The review queue as a table: facts are ticked and decided together."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from typing import Any
from urllib.parse import parse_qsl

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from momok.serving.api import WithModel, WithService
from momok.serving.describe import describe_contradictions, describe_entity, describe_relation
from momok.serving.entity_search import make_reference
from momok.serving.identity import get_visitor
from momok.serving.model_holder import ServedModel
from momok.serving.queue_pages import Queue, WithQueue, count_left, describe_queue, pick, read_queue
from momok.serving.rendering import check_form, read_fields, redirect, render, reviewer_name
from momok.serving.review_schemas import MAX_BATCH, BatchRequest
from momok.serving.reviews.records import REASONS, Review, ReviewConflictError
from momok.serving.service import Service

router = APIRouter(include_in_schema=False)
_ROWS = 50
_OUTCOMES = ("accept", "reject", "unsure", "undo", "conflict", "nothing", "none")


@router.get("/review/table")
async def table(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    queue: WithQueue,
    did: str = "",
    count: int = 0,
) -> Response:
    """The next facts of a queue, which are kept for the reviewer for half a minute each."""
    return await _show(request, service, model, queue, did, count=count)


async def _show(
    request: Request,
    service: Service,
    model: ServedModel,
    queue: Queue,
    did: str,
    *,
    count: int = 0,
    ticked: Collection[tuple[str | None, ...]] = (),
) -> Response:
    """The table; ``ticked`` are references to heads, relations and tails."""
    wanted = queue.resolve(model)
    values = await run_in_threadpool(describe_queue, service, model, queue)
    name = reviewer_name(request)
    picked = await pick(service, model, queue, wanted, name)
    if picked is None:
        return render(request, "review_wait.html", did="", about_fact="", **values)
    candidates = [(proposal.fact, proposal.probability) for proposal in picked]
    rows = await run_in_threadpool(service.store.lease_many, candidates, name, _ROWS)
    left = await run_in_threadpool(count_left, service, model, wanted, picked, name)
    return render(
        request,
        "review_table.html",
        rows=[_describe(model, review, ticked) for review in rows],
        left=left,
        ranking=not queue.waiting and model.queue.is_ranking(wanted),
        ordering=wanted.order if wanted.is_sample or wanted.order != "random" else "",
        did=did if did in _OUTCOMES else "",
        about_fact="",
        count=min(max(count, 0), MAX_BATCH),
        reasons=REASONS,
        name_of_request=secrets.token_hex(16),
        status=409 if did == "conflict" and ticked else 200,
        **values,
    )


def _describe(
    model: ServedModel, review: Review, ticked: Collection[tuple[str | None, ...]]
) -> dict[str, Any]:
    """A row."""
    head, relation, tail = fact = model.names.find_fact(*review.fact)
    return {
        "review": review,
        "ticked": tuple(map(make_reference, review.fact)) in ticked,
        "head": describe_entity(model, head),
        "relation": describe_relation(model, relation),
        "tail": describe_entity(model, tail),
        "against": describe_contradictions(model, fact),
    }


@router.post("/review/table")
async def decide(request: Request, service: WithService, model: WithModel) -> Response:
    """Decide the ticked facts in one transaction, or take the latest decision back."""
    given = await read_fields(request, MAX_BATCH + 20)
    fields = dict(given)
    queue = read_queue(fields)
    back = dict(parse_qsl(queue.query))
    name = service.gate.choose_name(request, reviewer_name(request))
    action, _, reason = fields.get("action", "").partition(":")
    facts = [dict(parse_qsl(value)) for field, value in given if field == "fact"]
    try:
        if action == "undo":
            await service.undo(name)
            facts = []
        elif not facts:
            return redirect(request, "/review/table", **back, did="none")
        else:
            own = {"action": action, "reason": reason, "facts": facts}
            asked = check_form(BatchRequest, fields | own)
            may_settle = get_visitor(request).may("settler")
            await service.decide_batch(model, asked, name, may_settle=may_settle)
    except ReviewConflictError as conflict:
        if action == "undo":
            did = "conflict" if conflict.review is not None else "nothing"
            return redirect(request, "/review/table", **back, did=did)
        ticked = {tuple(map(fact.get, ("head", "relation", "tail"))) for fact in facts}
        return await _show(request, service, model, queue, "conflict", ticked=ticked)
    return redirect(request, "/review/table", **back, did=action, count=str(len(facts)))
