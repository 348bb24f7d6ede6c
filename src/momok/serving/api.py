"""The JSON API, ``/api/v1``."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator

import momok
from momok.graph import SPLIT_NAMES
from momok.serving import schemas
from momok.serving.answers import JsonAnswer, encode_json
from momok.serving.describe import (
    describe_entity,
    describe_fact,
    describe_predictions,
    describe_relation,
    describe_thing,
)
from momok.serving.exporting import MEDIA_TYPES, ExportFormat, export_accepted
from momok.serving.schemas import ErrorAnswer, check_text
from momok.serving.service import Service
from momok.serving.settings import Limits

__all__ = ["router"]

_LIMITS = Limits()
_ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": ErrorAnswer, "description": text}
    for status, text in {
        400: "Not a request of this API",
        401: "The token is missing or wrong",
        403: "From another site, or without the form token",
        404: "No such entity, relation or page",
        408: "The request arrived too slowly",
        413: "The request is too large",
        415: "Not JSON",
        421: "Not known under this host name",
        422: "A value that cannot be, or a name that several share",
        503: "Too much to do; try again",
    }.items()
}
_CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": ErrorAnswer, "description": "Decided already, or changed since it was shown"}
}
router = APIRouter(prefix="/api/v1", responses=_ERRORS, default_response_class=JsonAnswer)

Label = Annotated[
    str,
    Query(min_length=1, max_length=_LIMITS.text, description="An entity by label or name."),
    AfterValidator(check_text),
]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=_LIMITS.page)]
After = Annotated[int, Query(ge=0, le=2**62)]


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


@router.get("", response_model=schemas.About, tags=["graph"], summary="What is served")
async def about(request: Request) -> Response:
    """Name and sizes of the graph, version of the checkpoint, limits of the server."""
    service = _service(request)
    model, limits = service.model, service.settings.limits
    graph = model.predictor.graph
    return JsonAnswer(
        {
            "name": graph.name,
            "momok": momok.__version__,
            "model": model.version,
            "entities": graph.num_entities,
            "relations": graph.num_relations,
            "facts": {split: len(graph.facts(split)) for split in SPLIT_NAMES},
            "modalities": list(model.predictor.modalities),
            "heads": list(model.predictor.heads),
            "calibrated": model.calibrated,
            "limits": {"k": limits.k, "batch": limits.batch, "body": limits.body},
        }
    )


@router.get("/search", response_model=schemas.SearchAnswer, tags=["graph"])
async def search(
    request: Request,
    q: Annotated[
        str, Query(max_length=_LIMITS.query, description="The beginning or a part of a name.")
    ],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> Response:
    """Find entities by name, in any script; names like it where none has it."""
    service = _service(request)
    model = service.model
    hits = await service.holder.run(lambda: model.directory.names.search(q, limit))
    results = [
        describe_thing(model, hit.entity) | {"matched": hit.text, "near": hit.near} for hit in hits
    ]
    return JsonAnswer({"results": results})


@router.get("/relations", response_model=schemas.RelationsAnswer, tags=["graph"])
async def relations(request: Request, offset: Offset = 0, limit: Limit = 50) -> Response:
    """The relations, with how many facts are known and were decided."""
    service = _service(request)
    model = service.model
    counts, decided = model.facts.relation_counts(), await service.holder.run(service.store.count)
    total = model.predictor.graph.num_relations
    entries = []
    for relation in range(min(offset, total), min(offset + limit, total)):
        entry = describe_relation(model, relation)
        states = decided.get(entry["label"], {})
        numbers = {state: states.get(state, 0) for state in ("accepted", "rejected")}
        entries.append(entry | {"facts": int(counts[relation])} | numbers)
    return JsonAnswer({"total": total, "offset": offset, "relations": entries})


@router.get("/entity", response_model=schemas.EntityAnswer, tags=["graph"])
async def entity(request: Request, label: Label) -> Response:
    """One entity: names, text, picture."""
    model = _service(request).model
    return JsonAnswer(describe_entity(model, model.directory.find_entity(label)))


@router.get("/entity/facts", response_model=schemas.FactsAnswer, tags=["graph"])
async def entity_facts(
    request: Request, label: Label, offset: Offset = 0, limit: Limit = 50
) -> Response:
    """The known facts of an entity, by relation."""
    model = _service(request).model
    found = model.directory.find_entity(label)
    total = model.facts.count(found)
    facts = model.facts.list_facts(found, min(offset, total), limit)
    page = [describe_fact(model, found, fact) for fact in facts]
    return JsonAnswer({"total": total, "offset": offset, "facts": page})


@router.get("/entity/predictions", response_model=schemas.PredictedAnswer, tags=["model"])
async def entity_predictions(
    request: Request, label: Label, k: Annotated[int, Query(ge=1, le=50)] = 5
) -> Response:
    """The best new facts of an entity, by relation and role, most likely first."""
    service = _service(request)
    model = service.model
    found = model.directory.find_entity(label)
    return JsonAnswer(await service.predicted_facts(model, found, k))


@router.post("/predict", response_model=schemas.PredictionsAnswer, tags=["model"])
async def predict(request: Request, asked: schemas.PredictRequest) -> Response:
    """The most likely tails of (head, relation, ?), or heads of (?, relation, tail)."""
    service = _service(request)
    model = service.model
    question = service.resolve_question(model, asked.head, asked.relation, asked.tail)
    found = await service.predict(
        model, question, asked.k, hide=asked.known == "hide", plausible=asked.plausible
    )
    return JsonAnswer(describe_predictions(model, found))


@router.post("/predict/batch", response_model=schemas.BatchAnswer, tags=["model"])
async def predict_batch(request: Request, asked: schemas.Batch) -> Response:
    """Answer many questions; none is answered when one is wrong."""
    service = _service(request)
    model = service.model
    questions = [
        service.resolve_question(model, q.head, q.relation, q.tail) for q in asked.questions
    ]

    def work() -> bytes:
        found = model.predictor.predict_many(
            questions, asked.k, known=asked.known, plausible=asked.plausible
        )
        return encode_json({"results": [describe_predictions(model, a) for a in found]})

    return JsonAnswer(await service.holder.compute(work))


@router.post("/explain", response_model=schemas.ExplanationAnswer, tags=["model"])
async def explain(request: Request, asked: schemas.ExplainRequest) -> Response:
    """Heads, modalities, experts, similar entities and train facts behind a probability."""
    service = _service(request)
    model = service.model
    fact = (
        model.directory.find_entity(asked.head),
        model.directory.find_relation(asked.relation),
        model.directory.find_entity(asked.tail),
    )
    return JsonAnswer(await service.explain(model, fact, asked=asked.asked, limit=asked.limit))


# -- reviews ---------------------------------------------------------------------------------


@router.get("/reviews", response_model=schemas.ReviewsAnswer, tags=["reviews"])
async def list_reviews(
    request: Request,
    state: Literal["open", "accepted", "rejected"] | None = None,
    relation: Annotated[str | None, Query(max_length=_LIMITS.text)] = None,
    after: After = 0,
    limit: Limit = 50,
) -> Response:
    """The facts that somebody has touched, in the order they first were."""
    service = _service(request)
    label = None
    if relation is not None:
        graph = service.model.predictor.graph
        label = graph.relations.labels[service.model.directory.find_relation(relation)]
    page, following = await service.holder.run(
        lambda: service.store.list_reviews(state=state, relation=label, after=after, limit=limit)
    )
    return JsonAnswer({"reviews": [review.to_json() for review in page], "next": following})


@router.post("/reviews", response_model=schemas.ReviewAnswer, responses=_CONFLICT, tags=["reviews"])
async def decide(request: Request, asked: schemas.ReviewRequest) -> Response:
    """Accept, reject or skip a fact; when answered, the decision is on the disk."""
    service = _service(request)
    model = service.model
    fact = (
        model.directory.find_entity(asked.head),
        model.directory.find_relation(asked.relation),
        model.directory.find_entity(asked.tail),
    )
    review = await service.decide(
        model,
        fact,
        action=asked.action,
        reviewer=asked.reviewer,
        note=asked.note,
        version=asked.version,
        request=asked.request,
    )
    return JsonAnswer(review.to_json())


@router.post("/reviews/next", response_model=schemas.NextReview, tags=["reviews"])
async def next_review(request: Request, asked: schemas.NextRequest) -> Response:
    """The best new fact of a relation that nobody has decided or holds; kept for the reviewer."""
    service = _service(request)
    model = service.model
    relation = model.directory.find_relation(asked.relation)
    ranking = service.rank_queue(model, relation)
    if not ranking.done():
        return JsonAnswer({"review": None, "ranking": True})
    review = await service.next_review(model, ranking.result(), asked.reviewer)
    return JsonAnswer({"review": review and review.to_json(), "ranking": False})


@router.post(
    "/reviews/undo", response_model=schemas.ReviewAnswer, responses=_CONFLICT, tags=["reviews"]
)
async def undo(request: Request, asked: schemas.UndoRequest) -> Response:
    """Take back the reviewer's latest decision; the fact is open again."""
    return JsonAnswer((await _service(request).undo(asked.reviewer)).to_json())


@router.get("/reviews/history", response_model=schemas.HistoryAnswer, tags=["reviews"])
async def history(request: Request, before: After | None = None, limit: Limit = 50) -> Response:
    """All that was ever decided, latest first."""
    service = _service(request)
    page, following = await service.holder.run(
        lambda: service.store.list_events(before=before, limit=limit)
    )
    return JsonAnswer({"events": [event.to_json() for event in page], "next": following})


@router.get(
    "/reviews/export",
    tags=["reviews"],
    response_class=Response,
    responses={200: {"content": {kind: {} for kind in MEDIA_TYPES.values()}}},
)
async def export(request: Request, format: ExportFormat = "tsv") -> Response:
    """The accepted facts: head, relation and tail labels by tabs, or N-Triples."""
    return await export_accepted(_service(request), format)
