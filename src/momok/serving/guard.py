"""The outermost layer: what every request passes before the application sees it."""

from __future__ import annotations

import asyncio
import time
from http import HTTPStatus
from typing import Any, TypeAlias
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from momok.serving.access import SECURITY_HEADERS, Gatekeeper
from momok.serving.answers import error_body
from momok.serving.metrics import Metrics
from momok.serving.settings import Limits

__all__ = ["Guard", "RequestRefusedError"]

Header: TypeAlias = tuple[bytes, bytes]
_OPEN_PATHS = ("/health", "/ready", "/login", "/static/")  # no token needed
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LONG_LIVED = b"public, max-age=31536000, immutable"


class RequestRefusedError(Exception):
    """A request that goes no further."""

    def __init__(self, status: HTTPStatus, code: str, message: str, *headers: Header) -> None:
        super().__init__(message)
        self.status, self.code, self.message, self.headers = status, code, message, headers


class Guard:
    """Host, origin, token, sizes and times of requests; headers and counts of answers."""

    def __init__(
        self, app: ASGIApp, *, gate: Gatekeeper, limits: Limits, metrics: Metrics, state: Any
    ) -> None:
        self._app, self._gate, self._limits, self._metrics = app, gate, limits, metrics
        self.state = state  # of the application inside

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        status = 500
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal status, started
            if message["type"] == "http.response.start":
                started, status = True, message["status"]
                message = {**message, "headers": _add_headers(scope, message["headers"])}
            await send(message)

        self._metrics.in_flight.inc()
        try:
            body = await self._check(scope, receive)
            await self._app(scope, _replay(body, receive), send_guarded)
        except RequestRefusedError as refusal:
            assert not started
            await _refuse(refusal, send_guarded)
        finally:
            self._metrics.in_flight.dec()
            route = getattr(scope.get("route"), "path", "other")
            method = scope["method"] if scope["method"] in _KNOWN_METHODS else "other"
            self._metrics.requests.labels(method, route, str(status)).inc()
            self._metrics.seconds.labels(route).observe(time.perf_counter() - began)

    async def _check(self, scope: Scope, receive: Receive) -> bytes:
        headers = Headers(scope=scope)
        self._check_origin(scope, headers)
        self._check_token(scope, headers)
        body = await self._read_body(headers, receive)
        scope["state"]["form_needed"] = self._check_change(scope, headers)
        return body

    def _check_origin(self, scope: Scope, headers: Headers) -> None:
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._gate.is_our_host(hosts[0]):
            raise RequestRefusedError(
                HTTPStatus.MISDIRECTED_REQUEST,
                "unknown_host",
                "this server is not known under this host name; start it with --allow-host NAME",
            )
        if scope["method"] not in _SAFE_METHODS and not self._gate.is_same_origin(
            hosts[0], headers.get("origin"), headers.get("sec-fetch-site")
        ):
            raise RequestRefusedError(
                HTTPStatus.FORBIDDEN, "other_origin", "this request comes from another site"
            )

    def _check_token(self, scope: Scope, headers: Headers) -> None:
        state = scope.setdefault("state", {})
        session = state["session"] = self._gate.read_session(headers.get("cookie"))
        state["bearer"] = self._gate.asks_token and self._gate.is_bearer(
            headers.get("authorization")
        )
        path = scope["path"]
        if not self._gate.asks_token or state["bearer"] or (session and session.trusted):
            return
        if path in _OPEN_PATHS or path.startswith("/static/"):
            return
        if scope["method"] == "GET" and "text/html" in headers.get("accept", ""):
            query = scope["query_string"].decode("latin-1")
            wanted = quote(scope["path"]) + (f"?{query}" if query else "")
            place = f"/login?next={quote(wanted, safe='')}"
            raise RequestRefusedError(
                HTTPStatus.SEE_OTHER, "token_needed", "log in", (b"location", place.encode())
            )
        raise RequestRefusedError(
            HTTPStatus.UNAUTHORIZED,
            "token_needed",
            "send the token: Authorization: Bearer TOKEN",
            (b"www-authenticate", b"Bearer"),
        )

    def _check_change(self, scope: Scope, headers: Headers) -> bool:
        """Whether a form token must be checked by the page; refuses what a page could forge."""
        if scope["method"] in _SAFE_METHODS or scope["state"]["bearer"]:
            return False
        if not scope["path"].startswith("/api/"):
            return True
        if scope["state"]["session"] is not None:
            given = headers.get("x-form-token", "")
            if self._gate.is_form_token(scope["state"]["session"], given):
                return False
            raise RequestRefusedError(
                HTTPStatus.FORBIDDEN,
                "form_token_needed",
                "with a session cookie, changes need the header X-Form-Token; programs send no "
                "cookie",
            )
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise RequestRefusedError(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
                "json_needed",
                "expected Content-Type: application/json",
            )
        return False

    async def _read_body(self, headers: Headers, receive: Receive) -> bytes:
        """All of the body, within its limits of size and time."""
        too_large = RequestRefusedError(
            HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
            "too_large",
            f"the body is larger than {self._limits.body:,} bytes",
            (b"connection", b"close"),
        )
        length = headers.get("content-length", "0")
        if not (length.isascii() and length.isdigit()) or int(length[:19]) > self._limits.body:
            raise too_large
        if length == "0" and "transfer-encoding" not in headers:
            return b""
        parts: list[bytes] = []
        size = 0
        try:
            async with asyncio.timeout(self._limits.request_seconds):
                more = True
                while more:
                    message = await receive()
                    if message["type"] != "http.request":
                        break  # the client is gone
                    parts.append(message.get("body", b""))
                    size += len(parts[-1])
                    more = message.get("more_body", False)
                    if size > self._limits.body:
                        raise too_large
        except TimeoutError:
            raise RequestRefusedError(
                HTTPStatus.REQUEST_TIMEOUT,
                "too_slow",
                f"the request took longer than {self._limits.request_seconds:g} s to arrive",
                (b"connection", b"close"),
            ) from None
        return b"".join(parts)


_KNOWN_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def _replay(body: bytes, receive: Receive) -> Receive:
    """Give the body that was read, then whatever comes (that the client has gone)."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _add_headers(scope: Scope, headers: Any) -> list[Header]:
    kept = [(name, value) for name, value in headers if name.lower() != b"server"]
    names = {name.lower() for name, _ in kept}
    added = [header for header in SECURITY_HEADERS if header[0] not in names]
    if b"cache-control" not in names:
        fixed = scope["path"].startswith("/static/") and scope["query_string"]
        added.append((b"cache-control", _LONG_LIVED if fixed else b"no-store"))
    return [*kept, *added]


async def _refuse(refusal: RequestRefusedError, send: Send) -> None:
    body = error_body(refusal.code, refusal.message)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(body)).encode()),
        *refusal.headers,
    ]
    await send({"type": "http.response.start", "status": int(refusal.status), "headers": headers})
    await send({"type": "http.response.body", "body": body})
