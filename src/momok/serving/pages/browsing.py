"""An entity, why a fact is likely, and pictures."""

from __future__ import annotations

import json
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response

from momok.serving.describe import describe_entity, describe_relation, describe_thing
from momok.serving.pages.rendering import render, service_of
from momok.serving.pictures import MEDIA_TYPE, SIZES
from momok.serving.settings import Limits

__all__ = ["router"]

router = APIRouter()
_FACTS = 8  # of a relation, before "all"
_ALL = 500
_PREDICTED = 5

Label = Annotated[str, Query(min_length=1, max_length=Limits().text)]


@router.get("/entity")
async def entity(request: Request, label: Label, all: bool = False) -> Response:
    """Picture, text, known facts, predicted facts by relation."""
    service = service_of(request)
    model = service.model
    found = model.directory.find_entity(label)
    about = describe_entity(model, found)
    known = [
        describe_relation(model, relation)
        | {
            "reverse": reverse,
            "count": count,
            "facts": [
                describe_thing(model, fact.other) | {"split": fact.split}
                for fact in model.facts.list_relation(
                    found, relation, reverse, _ALL if all else _FACTS
                )
            ],
        }
        for relation, reverse, count in model.facts.count_by_relation(found)
    ]
    predicted = json.loads(await service.predicted_facts(model, found, _PREDICTED))["groups"]
    facts = [
        (about["label"], group["relation"]["label"], answer["label"])
        if group["asked"] == "tail"
        else (answer["label"], group["relation"]["label"], about["label"])
        for group in predicted
        for answer in group["predictions"]
    ]
    reviews = iter(await service.holder.run(lambda: service.store.get_many(facts)))
    for group in predicted:
        for answer in group["predictions"]:
            answer["review"] = next(reviews)
    return render(request, "entity.html", entity=about, known=known, predicted=predicted, all=all)


@router.get("/why")
async def why(
    request: Request,
    head: Label,
    relation: Label,
    tail: Label,
    asked: Literal["head", "tail"] = "tail",
) -> Response:
    """What led to the probability of a fact."""
    service = service_of(request)
    model = service.model
    fact = (
        model.directory.find_entity(head),
        model.directory.find_relation(relation),
        model.directory.find_entity(tail),
    )
    found = json.loads(await service.explain(model, fact, asked=asked))
    labels = found["head"]["label"], found["relation"]["label"], found["tail"]["label"]
    review = await service.holder.run(lambda: service.store.get(labels))
    return render(request, "why.html", why=found, review=review)


@router.get("/picture")
async def picture(
    request: Request, entity: Label, size: Literal["small", "medium", "large"] = "medium"
) -> Response:
    """The picture of an entity, made anew by this server."""
    service = service_of(request)
    model = service.model
    found = model.directory.find_entity(entity)
    longest = dict(zip(("small", "medium", "large"), SIZES, strict=True))[size]
    made = await service.holder.run(lambda: model.pictures.render(found, longest))
    if made is None:
        return Response(status_code=404, headers={"cache-control": "no-store"})
    content, tag = made
    headers = {"etag": f'"{tag}"', "cache-control": "private, max-age=3600"}
    if request.headers.get("if-none-match") == f'"{tag}"':
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=MEDIA_TYPE, headers=headers)
