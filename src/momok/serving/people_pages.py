"""The pages of reviewers: what they did, disagreements to settle, the audit log."""

from __future__ import annotations

from contextlib import suppress

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from momok.serving.api import After, WithModel, WithService
from momok.serving.describe import describe_entity, describe_relation
from momok.serving.identity import get_viewer, needs
from momok.serving.model_holder import ServedModel
from momok.serving.people_schemas import OverlapRequest
from momok.serving.rendering import check_form, read_form, redirect, render
from momok.serving.reviews.accounts import MOST_OPINIONS, Overlap
from momok.serving.reviews.records import REASONS, Review
from momok.serving.schemas import Entity, Named

router = APIRouter(include_in_schema=False)
_DISPUTES = 20  # on a page


@router.get("/reviewers")
def reviewers(request: Request, service: WithService, saved: bool = False) -> Response:
    """What each reviewer did, how far they agree, how many opinions facts need."""
    return render(
        request,
        "reviewers.html",
        team=service.store.compare_reviewers(),
        accounts={entry.name: entry for entry in service.store.list_reviewers()},
        overlap=service.store.get_overlap(),
        most=MOST_OPINIONS,
        disputed=service.store.count_disputes(),
        saved=saved,
    )


@router.post("/reviewers/overlap", dependencies=[needs("admin")])
async def set_overlap(request: Request, service: WithService) -> Response:
    """Change how many opinions facts need."""
    fields = await read_form(request)
    share = fields.get("percent", "")
    with suppress(ValueError):  # what is no number is refused as it was given
        share = str(float(share) / 100)
    asked = check_form(OverlapRequest, {"opinions": fields.get("opinions", ""), "share": share})
    overlap = Overlap(opinions=asked.opinions, share=asked.share)
    by = service.gate.describe(request)
    await run_in_threadpool(service.store.set_overlap, overlap, by=by)
    return redirect(request, "/reviewers", saved="true")


@router.get("/settle", dependencies=[needs("settler")])
def settle(
    request: Request, service: WithService, model: WithModel, after: After = 0, did: str = ""
) -> Response:
    """Facts on which opinions differ, with all that was said, to have the last word."""
    page, following = service.store.list_disputes(after=after, limit=_DISPUTES)
    found = service.store.list_opinions([review.fact for review in page], get_viewer(request))
    disputes = [(review, _describe(model, review), found.get(review.fact, [])) for review in page]
    return render(
        request,
        "settle.html",
        disputes=disputes,
        after=after,
        next=following,
        did=did if did in ("accept", "reject", "unsure", "conflict") else "",
        reasons=REASONS,
    )


@router.get("/audit", dependencies=[needs("admin")])
def audit(request: Request, service: WithService, before: After | None = None) -> Response:
    """Who did what, latest first."""
    entries, following = service.store.list_audit(before=before, limit=100)
    return render(request, "audit.html", entries=entries, next=following, before=before)


def _describe(model: ServedModel, review: Review) -> dict[str, Entity | Named] | None:
    """A fact to be shown; None where the graph does not have its parts any more."""
    graph, (head, relation, tail) = model.graph, review.fact
    if not (head in graph.entities and tail in graph.entities and relation in graph.relations):
        return None
    return {
        "head": describe_entity(model, graph.entities.index(head)),
        "relation": describe_relation(model, graph.relations.index(relation)),
        "tail": describe_entity(model, graph.entities.index(tail)),
    }
