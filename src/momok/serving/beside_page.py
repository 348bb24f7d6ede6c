"""Two models side by side: the page, and the same for programs."""

from __future__ import annotations

import asyncio
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from momok.errors import DataError
from momok.serving.api import ERRORS, WithModel, WithService, resolve_question
from momok.serving.ask_page import AskedForm, find_parts
from momok.serving.beside import Beside, compare_answers, compare_queues
from momok.serving.describe import describe_entity, describe_fact, describe_relation
from momok.serving.model_holder import ServedModel
from momok.serving.rendering import render
from momok.serving.schemas import CompareAnswer, ComparedAnswer, CompareRequest, ModelSays
from momok.serving.service import Service

router = APIRouter(include_in_schema=False)
api_router = APIRouter(prefix="/api/v1", responses=ERRORS)
_ANSWERS, _PROPOSALS = 20, 50
_RANKING_SECONDS = 2.0  # to wait for two rankings before saying that they are being made


def _get_beside(service: Service) -> Beside:
    if service.beside is None:
        raise HTTPException(404, "one model is served alone; start with --beside RUN for two")
    return service.beside


@router.get("/beside")
async def compare(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    form: AskedForm,
) -> Response:
    """What both models answer to a question; of a relation alone, what both propose to review."""
    beside = _get_beside(service)
    values: dict[str, Any] = {"form": form, "names": beside.names}
    values |= {"answers": None, "proposals": None, "ranking": False}
    missing, status = form.missing, 200
    try:
        ids = find_parts(model, form.given)
        if len(missing) == 1:
            values |= await service.holder.compute(_answer, model, beside, ids, form.new)
            values["missing"] = missing[0]
        elif missing == ["head", "tail"]:
            assert ids["relation"] is not None
            values |= await _propose(service, model, beside, ids["relation"])
        elif len(missing) < 3:
            form.problem, status = "Give two of the three, or a relation alone.", 400
    except DataError as error:
        form.problem, status = str(error), 404
    return render(request, "beside.html", status, **values)


def _answer(
    model: ServedModel, beside: Beside, ids: dict[str, int | None], new: bool
) -> dict[str, Any]:
    """Answers, each with its address, and what both models say of it."""
    graph, known = model.graph, "hide" if new else "mark"
    head, relation, tail = ids["head"], ids["relation"], ids["tail"]
    labels = graph.entities.labels
    question: Any = (
        None if head is None else labels[head],
        None if relation is None else graph.relations.labels[relation],
        None if tail is None else labels[tail],
    )
    pairs = compare_answers(model, beside, question, _ANSWERS, known)  # type: ignore[arg-type]
    if relation is None:
        named: Any = [describe_relation(model, graph.relations.index(label)) for label in pairs]
    else:
        named = [describe_entity(model, graph.entities.index(label)) for label in pairs]
    return {"answers": list(zip(named, pairs.values(), strict=True)), "question": question}


async def _propose(
    service: Service, model: ServedModel, beside: Beside, relation: int
) -> dict[str, Any]:
    """Undecided proposals of a relation, with what both models say of them."""
    label = model.graph.relations.labels[relation]
    there = beside.predictor.graph.relations.index(label)
    rankings = [
        asyncio.wrap_future(queue.rank(number))
        for queue, number in ((model.queue, relation), (beside.queue, there))
    ]
    _, waiting = await asyncio.wait(rankings, timeout=_RANKING_SECONDS)
    if waiting:
        return {"ranking": True}
    decided = await run_in_threadpool(service.store.list_decided, label)
    served, second = (ranking.result() for ranking in rankings)
    pairs = compare_queues(model, served, second, _PROPOSALS, decided)
    facts = [describe_fact(model, model.names.find_fact(*fact)) for fact in pairs]
    return {"proposals": list(zip(facts, pairs.values(), strict=True))}


@api_router.post("/compare", tags=["model"])
async def compare_for_programs(
    service: WithService, model: WithModel, asked: CompareRequest
) -> CompareAnswer:
    """What two models answer to one question, each answer with its rank in both."""
    beside = _get_beside(service)
    question = resolve_question(model, asked)

    def compare() -> CompareAnswer:
        pairs = compare_answers(model, beside, question, asked.k, asked.known)
        entities = model.graph.entities
        answers = [
            ComparedAnswer(
                **dict(describe_entity(model, entities.index(label))),
                known=pair.known,
                models=[
                    None if e is None else ModelSays(rank=e.rank, value=e.chance) for e in pair
                ],
            )
            for label, pair in pairs.items()
        ]
        return CompareAnswer(models=list(beside.names), answers=answers)

    return await service.holder.compute(compare)
