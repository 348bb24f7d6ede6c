"""Who may ask, from where: the token, sessions, and protection from other sites' pages.

- The token is compared in constant time, as a digest, so that its length does not show either.
- A browser shows the token once, at ``/login``, and is trusted by a signed session cookie. The
  signature depends on the token: another token ends all sessions.
- A page of another site can make a browser send requests here. Browsers name the origin of every
  request that may change something (Origin, Sec-Fetch-Site); it must be this server.
- Such a page can also give its own name this machine's address (DNS rebinding). The host name of a
  request must therefore be one this server is known under; addresses in digits cannot be rebound.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
import time
from urllib.parse import quote

from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from momok.serving.metrics import Metrics
from momok.serving.schemas import MAX_BODY
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
_TRUSTED_SECONDS = 12 * 3600
_OPEN_PATHS = ("/health", "/ready", "/login")  # no token needed, as for /static/
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
_LONG_LIVED = "public, max-age=31536000, immutable"


class AccessError(HTTPException):
    """A request that goes no further; programs tell errors apart by the code."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(status, message, headers)
        self.code = code


class Access:
    """Checks and counts every request, and adds headers to every answer."""

    def __init__(
        self, app: ASGIApp, *, settings: ServeSettings, secret: str, metrics: Metrics
    ) -> None:
        self._app, self._token, self._metrics = app, settings.token, metrics
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
            check_token(request, self._token, self._root)
            receive = limit_body(request, receive, MAX_BODY)
        except AccessError as error:
            refusal = answer_error(error.status_code, error.code, error.detail)
            refusal.headers.update(error.headers or {})
            await refusal(scope, receive, send)
            return
        await self._app(scope, receive, send)


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


def check_token(request: Request, token: str, root: str) -> None:
    """Refuse who shows neither the token nor a session that has shown it.

    ``root`` is what the addresses on this server begin with.
    """
    path = request.url.path
    if not token or path in _OPEN_PATHS or path.startswith("/static/"):
        return
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme.casefold() == "bearer" and is_token(given.strip(), token):
        return
    if request.session.get("trusted_until", 0.0) > time.time():
        return
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
            raise too_large
        return message

    return receive_limited


def trust(request: Request) -> None:
    """Trust the browser of a request, which has shown the token, for 12 hours."""
    request.session["trusted_until"] = time.time() + _TRUSTED_SECONDS


def distrust(request: Request) -> None:
    """Ask the browser of a request for the token again."""
    request.session.pop("trusted_until", None)


def is_token(given: str, token: str) -> bool:
    """Whether this is the token."""
    return hmac.compare_digest(_digest(given), _digest(token))


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


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
