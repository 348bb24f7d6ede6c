"""Who may ask, from where: token, sessions, and protection from other sites' pages.

- The token is compared in constant time, as a digest, so that its length does not show either.
- A browser shows the token once, at ``/login``, and gets a signed session cookie. The signature
  depends on the token: another token ends all sessions.
- A page of another site can make a browser send requests here. What changes something therefore
  needs a form token of this session, or a JSON body without a cookie, which such a page cannot
  send without asking; and where the browser names the origin, it must be this server.
- Such a page can also give its own name this machine's address (DNS rebinding). The host name of a
  request must therefore be one this server is known under; addresses in digits cannot be rebound.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import secrets
import socket
import time
from collections.abc import Iterable
from dataclasses import dataclass
from http.cookies import CookieError, SimpleCookie
from urllib.parse import urlsplit

__all__ = ["SECURITY_HEADERS", "Gatekeeper", "Session", "is_local_path"]

SECURITY_HEADERS: tuple[tuple[bytes, bytes], ...] = (
    (
        b"content-security-policy",
        b"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        b"connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    ),
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), geolocation=(), microphone=()"),
)
"""Sent with every answer. No inline script or style, nothing from elsewhere, no framing."""

_SESSION_SECONDS = 12 * 3600
_FUTURE = 300  # seconds by which another server's clock may be ahead


@dataclass(frozen=True)
class Session:
    """A browser that was here before.

    Attributes:
        value: the cookie.
        form_token: what its forms must carry.
        trusted: whether it has shown the token (or none is asked for).
    """

    value: str
    form_token: str
    trusted: bool


class Gatekeeper:
    """Checks hosts, origins, tokens and sessions.

    Args:
        token: what clients must show; "" asks for none.
        secret: signs sessions; the same after a restart, so that open pages stay usable.
        host: the address bound to.
        allowed_hosts: further names of this server.
    """

    def __init__(
        self, *, token: str, secret: str, host: str, allowed_hosts: Iterable[str] = ()
    ) -> None:
        self._token = _digest(token) if token else b""
        self._key = hmac.digest(secret.encode(), b"momok session " + self._token, "sha256")
        self.cookie = f"momok_{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
        names = {"localhost", host, socket.gethostname(), *allowed_hosts}
        self._hosts = {name.casefold().rstrip(".") for name in names if name}

    @property
    def asks_token(self) -> bool:
        """Whether clients must show a token."""
        return bool(self._token)

    # -- where a request comes from --------------------------------------------------------

    def is_our_host(self, host: str) -> bool:
        """Whether a ``Host`` header names this server."""
        name = _strip_port(host).casefold().rstrip(".")
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name.strip("[]"))
        except ValueError:
            return False
        return True

    @staticmethod
    def is_same_origin(host: str, origin: str | None, fetch_site: str | None) -> bool:
        """Whether what the browser says of a request's origin, if anything, is this server."""
        if fetch_site is not None and fetch_site not in ("same-origin", "none"):
            return False
        if origin is None:
            return True
        try:
            return urlsplit(origin).netloc.casefold() == host.casefold()
        except ValueError:
            return False

    # -- token and sessions ----------------------------------------------------------------

    def is_token(self, given: str) -> bool:
        """Whether this is the token."""
        return hmac.compare_digest(_digest(given), self._token)

    def is_bearer(self, authorization: str | None) -> bool:
        """Whether an ``Authorization`` header carries the token."""
        scheme, _, given = (authorization or "").partition(" ")
        return scheme.casefold() == "bearer" and self.is_token(given.strip())

    def new_session(self, *, trusted: bool) -> Session:
        """Begin a session."""
        level = "t" if trusted else "v"
        stem = f"{level}.{int(time.time())}.{secrets.token_hex(16)}"
        return self._describe(f"{stem}.{self._sign(stem)}", level)

    def read_session(self, cookies: str | None) -> Session | None:
        """The session of a ``Cookie`` header, if it is one of ours and not too old."""
        try:
            morsel = SimpleCookie(cookies or "").get(self.cookie)
        except CookieError:
            return None
        if morsel is None:
            return None
        stem, _, signature = morsel.value.rpartition(".")
        level, _, rest = stem.partition(".")
        if not hmac.compare_digest(self._sign(stem).encode(), signature.encode("utf-8", "replace")):
            return None
        age = time.time() - int(rest.partition(".")[0])
        if not -_FUTURE <= age <= _SESSION_SECONDS:
            return None
        return self._describe(morsel.value, level)

    def is_form_token(self, session: Session | None, given: str) -> bool:
        """Whether a form token belongs to this session."""
        if session is None:
            return False
        return hmac.compare_digest(session.form_token.encode(), given.encode("utf-8", "replace"))

    def write_cookie(self, session: Session, *, secure: bool) -> str:
        """The ``Set-Cookie`` header of a session."""
        return (
            f"{self.cookie}={session.value}; Path=/; HttpOnly; SameSite=Lax; "
            f"Max-Age={_SESSION_SECONDS}" + ("; Secure" if secure else "")
        )

    def clear_cookie(self) -> str:
        """The ``Set-Cookie`` header that ends a session."""
        return f"{self.cookie}=; Path=/; HttpOnly; SameSite=Lax; Max-Age=0"

    def _describe(self, value: str, level: str) -> Session:
        form_token = hmac.digest(self._key, b"form " + value.encode(), "sha256").hex()
        return Session(value, form_token, trusted=level == "t" or not self.asks_token)

    def _sign(self, stem: str) -> str:
        return hmac.digest(self._key, stem.encode("utf-8", "replace"), "sha256").hex()


def is_local_path(path: str) -> bool:
    """Whether a redirect to this path stays on this server."""
    return path.startswith("/") and not path.startswith(("//", "/\\")) and path.isprintable()


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()


def _strip_port(host: str) -> str:
    if host.startswith("["):
        return host.partition("]")[0] + "]"
    return host.partition(":")[0]
