"""Who reviews, how many opinions facts need, and the audit log."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Literal, TypeAlias, get_args

import sqlalchemy as sa

from momok.errors import ConfigError
from momok.serving.reviews.database import Database, in_transaction
from momok.serving.reviews.tables import audit, reviewers, settings

Role: TypeAlias = Literal["reviewer", "settler", "admin"]
"""What somebody may do; each may do what those before it may.

A reviewer decides. A settler has the last word where opinions differ. An admin also changes how
many opinions facts need and reads the audit log.
"""
ROLES: tuple[Role, ...] = get_args(Role)

MOST_OPINIONS = 10
_LONGEST_NAME = 80
_SHARES = 1 << 32


@dataclass(frozen=True, kw_only=True)
class Reviewer:
    """Somebody with a token of their own.

    Attributes:
        name: as it is written to decisions.
        role: what they may do.
        token: the digest of the token, in hex; the token itself is nowhere.
        added, revoked: when, in ISO 8601, UTC; ``revoked`` is "" while the token is good.
    """

    name: str
    role: Role
    token: str
    added: str
    revoked: str


@dataclass(frozen=True, kw_only=True)
class Overlap:
    """How many people give their opinion on a fact, none knowing those of others.

    Attributes:
        opinions: of a fact that is chosen; others need one.
        share: of facts that are chosen, in (0, 1]: which ones follows from their labels alone.

    Raises:
        ConfigError: a value that cannot be.
    """

    opinions: int = 1
    share: float = 1.0

    def __post_init__(self) -> None:
        """Check both."""
        if not 1 <= self.opinions <= MOST_OPINIONS:
            raise ConfigError(f"opinions = {self.opinions}: expected 1 to {MOST_OPINIONS}")
        if not 0 < self.share <= 1:
            raise ConfigError(f"share = {self.share:g}: expected more than 0 and at most 1")

    def count_needed(self, key: str) -> int:
        """How many opinions the fact with this key needs; see ``hash_fact``."""
        return self.opinions if int(key[:8], 16) < self.share * _SHARES else 1


@dataclass(frozen=True, kw_only=True)
class AuditEntry:
    """One line of the audit log, which is only ever added to.

    Attributes:
        id: counts up.
        at: when, in ISO 8601, UTC.
        who: a name, or where a command was given.
        action: what was done.
        about: to what.
    """

    id: int
    at: str
    who: str
    action: str
    about: str


class Accounts(Database):
    """Reviewers, overlap and audit log of one database."""

    @in_transaction
    def add_reviewer(self, connection: sa.Connection, name: str, role: Role, *, by: str) -> str:
        """Add a reviewer, or take back one whose token was revoked; gives the token.

        Raises:
            ConfigError: the name cannot be one, or somebody has it.
        """
        name = _check_name(name)
        known = _find_reviewer(connection, name)
        if known is not None:  # who comes back is who decided before, in whatever case it is given
            name = known["name"]
        token = secrets.token_urlsafe(32)
        row = {"name": name, "role": role, "token": hash_token(token)}
        row |= {"added": now(), "revoked": ""}
        if known is None:
            connection.execute(sa.insert(reviewers).values(name_key=_hash_name(name), **row))
        elif known["revoked"]:
            same = reviewers.c.id == known["id"]
            connection.execute(sa.update(reviewers).where(same).values(row))
        else:
            raise ConfigError(
                f"{known['name']} has a token already ({known['role']}); for a new one or another "
                "role revoke it first"
            )
        write_audit(connection, by, "add reviewer", f"{name}, {role}")
        return token

    @in_transaction
    def revoke_reviewer(self, connection: sa.Connection, name: str, *, by: str) -> None:
        """End a reviewer's token; the name and all decisions stay.

        Raises:
            ConfigError: nobody has the name, or the token is revoked already.
        """
        known = _find_reviewer(connection, name)
        if known is None or known["revoked"]:
            what = "has no token any more" if known else "is no reviewer"
            raise ConfigError(f"{name} {what}; momok reviewers list shows who is")
        same = reviewers.c.id == known["id"]
        connection.execute(sa.update(reviewers).where(same).values(revoked=now()))
        write_audit(connection, by, "revoke reviewer", known["name"])

    def list_reviewers(self) -> list[Reviewer]:
        """All reviewers in the order they were added, revoked ones too."""
        rows = self.read(sa.select(reviewers).order_by(reviewers.c.id))
        names = [field.name for field in fields(Reviewer)]
        return [Reviewer(**{name: row[name] for name in names}) for row in rows]

    # -- how many opinions -------------------------------------------------------------------

    def get_overlap(self) -> Overlap:
        """How many opinions facts need."""
        return _to_overlap(self.read(_SELECT_OVERLAP))

    @in_transaction
    def set_overlap(self, connection: sa.Connection, overlap: Overlap, *, by: str) -> None:
        """Change it, for facts that nobody has given an opinion on yet."""
        connection.execute(sa.delete(settings).where(settings.c.name == "overlap"))
        value = f"{overlap.opinions} {overlap.share!r}"
        connection.execute(sa.insert(settings).values(name="overlap", value=value))
        about = f"{overlap.opinions} opinions on {100 * overlap.share:g} % of facts"
        write_audit(connection, by, "set overlap", about)

    # -- the audit log -----------------------------------------------------------------------

    @in_transaction
    def record(self, connection: sa.Connection, who: str, action: str, about: str = "") -> None:
        """Add a line to the audit log."""
        write_audit(connection, who, action, about)

    def list_audit(
        self, *, before: int | None = None, limit: int = 50
    ) -> tuple[list[AuditEntry], int | None]:
        """The audit log, latest first: (a page, where the next begins)."""
        query = sa.select(audit).order_by(audit.c.id.desc()).limit(limit + 1)
        if before is not None:
            query = query.where(audit.c.id < before)
        entries = [AuditEntry(**row) for row in self.read(query)]
        return entries[:limit], entries[limit - 1].id if len(entries) > limit else None


_SELECT_OVERLAP = sa.select(settings.c.value).where(settings.c.name == "overlap")


def read_overlap(connection: sa.Connection) -> Overlap:
    """How many opinions facts need, in a transaction."""
    return _to_overlap(connection.execute(_SELECT_OVERLAP).mappings().all())


def write_audit(connection: sa.Connection, who: str, action: str, about: str = "") -> None:
    """Add a line to the audit log in the transaction of what it tells of."""
    connection.execute(sa.insert(audit).values(at=now(), who=who, action=action, about=about))


def hash_token(token: str) -> str:
    """The digest of a token that the database has; see ``make_proof``."""
    return hash_proof(make_proof(token))


def make_proof(token: str) -> str:
    """What a browser keeps of a token it has shown: SHA-256, in hex.

    The database has the digest of this alone: who reads it can make neither the token nor a
    session. A slow digest would add nothing to 256 random bits.
    """
    return hashlib.sha256(token.encode("utf-8", "replace")).hexdigest()


def hash_proof(proof: str) -> str:
    """The digest that the database has of a token, from its proof."""
    return hashlib.sha256(proof.encode("utf-8", "replace")).hexdigest()


def now() -> str:
    """The time in ISO 8601, UTC."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _to_overlap(rows: Sequence[sa.RowMapping]) -> Overlap:
    if not rows:
        return Overlap()
    opinions, share = rows[0]["value"].split()
    return Overlap(opinions=int(opinions), share=float(share))


def _find_reviewer(connection: sa.Connection, name: str) -> sa.RowMapping | None:
    query = sa.select(reviewers).where(reviewers.c.name_key == _hash_name(name))
    return connection.execute(query).mappings().first()


def _hash_name(name: str) -> str:
    return hashlib.sha256(name.strip().casefold().encode("utf-8", "replace")).hexdigest()


def _check_name(name: str) -> str:
    name = " ".join(name.split())
    if not name or not name.isprintable() or len(name) > _LONGEST_NAME:
        raise ConfigError(
            f"{name[:100]!r}: a name has 1 to {_LONGEST_NAME} characters, none of them for control"
        )
    return name
