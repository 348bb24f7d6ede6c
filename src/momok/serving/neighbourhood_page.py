"""The page of an entity's neighbourhood: a picture, and the same as a table."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool

from momok.serving.api import Label, WithModel, WithService
from momok.serving.describe import describe_entity, describe_relation
from momok.serving.model_holder import ServedModel
from momok.serving.neighbourhood import (
    MOST_PREDICTED,
    MOST_REVIEWED,
    WIDTH,
    Edge,
    draw,
    find_known,
    find_predicted,
    find_reviewed,
    leave_out,
)
from momok.serving.rendering import render

router = APIRouter(include_in_schema=False)
Part = Literal["known", "predicted", "reviewed"]
_PARTS: tuple[Part, ...] = ("known", "predicted", "reviewed")
_ANSWERS = 5  # to each question, as on the page of the entity


@router.get("/neighbourhood")
async def neighbourhood(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    label: Label,
    show: Annotated[list[Part], Query(max_length=len(_PARTS))] = [],  # noqa: B006  # it is copied
) -> Response:
    """The known, likely and decided facts about an entity as a picture and as a table."""
    entity = model.names.find_entity(label)
    shown = show or _PARTS
    about = describe_entity(model, entity)
    predicted = find_predicted(model, await service.predict_facts(model, entity, _ANSWERS))
    reviews = await run_in_threadpool(service.store.list_about, about.label, MOST_REVIEWED)
    reviewed = find_reviewed(model, entity, reviews)
    known, count = find_known(model, entity)
    new = leave_out(predicted, reviewed)[:MOST_PREDICTED]
    parts = {"known": leave_out(known, reviewed), "predicted": new, "reviewed": reviewed}
    drawing = draw([edge for part in _PARTS if part in shown for edge in parts[part]])
    return render(
        request,
        "neighbourhood.html",
        entity=about,
        drawing=drawing,
        width=WIDTH,
        names=_describe(model, [node.edge for node in drawing.nodes]),
        relations={h.relation: describe_relation(model, h.relation) for h in drawing.headings},
        all_parts=_PARTS,
        shown=shown,
        left_out=count - len(known),
    )


def _describe(model: ServedModel, edges: list[Edge]) -> dict[int, Any]:
    """The other entities, by id."""
    return {edge.other: describe_entity(model, edge.other) for edge in edges}
