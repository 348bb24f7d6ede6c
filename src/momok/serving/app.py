"""The application: routes, errors, and what runs beside requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.staticfiles import StaticFiles

import momok
from momok.errors import (
    AmbiguousNameError,
    ConfigError,
    MomokError,
    StorageError,
    UnknownLabelError,
)
from momok.serving import api, pages, probes
from momok.serving.answers import JsonAnswer
from momok.serving.guard import Guard
from momok.serving.pages.rendering import FormRefusedError
from momok.serving.reviews import ReviewConflictError
from momok.serving.service import Service
from momok.serving.settings import ServeSettings, check_extra

__all__ = ["create_app"]

_log = logging.getLogger("momok.serving")
_STATIC = Path(__file__).parent / "static"
_SHOWN = 300  # characters of a message about a wrong value

# The first class that fits gives status and code.
_STATUSES: tuple[tuple[type[Exception], int, str], ...] = (
    (UnknownLabelError, 404, "unknown_label"),
    (AmbiguousNameError, 422, "ambiguous_name"),
    (ReviewConflictError, 409, "conflict"),
    (ConfigError, 422, "wrong_value"),
    (StorageError, 503, "storage"),
    (MomokError, 503, "unavailable"),
    (TimeoutError, 503, "busy"),
    (FormRefusedError, 403, "form_refused"),
)

_MESSAGES = {
    "busy": "too much to do just now; try again",
    "form_refused": "this form is of another session or too old; load its page again",
}


def create_app(settings: ServeSettings, service: Service | None = None) -> Guard:
    """Make the ASGI application of one run.

    Args:
        settings: which run, and how.
        service: its parts, where they are open already; the application closes them at its end.

    Raises:
        MomokError: the run or the review database cannot be used.
        MissingExtraError: the extra ``serve`` is not installed.
    """
    check_extra()
    service = service or Service.open(settings)
    app = FastAPI(
        title="momok",
        version=momok.__version__,
        openapi_url="/api/v1/openapi.json",
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        lifespan=_live,
    )
    app.state.service = service
    app.include_router(probes.router)
    app.include_router(api.router)
    app.include_router(pages.router)
    app.mount("/static", StaticFiles(directory=_STATIC), name="static")
    for kind, _, _ in _STATUSES:
        app.add_exception_handler(kind, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_wrong_value)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_exception_handler(Exception, _answer_defect)
    app.openapi = lambda: _describe(app)  # type: ignore[method-assign]
    return Guard(
        app, gate=service.gate, limits=settings.limits, metrics=service.metrics, state=app.state
    )


@asynccontextmanager
async def _live(app: FastAPI) -> AsyncIterator[None]:
    service: Service = app.state.service
    holder = service.holder
    watching = asyncio.create_task(holder.watch(service.settings.watch_seconds))
    preparing = asyncio.create_task(holder.run(service.model.prepare))
    try:
        yield
    finally:
        watching.cancel()
        with suppress(asyncio.CancelledError):
            await watching
        await preparing
        await asyncio.to_thread(service.close)


async def _answer_error(request: Request, error: Exception) -> Response:
    status, code = next((s, c) for kind, s, c in _STATUSES if isinstance(error, kind))
    message = _MESSAGES.get(code) or str(error)
    if status >= 500:
        _log.warning("%s: %s", code, error)
    return _answer(request, status, code, message)


async def _answer_wrong_value(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"] if isinstance(part, int | str))
    return _answer(request, 422, "wrong_value", f"{place}: {first['msg']}"[:_SHOWN])


async def _answer_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    answer = _answer(request, error.status_code, "http", str(error.detail))
    for name, value in (error.headers or {}).items():
        answer.headers[name] = value
    return answer


async def _answer_defect(request: Request, error: Exception) -> Response:
    del error  # raised again behind this answer, and logged there
    return _answer(request, 500, "defect", "this is a defect of the server; its log says more")


def _answer(request: Request, status: int, code: str, message: str) -> Response:
    wants_page = "text/html" in request.headers.get("accept", "")
    if wants_page and not request.url.path.startswith("/api/"):
        return pages.error_page(request, status, message)
    headers = {"retry-after": "1"} if status == 503 else None
    body = {"error": {"code": code, "message": message}}
    return JsonAnswer(body, status_code=status, headers=headers)


def _describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document: the API and the probes, with how clients show the token."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="momok",
            version=momok.__version__,
            summary="Predictions, explanations and reviews of a knowledge graph's missing facts.",
            routes=app.routes,
        )
        document.setdefault("components", {})["securitySchemes"] = {
            "token": {"type": "http", "scheme": "bearer"}
        }
        document["security"] = [{"token": []}, {}]
        app.openapi_schema = document
    return app.openapi_schema
