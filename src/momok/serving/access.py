"""Who may ask, from where: the token, sessions, and protection from other sites' pages.

- A browser shows a token once, at ``/login``, and is trusted by a signed session cookie. The
  signature depends on the server's token: another one ends all sessions. That of a reviewer ends
  the sessions of this reviewer when it is revoked.
- A page of another site can make a browser send requests here. Browsers name the origin of every
  request that may change something (Origin, Sec-Fetch-Site); it must be this server.
- Such a page can also give its own name this machine's address (DNS rebinding). The host name of a
  request must therefore be one this server is known under; addresses in digits cannot be rebound.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import socket
import time
from contextlib import suppress
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from momok.serving.identity import AccessError, Gate, Visitor
from momok.serving.metrics import Metrics
from momok.serving.schemas import MAX_BODY, MAX_UPLOAD
from momok.serving.settings import ServeSettings

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}
"""Sent with every answer. No inline script or style, nothing from elsewhere, no framing."""

_SESSION_SECONDS = 365 * 24 * 3600  # for the name of a reviewer
_DRAINED = 64 << 20  # bytes of a body that is refused which are read all the same
_PAUSE = 1.0  # seconds without any that end this
_OPEN_PATHS = ("/health", "/ready", "/login")  # no token needed, as for /static/
_UPLOADS = ("/new", "/api/v1/predict/new")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LONG_LIVED = "public, max-age=31536000, immutable"


class Access:
    """Checks and counts every request, and adds headers to every answer."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        settings: ServeSettings,
        secret: str,
        gate: Gate,
        metrics: Metrics,
    ) -> None:
        self._app, self._gate, self._metrics = app, gate, metrics
        self._root = settings.root_path
        names = {"localhost", settings.host, socket.gethostname(), *settings.allowed_hosts}
        self._hosts = {name.casefold().rstrip(".") for name in names if name}
        key = hmac.digest(secret.encode(), settings.token.encode(), "sha256").hex()
        cookie = f"momok_{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
        self._sessions = {
            scheme: SessionMiddleware(
                self._check, key, cookie, _SESSION_SECONDS, https_only=scheme == "https"
            )
            for scheme in ("http", "https")
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if f"{scope['path']}/".startswith(f"{self._root}/"):  # a proxy may have taken it away
            scope["path"] = scope["path"].removeprefix(self._root) or "/"
        began, status = time.perf_counter(), 500

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                fixed = scope["path"].startswith("/static/") and scope["query_string"]
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
                headers.setdefault("cache-control", _LONG_LIVED if fixed else "no-store")
            await send(message)

        try:
            with self._metrics.in_flight.track_inprogress():
                await self._sessions[scope["scheme"]](scope, receive, send_with_headers)
        finally:
            self._metrics.count_request(scope, status, time.perf_counter() - began)

    async def _check(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope)
        try:
            check_origin(request, self._hosts)
            await self._gate.refresh()
            self._gate.forget_taken_name(request.session)
            request.state.visitor = check_token(request, self._gate, self._root)
            limit = MAX_UPLOAD if scope["path"] in _UPLOADS else MAX_BODY
            limited = limit_body(request, receive, limit)
        except AccessError as error:
            if error.status_code == 413:
                await drain_body(receive)
            refusal = answer_error(error.status_code, error.code, error.detail)
            refusal.headers.update(error.headers or {})
            await refusal(scope, receive, send)
            return
        await self._app(scope, limited, send)


def answer_error(status: int, code: str, message: str) -> JSONResponse:
    """The answer to a request that goes wrong; see ``ErrorAnswer``."""
    readable = message.encode("utf-8", "replace").decode()  # half a character has no UTF-8
    return JSONResponse({"error": {"code": code, "message": readable}}, status)


def check_origin(request: Request, hosts: set[str]) -> None:
    """Refuse other names of this server's address, and changes from other sites' pages."""
    given = request.headers.getlist("host")
    if len(given) != 1 or not _is_known_host(given[0], hosts):
        raise AccessError(
            421,
            "unknown_host",
            "this server is not known under this host name; start it with --allow-host NAME",
        )
    if request.method in _SAFE_METHODS:
        return
    site = request.headers.get("sec-fetch-site", "none")
    origin = request.headers.get("origin", f"https://{given[0]}").partition("://")[2]
    if site not in ("same-origin", "none") or origin.casefold() != given[0].casefold():
        raise AccessError(403, "other_origin", "this request comes from another site")


def check_token(request: Request, gate: Gate, root: str) -> Visitor | None:
    """Who asks; refuses who shows neither a token nor a session that has shown one.

    None is nobody in particular, where pages are open to all. ``root`` is what the addresses on
    this server begin with.
    """
    if not gate.is_closed:
        return Visitor("admin")
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    visitor = gate.find_by_token(given.strip()) if scheme.casefold() == "bearer" else None
    visitor = visitor or gate.find_by_session(request.session)
    path = request.url.path
    if visitor is not None or path in _OPEN_PATHS or path.startswith("/static/"):
        return visitor
    if request.method == "GET" and "text/html" in request.headers.get("accept", ""):
        wanted = quote(path) + (f"?{request.url.query}" if request.url.query else "")
        place = f"{root}/login?next={quote(wanted, safe='')}"
        raise AccessError(303, "token_needed", "log in", location=place)
    message = "send the token: Authorization: Bearer TOKEN"
    raise AccessError(401, "token_needed", message, **{"www-authenticate": "Bearer"})


def limit_body(request: Request, receive: Receive, limit: int) -> Receive:
    """Receive a body of at most so many bytes; refuses one that says that it is larger."""
    too_large = AccessError(413, "too_large", f"the body is larger than {limit:,} bytes")
    announced = request.headers.get("content-length", "")
    if announced.isdigit() and int(announced) > limit:
        raise too_large
    size = 0

    async def receive_limited() -> Message:
        nonlocal size
        message = await receive()
        size += len(message.get("body", b""))
        if size > limit:
            await drain_body(receive)
            raise too_large
        return message

    return receive_limited


async def drain_body(receive: Receive) -> None:
    """Read on for a while: who still sends when the connection is closed sees no answer."""
    left, more = _DRAINED, True
    while more and left > 0:
        more = False
        with suppress(TimeoutError):
            message = await asyncio.wait_for(receive(), _PAUSE)
            left -= len(message.get("body", b""))
            more = message.get("more_body", False)


def is_local_path(path: str) -> bool:
    """Whether a redirect to this path stays on this server."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _is_known_host(host: str, hosts: set[str]) -> bool:
    name = host.partition("]")[0] if host.startswith("[") else host.partition(":")[0]
    name = name.lstrip("[").casefold().rstrip(".")
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return name in hosts
    return True
