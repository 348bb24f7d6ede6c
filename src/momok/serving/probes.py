"""For what watches over the server: health, readiness, metrics."""

from __future__ import annotations

from fastapi import APIRouter, Request
from fastapi.responses import Response
from prometheus_client import CONTENT_TYPE_LATEST

from momok.serving.answers import JsonAnswer
from momok.serving.schemas import Health
from momok.serving.service import Service

__all__ = ["router"]

router = APIRouter(tags=["probes"])


@router.get("/health", response_model=Health, summary="Whether the server is there")
async def health() -> Response:
    """Answers as long as the process does."""
    return JsonAnswer({"status": "ok"})


@router.get(
    "/ready",
    response_model=Health,
    responses={503: {"model": Health}},
    summary="Whether requests can be answered",
)
async def ready(request: Request) -> Response:
    """The model is loaded and the review database answers."""
    service: Service = request.app.state.service
    if await service.holder.run(service.store.ping):
        return JsonAnswer({"status": "ok"})
    return JsonAnswer({"status": "unavailable"}, status_code=503)


@router.get("/metrics", include_in_schema=False)
async def metrics(request: Request) -> Response:
    """For Prometheus."""
    service: Service = request.app.state.service
    return Response(service.metrics.render(), headers={"content-type": CONTENT_TYPE_LATEST})
