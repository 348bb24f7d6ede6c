"""Who asks: the token or session of a request, the name and the role that go with it.

Without a token and without reviewers nobody is asked for anything. Who shows the server's own token
is an admin under whatever name they give; who shows a reviewer's token has that name and role.
"""

from __future__ import annotations

import hashlib
import hmac
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException

from momok.errors import StorageError
from momok.serving.reviews.accounts import (
    ROLES,
    Accounts,
    Reviewer,
    Role,
    hash_proof,
    hash_token,
    make_proof,
)

SERVER_TOKEN = "server token"  # in the audit log, for who showed it
_FRESH_SECONDS = 2.0  # after which the reviewers are read again: a revoked token ends by then
_TRUSTED_SECONDS = 12 * 3600


class AccessError(HTTPException):
    """A request that goes no further; programs tell errors apart by the code."""

    def __init__(self, status: int, code: str, message: str, **headers: str) -> None:
        super().__init__(status, message, headers)
        self.code = code


@dataclass(frozen=True)
class Visitor:
    """Somebody who asks.

    Attributes:
        role: what they may do.
        name: of a reviewer who showed a token; "" leaves it to them.
    """

    role: Role
    name: str = ""

    def may(self, role: Role) -> bool:
        """Whether they may do what this role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


class Gate:
    """Knows the server's token and the reviewers, and tells by them who asks.

    Args:
        accounts: where reviewers are kept.
        token: the server's own; "" is none.

    Raises:
        StorageError: the reviewers cannot be read.
    """

    def __init__(self, accounts: Accounts, token: str) -> None:
        self._accounts, self._token = accounts, token
        self._read_at = 0.0
        self._read()

    @property
    def is_closed(self) -> bool:
        """Whether people have to sign in."""
        return bool(self._token or self._reviewers)

    async def refresh(self) -> None:
        """Read the reviewers again where that is due; without a database they stay as they are."""
        if time.monotonic() - self._read_at > _FRESH_SECONDS:
            self._read_at = time.monotonic()
            with suppress(StorageError):
                await run_in_threadpool(self._read)

    def find_by_token(self, given: str) -> Visitor | None:
        """Who shows this token."""
        if self._token and is_token(given, self._token):
            return Visitor("admin")
        return self._find(hash_token(given))

    def find_by_session(self, session: dict[str, Any]) -> Visitor | None:
        """Who signed in with a browser."""
        if session.get("trusted_until", 0.0) <= time.time():
            return None
        if proof := session.get("account", ""):
            return self._find(hash_proof(proof))
        return Visitor("admin") if self._token else None

    def forget_taken_name(self, session: dict[str, Any]) -> None:
        """Let a browser go by no name that belongs to a reviewer by now."""
        if self._is_taken(session.get("reviewer", "")):
            del session["reviewer"]

    def choose_name(self, request: Request, given: str) -> str:
        """The name under which somebody decides; ``given`` is the one they give.

        Raises:
            AccessError: it belongs to another one, or there is none.
        """
        own = get_visitor(request).name
        if own:
            if given not in ("", own):
                message = f"this token is that of {own}: leave out the other name"
                raise AccessError(403, "other_name", message)
            return own
        if not given:
            raise AccessError(422, "wrong_value", "reviewer: give the name of who decides")
        if self._is_taken(given):
            message = f"{given} is a reviewer, who shows a token for it"
            raise AccessError(403, "other_name", message)
        return given

    def describe(self, request: Request) -> str:
        """Who asks, for the audit log."""
        viewer = get_viewer(request)
        if get_visitor(request).name or not self.is_closed:
            return viewer or "anybody"
        return f"{SERVER_TOKEN} ({viewer})" if viewer else SERVER_TOKEN

    def _is_taken(self, name: str) -> bool:
        """Whether it is that of a reviewer, however it is written."""
        return " ".join(name.split()).casefold() in self._names

    def _find(self, digest: str) -> Visitor | None:
        found = self._reviewers.get(digest)
        return None if found is None or found.revoked else Visitor(found.role, found.name)

    def _read(self) -> None:
        reviewers = self._accounts.list_reviewers()
        self._reviewers: dict[str, Reviewer] = {entry.token: entry for entry in reviewers}
        self._names = {entry.name.casefold() for entry in reviewers}
        self._read_at = time.monotonic()


def trust(request: Request, visitor: Visitor, given: str) -> None:
    """Trust the browser of a request, which has shown this token of theirs, for 12 hours."""
    request.session["trusted_until"] = time.time() + _TRUSTED_SECONDS
    request.session["account"] = make_proof(given) if visitor.name else ""


def sign_out(request: Request) -> None:
    """Ask the browser of a request for a token again."""
    for key in ("trusted_until", "account"):
        request.session.pop(key, None)


def is_token(given: str, token: str) -> bool:
    """Whether this is the token; in constant time, so that its length does not show either."""
    return hmac.compare_digest(_digest(given), _digest(token))


def get_visitor(request: Request) -> Visitor:
    """Who asks; on pages that are open to all, perhaps nobody who may anything."""
    found: Visitor | None = request.state.visitor
    return found or Visitor("reviewer")


def get_viewer(request: Request) -> str:
    """Whose opinions somebody sees while others are missing; "" where they have no name."""
    return get_visitor(request).name or str(request.session.get("reviewer", ""))


def needs(role: Role) -> Any:
    """A dependency of operations that not everybody may call."""

    async def check(request: Request) -> Visitor:
        visitor = get_visitor(request)
        if not visitor.may(role):
            raise AccessError(403, "not_allowed", f"this needs the role {role}; ask an admin")
        return visitor

    return Depends(check)


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode("utf-8", "replace")).digest()
