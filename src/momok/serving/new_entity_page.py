"""Asking about an entity that the graph does not have: its name, a text, a picture.

Nothing of it is kept. A picture is decoded within limits before anything else reads it, from a
temporary folder that is gone when the answer is there.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Request, UploadFile
from fastapi.responses import Response
from pydantic import AfterValidator

from momok.errors import (
    AmbiguousNameError,
    ConfigError,
    FormatError,
    MomokError,
    RunError,
    UnknownLabelError,
)
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture
from momok.prediction import NewEntity, NewPredictions
from momok.prediction.questions import check_side
from momok.serving.api import ERRORS, WithModel, WithService
from momok.serving.ask_page import ANSWERS
from momok.serving.describe import describe_entity, describe_predictions, list_relations
from momok.serving.model_holder import ServedModel
from momok.serving.rendering import render
from momok.serving.schemas import (
    MAX_TEXT,
    MAX_UPLOAD,
    Count,
    Entity,
    PredictionsAnswer,
    check_text,
)

router = APIRouter(include_in_schema=False)
api_router = APIRouter(prefix="/api/v1", responses=ERRORS)
MAX_PIXELS = 25_000_000  # of an uploaded picture
_WRONG_VALUE = (AmbiguousNameError, ConfigError, FormatError)
_FIELDS = ("name", "text", "relation", "role", "plausible")

Field = Annotated[str, Form(max_length=MAX_TEXT), AfterValidator(check_text)]


def predict_new(
    model: ServedModel, given: Mapping[str, str], picture: bytes, k: int, *, plausible: bool
) -> NewPredictions:
    """Answers to a question about a new entity, whose fields are those of the form.

    Raises:
        ConfigError: a picture that is none or too large, or nothing that the model knows of.
        DataError: there is no such relation.
        MomokError: an encoder, or the run's graph, is not there.
    """
    relation = model.graph.relations.labels[model.names.find_relation(given["relation"])]
    check_side("role", given["role"])
    if not (given["name"].strip() or given["text"].strip() or picture):
        raise ConfigError("give a name, a text or a picture of the new entity")
    with tempfile.TemporaryDirectory(prefix="momok-") as folder:
        pictures = []
        if picture:
            pictures.append(Path(folder) / "picture")
            pictures[0].write_bytes(picture)
            _check_picture(pictures[0])
        entity = NewEntity(name=given["name"], text=given["text"], pictures=pictures)
        return model.predictor.predict_new(
            entity,
            relation=relation,
            role=given["role"],  # type: ignore[arg-type]  # checked above
            k=k,
            plausible=plausible,
        )


def _check_picture(path: Path) -> None:
    try:
        with ignore_picture_warnings():
            open_picture(path, max_pixels=MAX_PIXELS, max_bytes=MAX_UPLOAD)
    except PictureError as error:
        raise ConfigError(f"the picture cannot be used: {error}") from error


def _find_kinds(model: ServedModel) -> set[str | None]:
    """What the model's modalities can be encoded from: ``text``, ``image``.

    Raises:
        RunError: the graph is not where it was.
    """
    state = model.predictor.scorer.source.state
    if state.status != "found":
        raise RunError(
            f"{state.remark}; a new entity is encoded as the graph's were, so its features are "
            "needed"
        )
    return set(model.predictor.new_entities.kinds.values())


@router.get("/new")
async def form(
    request: Request, service: WithService, model: WithModel, name: str = ""
) -> Response:
    """The form."""
    given = dict.fromkeys(_FIELDS, "") | {"name": name[:MAX_TEXT], "role": "head", "plausible": "1"}
    return await _show(request, service, model, given)


@router.post("/new")
async def ask(request: Request, service: WithService, model: WithModel) -> Response:
    """The answers, above the form as it was filled in."""
    async with request.form(max_files=1, max_fields=len(_FIELDS) + 1) as fields:
        given = {name: str(fields.get(name, "")).strip()[:MAX_TEXT] for name in _FIELDS}
        upload: Any = fields.get("picture")
        picture = await upload.read() if hasattr(upload, "read") else b""
    given["role"] = given["role"] or "head"
    plausible = bool(given["plausible"])
    try:
        check_text("".join(given.values()))
        found = await service.holder.compute(
            lambda: predict_new(model, given, picture, ANSWERS, plausible=plausible)
        )
    except ValueError as error:
        return await _show(request, service, model, given, 422, problem=str(error))
    except MomokError as error:
        status = 404 if isinstance(error, UnknownLabelError) else 503
        status = 422 if isinstance(error, _WRONG_VALUE) else status
        return await _show(request, service, model, given, status, problem=str(error))
    return await _show(request, service, model, given, found=found)


async def _show(
    request: Request,
    service: Any,
    model: ServedModel,
    given: Mapping[str, str],
    status: int = 200,
    *,
    problem: str = "",
    found: NewPredictions | None = None,
) -> Response:
    kinds: set[str | None] = set()
    try:
        kinds = await service.holder.compute(_find_kinds, model)
        if not kinds & {"text", "image"}:
            problem = problem or (
                "This model has no modality that a text or a picture can be encoded for; "
                "momok predict-new takes a vector instead."
            )
    except MomokError as error:  # the graph with its features is not where it was
        problem = problem or str(error)
    return render(
        request,
        "new.html",
        status,
        given=given,
        kinds=kinds,
        problem=problem,
        found=None if found is None else describe_predictions(model, found),
        similar=[] if found is None else _describe_similar(model, found),
        relations=sorted(list_relations(model, {}), key=lambda entry: entry.name.casefold()),
        most=(MAX_UPLOAD >> 20, MAX_PIXELS // 1_000_000),
    )


def _describe_similar(model: ServedModel, found: NewPredictions) -> list[tuple[Entity, float]]:
    index = model.graph.entities.index
    return [(describe_entity(model, index(thing.label)), cosine) for thing, cosine in found.similar]


@api_router.post("/predict/new", tags=["model"])
async def predict(
    *,
    service: WithService,
    model: WithModel,
    relation: Field,
    role: Annotated[
        Literal["head", "tail"], Form(description="The side of the fact that the entity is.")
    ] = "head",
    name: Field = "",
    text: Field = "",
    picture: Annotated[UploadFile | None, File(description="Of which nothing is kept.")] = None,
    k: Annotated[Count, Form()] = 10,
    plausible: Annotated[bool, Form()] = False,
) -> PredictionsAnswer:
    """The most likely facts of an entity that the graph does not have, of one relation."""
    content = await picture.read() if picture is not None else b""
    given = {"name": name, "text": text, "relation": relation, "role": role}
    found = await service.holder.compute(
        lambda: predict_new(model, given, content, k, plausible=plausible)
    )
    return describe_predictions(model, found)
