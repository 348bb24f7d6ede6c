"""Start page, login, search results, and the page about the API."""

from __future__ import annotations

import asyncio
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from momok.graph import SPLIT_NAMES
from momok.serving.access import is_local_path
from momok.serving.describe import describe_relation, describe_thing
from momok.serving.pages.rendering import (
    begin_trusted,
    read_form,
    redirect,
    render,
    service_of,
)
from momok.serving.schemas import check_text

__all__ = ["router"]

router = APIRouter()
_SHOWN = 12  # entities on the start page
_FAILED_SECONDS = 1.0  # a wrong token waits


@router.get("/")
async def start(request: Request) -> Response:
    """Search, what the graph holds, its best-known entities."""
    service = service_of(request)
    model = service.model
    graph = model.predictor.graph
    counts = model.facts.relation_counts()
    decided = await service.holder.run(service.store.count)
    relations = [
        describe_relation(model, relation)
        | {"facts": int(counts[relation])}
        | {"decided": sum(decided.get(graph.relations.labels[relation], {}).values())}
        for relation in counts.argsort(kind="stable")[::-1].tolist()
    ]
    known = [describe_thing(model, entity) for entity in model.best_known(_SHOWN)]
    sizes = {split: len(graph.facts(split)) for split in SPLIT_NAMES}
    return render(
        request,
        "start.html",
        about_graph=graph.about,
        entities=graph.num_entities,
        facts=sizes,
        pictures=len(model.pictures),
        modalities=model.predictor.modalities,
        relations=relations,
        known=known,
    )


@router.get("/search")
async def search(request: Request, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Entities by name; the only one that is exactly so named is shown at once."""
    service = service_of(request)
    model = service.model
    hits = await service.holder.run(lambda: model.directory.names.search(q, 50))
    exact = [hit for hit in hits if hit.exact]
    if len(exact) == 1:
        label = model.predictor.graph.entities.labels[exact[0].entity]
        return redirect("/entity", label=model.directory.reference(label))
    found = [
        describe_thing(model, hit.entity) | {"matched": hit.text, "near": hit.near} for hit in hits
    ]
    return render(request, "search.html", q=q, found=found)


@router.get("/login")
async def login_form(
    request: Request,
    next: str = "/",
) -> Response:
    """Ask for the token."""
    return render(request, "login.html", next=_local(next), wrong=False)


@router.post("/login")
async def login(request: Request) -> Response:
    """Begin a session when the token is right."""
    fields = await read_form(request)
    gate, place = service_of(request).gate, _local(fields.get("next", "/"))
    if not gate.is_token(fields.get("token", "")):
        await asyncio.sleep(_FAILED_SECONDS)
        return render(request, "login.html", 401, next=place, wrong=True)
    response = redirect(place)
    begin_trusted(request, response)
    return response


@router.post("/logout")
async def logout(request: Request) -> Response:
    """End the session."""
    await read_form(request)
    response = redirect("/login")
    response.headers.append("set-cookie", service_of(request).gate.clear_cookie())
    return response


@router.get("/api")
async def about_api(request: Request) -> Response:
    """How programs ask."""
    document = request.app.openapi()
    operations = [
        {"method": method.upper(), "path": path, "text": operation.get("description", "")}
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]
    base = str(request.base_url).rstrip("/")
    return render(request, "api.html", operations=operations, base=base)


def _local(path: str) -> str:
    try:
        return path if is_local_path(check_text(path)) else "/"
    except ValueError:
        return "/"
