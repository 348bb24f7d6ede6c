"""The map of entities: its page, and its places for the page's script and for programs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from momok.errors import DataError, RunError
from momok.serving.api import ERRORS, WithModel
from momok.serving.ask_page import Part
from momok.serving.describe import describe_entity
from momok.serving.rendering import render
from momok.serving.schemas import MapAnswer

router = APIRouter(include_in_schema=False)
api_router = APIRouter(prefix="/api/v1", responses=ERRORS)
_NEAREST = 24


@router.get("/map")
def show_map(request: Request, model: WithModel, label: Part = "") -> Response:
    """The map; of one entity also those that lie nearest to it, as a list."""
    given = label.strip()
    values: dict[str, Any] = {"given": given, "problem": "", "entity": None, "nearest": []}
    status, found = 200, None
    try:
        found = model.map.open()
        if found is not None and given:
            entity = model.names.find_entity(given)
            values["entity"] = describe_entity(model, entity)
            nearest = found.find_nearest(entity, _NEAREST)
            if nearest is None:
                values["problem"] = f"{values['entity'].title} is not on the map."
            values["nearest"] = [describe_entity(model, other) for other in nearest or ()]
    except DataError as error:
        values["problem"], status = str(error), 404
    except RunError as error:
        values["problem"], status = str(error), 503
    return render(
        request,
        "map.html",
        status,
        run=model.predictor.run.path,
        answer=None if found is None else found.answer,
        **values,
    )


@api_router.get("/map", tags=["graph"], response_model=MapAnswer)
def give_map(model: WithModel) -> Response:
    """The places of entities on the map that `momok map` made."""
    found = model.map.open()
    if found is None:
        path = model.predictor.run.path
        raise HTTPException(404, f"there is no map of this run: momok map {path} makes one")
    return Response(found.content, media_type="application/json")
