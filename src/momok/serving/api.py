"""The JSON API, ``/api/v1``, and what watches over the server: health, readiness, metrics."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import AfterValidator

import momok
from momok.errors import ConfigError
from momok.graph import SPLIT_NAMES
from momok.prediction.many import answer_rows
from momok.prediction.questions import Triple, label_question
from momok.serving import schemas
from momok.serving.describe import (
    describe_details,
    describe_facts,
    describe_hits,
    describe_predictions,
    list_relations,
)
from momok.serving.identity import needs
from momok.serving.model_holder import Among, ServedModel
from momok.serving.service import Service

ERRORS: dict[int | str, dict[str, Any]] = {
    status: {"model": schemas.ErrorAnswer}
    for status in (400, 401, 403, 404, 413, 415, 421, 422, 503)
}
router = APIRouter(prefix="/api/v1", responses=ERRORS)
probes = APIRouter(tags=["probes"])


async def _get_service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


WithService = Annotated[Service, Depends(_get_service)]


async def _get_model(service: WithService) -> ServedModel:
    return service.model


WithModel = Annotated[ServedModel, Depends(_get_model)]
Label = Annotated[
    str,
    Query(min_length=1, max_length=schemas.MAX_TEXT, description="An entity by label or name."),
    AfterValidator(schemas.check_text),
]
Offset = Annotated[int, Query(ge=0, le=2**31 - 1)]
Limit = Annotated[int, Query(ge=1, le=schemas.MAX_PAGE)]
After = Annotated[int, Query(ge=0, le=2**62)]


def resolve_question(model: ServedModel, asked: schemas.Question) -> Triple:
    """A question by labels; fails as ``EntitySearch``, or where not exactly one side is given."""
    if (asked.head is None) == (asked.tail is None):
        raise ConfigError("give exactly one of head and tail; the other is predicted")
    find = model.names.find_entity
    return label_question(
        model.graph,
        None if asked.head is None else find(asked.head),
        model.names.find_relation(asked.relation),
        None if asked.tail is None else find(asked.tail),
    )


def _resolve_among(model: ServedModel, given: str | list[str] | None) -> Among:
    """A type as it is, or the labels of the entities in a list."""
    if given is None or isinstance(given, str):
        return given
    labels = model.graph.entities.labels
    return tuple(labels[model.names.find_entity(name)] for name in given)


@router.get("", tags=["graph"], summary="What is served")
async def about(model: WithModel) -> schemas.About:
    """Name and sizes of the graph, version of the checkpoint, limits of the server."""
    graph = model.graph
    return schemas.About(
        name=graph.name,
        momok=momok.__version__,
        model=model.version,
        entities=graph.num_entities,
        relations=graph.num_relations,
        facts={split: len(graph.facts(split)) for split in SPLIT_NAMES},
        modalities=list(model.predictor.modalities),
        heads=list(model.predictor.heads),
        calibrated=model.calibrated,
        limits={"k": schemas.MAX_ANSWERS, "batch": schemas.MAX_QUESTIONS, "body": schemas.MAX_BODY},
    )


@router.get("/search", tags=["graph"])
def search(
    model: WithModel,
    q: Annotated[
        str, Query(max_length=schemas.MAX_QUERY, description="The beginning or a part of a name.")
    ],
    limit: Annotated[int, Query(ge=1, le=50)] = 10,
) -> schemas.SearchAnswer:
    """Find entities by name, in any script; names like it where none has it."""
    return schemas.SearchAnswer(results=describe_hits(model, model.names.search(q, limit)))


@router.get("/relations", tags=["graph"])
def relations(
    service: WithService, model: WithModel, offset: Offset = 0, limit: Limit = 50
) -> schemas.RelationsAnswer:
    """The relations, with how many facts are known and were decided."""
    entries = list_relations(model, service.store.count())
    page = entries[offset : offset + limit]
    return schemas.RelationsAnswer(total=len(entries), offset=offset, relations=page)


@router.get("/entity", tags=["graph"])
def entity(model: WithModel, label: Label) -> schemas.EntityAnswer:
    """One entity: names, text, picture."""
    return describe_details(model, model.names.find_entity(label))


@router.get("/entity/facts", tags=["graph"])
def entity_facts(
    model: WithModel, label: Label, offset: Offset = 0, limit: Limit = 50
) -> schemas.FactsAnswer:
    """The known facts of an entity, by relation."""
    found = model.names.find_entity(label)
    total = int(model.graph.fact_index.degrees[found])
    page = describe_facts(model, found, offset, limit)
    return schemas.FactsAnswer(total=total, offset=offset, facts=page)


@router.get("/entity/predictions", tags=["model"])
async def entity_predictions(
    service: WithService, model: WithModel, label: Label, k: Annotated[int, Query(ge=1, le=50)] = 5
) -> schemas.EntityPredictionsAnswer:
    """The best new facts of an entity, by relation and role, most likely first."""
    return await service.predict_facts(model, model.names.find_entity(label), k)


@router.post("/predict", tags=["model"])
async def predict(
    service: WithService, model: WithModel, asked: schemas.PredictRequest
) -> schemas.PredictionsAnswer:
    """The most likely tails of (head, relation, ?), or heads of (?, relation, tail)."""
    question, among = resolve_question(model, asked), _resolve_among(model, asked.among)
    options = asked.k, asked.known, asked.plausible, among
    found = await service.holder.batcher.ask(question, (model.predictor, *options))
    return describe_predictions(model, found)


@router.post("/predict/batch", tags=["model"])
async def predict_batch(
    service: WithService, model: WithModel, asked: schemas.BatchRequest
) -> schemas.BatchAnswer:
    """Answer many questions; none is answered when one is wrong."""
    questions = [resolve_question(model, question) for question in asked.questions]
    options: dict[str, Any] = {"known": asked.known, "plausible": asked.plausible}
    options["among"] = _resolve_among(model, asked.among)

    def predict() -> schemas.BatchAnswer:
        found = model.predictor.predict_many(questions, asked.k, **options)
        return schemas.BatchAnswer(results=[describe_predictions(model, a) for a in found])

    return await service.holder.compute(predict)


@router.post("/predict/relations", tags=["model"])
async def predict_relations(
    service: WithService, model: WithModel, asked: schemas.RelationsRequest
) -> schemas.RelationsPredicted:
    """The most likely relations from one entity to another."""
    labels, find = model.graph.entities.labels, model.names.find_entity
    head, tail = labels[find(asked.head)], labels[find(asked.tail)]

    def predict() -> schemas.RelationsPredicted:
        found = model.predictor.predict_relations(head, tail, asked.k, known=asked.known)
        return schemas.RelationsPredicted(**found.to_json(), model=model.version)

    return await service.holder.compute(predict)


@router.post("/score", tags=["model"])
async def score(
    service: WithService, model: WithModel, asked: schemas.ScoreRequest
) -> schemas.ScoreAnswer:
    """How likely the model finds given facts; none is scored when one is wrong."""
    find = model.names.find_fact
    facts = [
        label_question(model.graph, *find(fact.head, fact.relation, fact.tail))
        for fact in asked.facts
    ]

    def compute() -> schemas.ScoreAnswer:
        rows = answer_rows(model.predictor, facts).to_dicts()
        return schemas.ScoreAnswer(
            facts=[schemas.FactScore(**row) for row in rows], model=model.version
        )

    return await service.holder.compute(compute)


@router.post("/explain", tags=["model"])
async def explain(
    service: WithService, model: WithModel, asked: schemas.ExplainRequest
) -> schemas.ExplanationAnswer:
    """Heads, modalities, experts, similar entities and train facts behind a probability."""
    fact = model.names.find_fact(asked.head, asked.relation, asked.tail)
    return await service.explain(model, fact, asked=asked.asked, limit=asked.limit)


# -- what watches over the server ------------------------------------------------------------


@probes.get("/health", summary="Whether the server is there")
async def health() -> schemas.Health:
    """Answers as long as the process does."""
    return schemas.Health(status="ok")


@probes.get(
    "/ready",
    responses={503: {"model": schemas.Health}},
    summary="Whether requests can be answered",
)
def ready(service: WithService, response: Response) -> schemas.Health:
    """The model is loaded and the review database answers."""
    if service.store.ping():
        return schemas.Health(status="ok")
    response.status_code = 503
    return schemas.Health(status="unavailable")


@probes.get("/metrics", include_in_schema=False, dependencies=[needs("admin")])
def metrics(service: WithService) -> Response:
    """For Prometheus."""
    content = generate_latest(service.metrics.registry)
    return Response(content, headers={"content-type": CONTENT_TYPE_LATEST})
