"""The pages: HTML made on the server, usable without JavaScript and from the keyboard alone."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from momok.graph import SPLIT_NAMES
from momok.graph.candidates import Side
from momok.serving.access import is_local_path
from momok.serving.api import Label, WithModel, WithService
from momok.serving.describe import (
    describe_contradictions,
    describe_details,
    describe_entity,
    describe_facts,
    describe_hits,
    describe_relation,
    list_relations,
)
from momok.serving.entity_search import make_reference
from momok.serving.identity import SERVER_TOKEN, get_visitor, sign_out, trust
from momok.serving.pictures import MEDIA_TYPE
from momok.serving.proposals import compute_probability
from momok.serving.rendering import (
    read_form,
    redirect,
    render,
    reviewer_name,
)
from momok.serving.reviews.records import REASONS
from momok.serving.schemas import MAX_QUERY

router = APIRouter(include_in_schema=False)
_FAILED_SECONDS = 1.0  # a wrong token waits
_MOST_CONNECTED = 12  # entities on the start page
_FACTS = 8  # of a relation, before "all"
_ALL = 500
_PREDICTED = 5


@router.get("/")
def start(request: Request, service: WithService, model: WithModel) -> Response:
    """What the graph holds, its most connected entities, its relations."""
    graph = model.graph
    relations = list_relations(model, service.store.count())
    best_known = model.list_best_known(_MOST_CONNECTED)
    return render(
        request,
        "start.html",
        about_graph=graph.about,
        entities=graph.num_entities,
        facts=sum(len(graph.facts(split)) for split in SPLIT_NAMES),
        pictures=len(model.pictures),
        relations=sorted(relations, key=lambda relation: -relation.facts),
        connected=[describe_entity(model, entity) for entity in best_known],
    )


@router.get("/search")
def search(
    request: Request, model: WithModel, q: Annotated[str, Query(max_length=MAX_QUERY)] = ""
) -> Response:
    """Entities by name; the only one that is exactly so named is shown at once."""
    hits = model.names.search(q, 50)
    exact = [hit.entity for hit in hits if hit.exact]
    if len(exact) == 1:
        label = model.graph.entities.labels[exact[0]]
        return redirect(request, "/entity", label=make_reference(label))
    return render(request, "search.html", q=q, found=describe_hits(model, hits))


@router.get("/entity")
async def entity(
    request: Request, service: WithService, model: WithModel, label: Label, all: bool = False
) -> Response:
    """Picture, text, known facts, predicted facts by relation."""
    found = model.names.find_entity(label)
    roles, starts, counts = np.unique(
        model.graph.fact_index.about(found)[0], return_index=True, return_counts=True
    )
    known = []
    for role, start, count in zip(roles.tolist(), starts.tolist(), counts.tolist(), strict=True):
        reverse, relation = divmod(role, model.graph.num_relations)
        facts = describe_facts(model, found, start, min(count, _ALL if all else _FACTS))
        known.append(
            {
                "relation": describe_relation(model, relation),
                "reverse": bool(reverse),
                "count": count,
                "facts": [(fact.head if reverse else fact.tail, fact.split) for fact in facts],
            }
        )
    about = describe_details(model, found)
    predicted = (await service.predict_facts(model, found, _PREDICTED)).groups
    new_facts = [
        (answer.label, group.relation.label, about.label)
        if group.asked == "head"
        else (about.label, group.relation.label, answer.label)
        for group in predicted
        for answer in group.predictions
    ]
    reviews = await run_in_threadpool(service.store.get_many, new_facts)
    viewer = reviewer_name(request)
    opinions = await run_in_threadpool(service.store.list_opinions, new_facts, viewer)
    return render(
        request,
        "entity.html",
        entity=about,
        known=known,
        predicted=predicted,
        reviews={review.fact: review for review in reviews},
        opinions=opinions,
        all=all,
    )


@router.get("/why")
async def why(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    head: Label,
    relation: Label,
    tail: Label,
    asked: Side = "tail",
) -> Response:
    """What led to the probability of a fact."""
    fact = model.names.find_fact(head, relation, tail)
    found = await service.explain(model, fact, asked=asked)
    labels = found.head["label"], found.relation.label, found.tail["label"]
    review = await run_in_threadpool(service.store.get, labels)
    opinions = await run_in_threadpool(
        service.store.list_opinions, [labels], reviewer_name(request)
    )
    as_new_fact, against = None, []
    if found.known is None:  # type: ignore[attr-defined]  # of the explanation, as it is
        as_new_fact = await service.holder.compute(compute_probability, model.predictor, fact)
        against = describe_contradictions(model, fact)
    return render(
        request,
        "why.html",
        why=found,
        review=review,
        opinions=opinions.get(labels, []),
        as_new_fact=as_new_fact,
        against=against,
        reasons=REASONS,
    )


@router.get("/picture")
def picture(
    request: Request,
    model: WithModel,
    entity: Label,
    size: Literal["small", "medium", "large"] = "medium",
) -> Response:
    """The picture of an entity, made anew by this server."""
    content = model.pictures.render(model.names.find_entity(entity), size)
    if content is None:
        return Response(status_code=404)
    tag = f'"{hashlib.sha256(content).hexdigest()[:24]}"'
    headers = {"etag": tag, "cache-control": "private, max-age=3600"}
    if request.headers.get("if-none-match") == tag:
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)


# -- logging in ------------------------------------------------------------------


@router.get("/login")
async def login_form(request: Request, next: str = "/") -> Response:
    """Ask for the token."""
    return render(request, "login.html", next=_keep_local(next), wrong=False)


@router.post("/login")
async def login(request: Request, service: WithService) -> Response:
    """Begin a session when the token is the server's or a reviewer's."""
    fields = await read_form(request)
    place = _keep_local(fields.get("next", "/"))
    token = fields.get("token", "").strip()
    visitor = service.gate.find_by_token(token)
    if visitor is None:
        await asyncio.sleep(_FAILED_SECONDS)
        return render(request, "login.html", 401, next=place, wrong=True)
    await run_in_threadpool(service.store.record, visitor.name or SERVER_TOKEN, "sign in")
    trust(request, visitor, token)
    return redirect(request, place)


@router.post("/logout")
async def logout(request: Request, service: WithService) -> Response:
    """End the session."""
    if request.state.visitor is not None and service.gate.is_closed:
        who = get_visitor(request).name or SERVER_TOKEN
        await run_in_threadpool(service.store.record, who, "sign out")
    sign_out(request)
    return redirect(request, "/login")


def _keep_local(path: str) -> str:
    return path if is_local_path(path) else "/"
