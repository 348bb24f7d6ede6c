"""The review queue: one fact after the other, accepted, rejected or skipped."""

from __future__ import annotations

import asyncio
import json
import secrets
from typing import Annotated, Any, cast

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from momok.errors import ConfigError
from momok.serving.describe import describe_entity, describe_relation
from momok.serving.exporting import ExportFormat, export_accepted
from momok.serving.model_holder import ServedModel
from momok.serving.pages.rendering import (
    read_form,
    redirect,
    render,
    reviewer_name,
    service_of,
    write_reviewer,
)
from momok.serving.reviews import Action, Review, ReviewConflictError
from momok.serving.schemas import check_text
from momok.serving.service import Service
from momok.serving.settings import Limits

__all__ = ["router"]

router = APIRouter()
_ACTIONS = ("accept", "reject", "skip")
_PATIENCE = 2.0  # seconds to wait for a ranking before saying that it is being made
_NOTE = 4000

Relation = Annotated[str, Query(max_length=Limits().text)]


@router.get("/review")
async def review(request: Request, relation: Relation = "", did: str = "") -> Response:
    """The next fact of a relation, with what speaks for it; without one, the relations."""
    service = service_of(request)
    model = service.model
    decided = await service.holder.run(service.store.count)
    if not relation:
        return render(request, "review_start.html", relations=_list_relations(model, decided))
    chosen = model.directory.find_relation(relation)
    about = describe_relation(model, chosen)
    progress = decided.get(about["label"], {})
    values: dict[str, Any] = {
        "relation": about,
        "relations": _list_relations(model, decided),
        "accepted": progress.get("accepted", 0),
        "rejected": progress.get("rejected", 0),
        "did": did if did in (*_ACTIONS, "undo", "conflict", "nothing") else "",
    }
    me = reviewer_name(request)
    values["latest"] = await service.holder.run(lambda: service.store.latest_event(me))
    ranking = asyncio.wrap_future(service.rank_queue(model, chosen))
    try:
        ranked = await asyncio.wait_for(asyncio.shield(ranking), _PATIENCE)
    except TimeoutError:
        return render(request, "review_wait.html", **values)
    offered = await service.next_review(model, ranked, me)
    values["left"] = max(len(ranked) - values["accepted"] - values["rejected"], 0)
    card = None if offered is None else await _describe_card(service, model, offered)
    return render(request, "review.html", card=card, **values)


@router.post("/review/decide")
async def decide(request: Request) -> Response:
    """Write a decision down, then show the next fact."""
    fields = await read_form(request)
    service = service_of(request)
    model = service.model
    action = fields.get("action", "")
    if action not in _ACTIONS:
        raise ConfigError("action: expected accept, reject or skip")
    fact = (
        model.directory.find_entity(fields.get("head", "")),
        model.directory.find_relation(fields.get("relation", "")),
        model.directory.find_entity(fields.get("tail", "")),
    )
    back = fields.get("back", "")
    did = action
    try:
        await service.decide(
            model,
            fact,
            action=cast(Action, action),
            reviewer=reviewer_name(request),
            note=_check_note(fields.get("note", "")),
            version=_read_version(fields.get("version", "")),
            request=_read_request(fields.get("request", "")),
        )
    except ReviewConflictError:
        did = "conflict"
    if back == "why":
        names = {name: fields[name] for name in ("head", "relation", "tail")}
        return redirect("/why", **names)
    return redirect("/review", relation=fields["relation"], did=did)


@router.post("/review/undo")
async def undo(request: Request) -> Response:
    """Take the latest decision of this browser's reviewer back, and show that fact again."""
    fields = await read_form(request)
    try:
        review = await service_of(request).undo(reviewer_name(request))
    except ReviewConflictError as conflict:
        did = "conflict" if conflict.review is not None else "nothing"
        return redirect("/review", relation=fields.get("relation", ""), did=did)
    directory = service_of(request).model.directory
    return redirect("/review", relation=directory.reference(review.relation), did="undo")


@router.post("/review/name")
async def name(request: Request) -> Response:
    """Under which name this browser's decisions are written."""
    fields = await read_form(request)
    given = " ".join(fields.get("name", "").split())[:80]
    if not given or not given.isprintable():
        raise ConfigError("name: expected letters")
    service, before = service_of(request), reviewer_name(request)
    if before != given:  # what was shown under the old name is free for others
        await service.holder.run(lambda: service.store.release(before))
    relation = fields.get("relation", "")
    response = redirect("/review", **({"relation": relation} if relation else {}))
    write_reviewer(response, given)
    return response


@router.get("/history")
async def history(
    request: Request, before: Annotated[int | None, Query(ge=0, le=2**62)] = None
) -> Response:
    """All decisions, latest first, and the accepted facts as files."""
    service = service_of(request)
    page, following = await service.holder.run(
        lambda: service.store.list_events(before=before, limit=50)
    )
    names = [_name_fact(service.model, event.head, event.relation, event.tail) for event in page]
    decided = await service.holder.run(service.store.count)
    totals = {
        state: sum(counts.get(state, 0) for counts in decided.values())
        for state in ("accepted", "rejected")
    }
    return render(
        request,
        "history.html",
        events=list(zip(page, names, strict=True)),
        next=following,
        totals=totals,
        first=before is None,
    )


@router.get("/export")
async def export(request: Request, format: ExportFormat = "tsv") -> Response:
    """The accepted facts as a file."""
    return await export_accepted(service_of(request), format)


async def _describe_card(service: Service, model: ServedModel, offered: Review) -> dict[str, Any]:
    head = model.directory.find_entity(offered.head)
    relation = model.directory.find_relation(offered.relation)
    tail = model.directory.find_entity(offered.tail)
    return {
        "review": offered,
        "head": describe_entity(model, head),
        "tail": describe_entity(model, tail),
        "why": json.loads(await service.explain(model, (head, relation, tail))),
        "request": secrets.token_hex(16),
    }


def _list_relations(model: ServedModel, decided: dict[str, dict[Any, int]]) -> list[dict[str, Any]]:
    counts = model.facts.relation_counts()
    entries = []
    for relation in counts.argsort(kind="stable")[::-1].tolist():
        about = describe_relation(model, relation)
        states = decided.get(about["label"], {})
        ranked = model.queue.ready(relation)
        entries.append(
            about
            | {"facts": int(counts[relation]), "ranked": None if ranked is None else len(ranked)}
            | {state: states.get(state, 0) for state in ("accepted", "rejected")}
        )
    return entries


def _name_fact(model: ServedModel, head: str, relation: str, tail: str) -> tuple[str, str, str]:
    """Names to show; labels where the graph does not have them any more."""
    graph = model.predictor.graph
    entities = [
        model.directory.title(graph.entities.index(label)) if label in graph.entities else label
        for label in (head, tail)
    ]
    known = relation in graph.relations
    shown = graph.relation_names[graph.relations.index(relation)] if known else relation
    return entities[0], shown, entities[1]


def _check_note(note: str) -> str:
    try:
        check_text(note)
    except ValueError as error:
        raise ConfigError(f"note: {error}") from error
    if len(note) > _NOTE:
        raise ConfigError(f"note: {len(note)} characters; expected at most {_NOTE}")
    return note.strip()


def _read_version(text: str) -> int | None:
    if not text:
        return None
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise ConfigError("version: expected a number")
    return int(text)


def _read_request(text: str) -> str:
    if text and not (text.isascii() and text.isalnum() and len(text) <= 64):
        raise ConfigError("request: expected up to 64 letters and digits")
    return text
