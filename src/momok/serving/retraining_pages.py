"""Retraining on the page and in the JSON API."""

from __future__ import annotations

from typing import Annotated, Any, Literal, get_args

from fastapi import APIRouter, Query, Request
from fastapi.responses import Response
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from momok.errors import ConfigError
from momok.serving.api import ERRORS, WithService
from momok.serving.identity import get_visitor, needs
from momok.serving.rendering import read_form, redirect, render
from momok.serving.retraining import Job
from momok.serving.service import Service

Action = Literal["start", "cancel", "take", "discard"]
router = APIRouter(include_in_schema=False)
api_router = APIRouter(prefix="/api/v1", responses=ERRORS)
_LONGEST = 500  # characters of what went wrong


class RetrainingAnswer(BaseModel):
    """The job, and the last lines that training said."""

    job: Job
    log: list[str] = Field(description="The last lines.")


def _describe(service: Service) -> RetrainingAnswer:
    return RetrainingAnswer(job=service.retraining.look(), log=service.retraining.read_log())


def _act(service: Service, action: Action, by: str) -> RetrainingAnswer:
    """Do what an admin asks, and say how things stand then."""
    retraining = service.retraining
    if action == "start":
        job = retraining.start(list(service.store.iterate_reviews()), by)
    elif action == "cancel":
        job = retraining.cancel()
    elif action == "take":
        job = retraining.take_over()
    else:
        job = retraining.discard()
    service.store.record(by, f"{action} retraining", f"run {job.number}")
    return _describe(service)


@api_router.get("/retraining", tags=["retraining"])
def look(service: WithService) -> RetrainingAnswer:
    """How far the latest training on decisions is, and how its model compares."""
    return _describe(service)


@api_router.post("/retraining/{action}", dependencies=[needs("admin")], tags=["retraining"])
async def act(request: Request, service: WithService, action: Action) -> RetrainingAnswer:
    """Start to train on the decisions, cancel, take the new model over, or discard it."""
    by = service.gate.describe(request)
    answer = await run_in_threadpool(_act, service, action, by)
    if action == "take":
        service.holder.reload_asked.set()
    return answer


@router.get("/retrain")
async def page(
    request: Request,
    service: WithService,
    problem: Annotated[str, Query(max_length=_LONGEST)] = "",
) -> Response:
    """The job: how far it is, what it said, how its model compares."""
    answer = await run_in_threadpool(_describe, service)
    counts = (await run_in_threadpool(service.store.count)).values()
    accepted, rejected = (
        sum(states.get(state, 0) for states in counts) for state in ("accepted", "rejected")
    )
    return render(
        request,
        "retrain.html",
        job=answer.job,
        log=answer.log,
        problem=problem,
        accepted=accepted,
        rejected=rejected,
        may_act=get_visitor(request).may("admin"),
    )


@router.post("/retrain", dependencies=[needs("admin")])
async def act_on_page(request: Request, service: WithService) -> Response:
    """Do what the button says."""
    action: Any = (await read_form(request)).get("action")
    if action not in get_args(Action):
        raise ConfigError(f"expected one of {', '.join(get_args(Action))}")
    try:
        await run_in_threadpool(_act, service, action, service.gate.describe(request))
    except ConfigError as error:
        return redirect(request, "/retrain", problem=str(error)[:_LONGEST])
    if action == "take":
        service.holder.reload_asked.set()
    return redirect(request, "/retrain")
