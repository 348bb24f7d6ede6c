"""The application: routes, errors, and what runs beside requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from fastapi import FastAPI, Request, Security
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from fastapi.security import HTTPBearer
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

import momok
from momok.config import describe_problem
from momok.errors import (
    AmbiguousNameError,
    ConfigError,
    FormatError,
    MomokError,
    StorageError,
    UnknownLabelError,
)
from momok.serving import (
    api,
    api_page,
    ask_page,
    beside_page,
    map_page,
    neighbourhood_page,
    new_entity_page,
    pages,
    people_api,
    people_pages,
    retraining_pages,
    review_api,
    review_pages,
    review_table,
)
from momok.serving.access import SECURITY_HEADERS, Access, answer_error
from momok.serving.rendering import render
from momok.serving.reviews.records import ReviewConflictError
from momok.serving.service import Service
from momok.serving.settings import ServeSettings, check_extra

_log = logging.getLogger("momok.serving")
_STATIC = Path(__file__).parent / "static"
_SHOWN = 1000  # characters of a message

_API = (
    api.router,
    beside_page.api_router,
    map_page.api_router,
    retraining_pages.api_router,
    new_entity_page.api_router,
    people_api.router,
    review_api.router,
)
_PAGES = (
    pages,
    api_page,
    ask_page,
    beside_page,
    map_page,
    neighbourhood_page,
    new_entity_page,
    people_pages,
    review_pages,
    review_table,
    retraining_pages,
)

# The first class that fits gives status and code.
_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownLabelError, 404, "unknown_label"),
    (AmbiguousNameError, 422, "ambiguous_name"),
    (ReviewConflictError, 409, "conflict"),
    (FormatError, 422, "wrong_value"),
    (ConfigError, 422, "wrong_value"),
    (RequestValidationError, 422, "wrong_value"),
    (StorageError, 503, "storage"),
    (MomokError, 503, "unavailable"),
    (TimeoutError, 503, "busy"),
    (HTTPException, 400, "http"),
    (Exception, 500, "defect"),
)
_MESSAGES = {
    "busy": "too much to do just now; try again",
    "defect": "this is a defect of the server; its log says more",
}


def create_app(settings: ServeSettings, service: Service | None = None) -> FastAPI:
    """Make the ASGI application of one run.

    Args:
        settings: which run, and how.
        service: its parts, where they are open already; the application closes them at its end.

    Raises:
        MomokError: the run or the review database cannot be used.
        MissingExtraError: the extra ``serve`` is not installed.
    """
    check_extra()
    service = service or Service(settings)
    app = FastAPI(
        title="momok",
        summary="Predictions, explanations and reviews of a knowledge graph's missing facts.",
        version=momok.__version__,
        openapi_url="/api/v1/openapi.json",
        servers=[{"url": settings.root_path}] if settings.root_path else None,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=_live,
    )
    app.state.service = service
    app.include_router(api.probes)
    # Access checks the token; this describes it where there is one.
    scheme = [Security(HTTPBearer(auto_error=False))] if service.gate.is_closed else []
    for router in _API:
        app.include_router(router, dependencies=scheme)
    for page in _PAGES:
        app.include_router(page.router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    for kind, _, _ in _STATUSES:
        app.add_exception_handler(kind, _answer_error)
    app.add_middleware(
        Access,
        settings=settings,
        secret=service.secret,
        gate=service.gate,
        metrics=service.metrics,
    )
    return app


@asynccontextmanager
async def _live(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    watching = [
        asyncio.create_task(service.holder.watch(service.settings.watch_seconds)),
        asyncio.create_task(service.retraining.watch()),
    ]
    try:
        yield
    finally:
        for task in watching:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        await asyncio.to_thread(service.close)


async def _answer_error(request: Request, error: Exception) -> Response:
    """Say what went wrong: on a page to people, in JSON to programs."""
    status, code = next((s, c) for kind, s, c in _STATUSES if isinstance(error, kind))
    message = _MESSAGES.get(code) or str(error)
    headers: Mapping[str, str] = {}
    if isinstance(error, HTTPException):
        status, code = error.status_code, getattr(error, "code", code)
        message, headers = str(error.detail), error.headers or {}
    elif isinstance(error, RequestValidationError):
        message = describe_problem(error.errors()[0])
    elif status == 503:
        headers = {"retry-after": "1"}
        _log.warning("%s: %s", code, error)
    elif status == 500:  # it is raised again and logged; Access adds no headers to this answer
        headers = SECURITY_HEADERS
    message = message[:_SHOWN]
    answer: Response = answer_error(status, code, message)
    if "text/html" in request.headers.get("accept", "") and not request.url.path.startswith(
        "/api/"
    ):
        answer = render(request, "error.html", status, code=status, message=message)
    answer.headers.update(headers)
    return answer
