"""The JSON API of reviewers: what they did, how many opinions facts need, the audit log."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request
from pydantic import AfterValidator

from momok.serving import people_schemas
from momok.serving.api import ERRORS, After, Label, Limit, WithModel, WithService
from momok.serving.identity import get_viewer, needs
from momok.serving.proposals import label_fact
from momok.serving.reviews.accounts import Overlap
from momok.serving.schemas import MAX_TEXT, check_text

router = APIRouter(prefix="/api/v1", responses=ERRORS, tags=["reviewers"])
Relation = Annotated[
    str,
    Query(min_length=1, max_length=MAX_TEXT, description="A relation by label or name."),
    AfterValidator(check_text),
]


@router.get("/reviewers")
def reviewers(service: WithService) -> people_schemas.TeamAnswer:
    """What each reviewer did, how far they agree, how many opinions facts need."""
    store = service.store
    return people_schemas.TeamAnswer(team=store.compare_reviewers(), overlap=store.get_overlap())


@router.post("/reviewers/overlap", dependencies=[needs("admin")])
def set_overlap(
    request: Request, service: WithService, asked: people_schemas.OverlapRequest
) -> Overlap:
    """Change how many opinions facts need, from their first opinion on; for admins."""
    overlap = Overlap(opinions=asked.opinions, share=asked.share)
    service.store.set_overlap(overlap, by=service.gate.describe(request))
    return overlap


@router.get("/reviews/opinions")
def opinions(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    head: Label,
    relation: Relation,
    tail: Label,
) -> people_schemas.OpinionsAnswer:
    """What was said of a fact; while opinions are missing, one's own alone."""
    fact = label_fact(model.graph, model.names.find_fact(head, relation, tail))
    found = service.store.list_opinions([fact], get_viewer(request))
    return people_schemas.OpinionsAnswer(
        review=service.store.get(fact), opinions=found.get(fact, [])
    )


@router.get("/audit", dependencies=[needs("admin")])
def audit(
    service: WithService, before: After | None = None, limit: Limit = 50
) -> people_schemas.AuditAnswer:
    """Who did what, latest first; for admins."""
    entries, following = service.store.list_audit(before=before, limit=limit)
    return people_schemas.AuditAnswer(entries=entries, next=following)
