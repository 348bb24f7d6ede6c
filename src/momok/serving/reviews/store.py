"""Writes and reads reviews, in any database that SQLAlchemy reaches.

Two reviewers, or two servers, never decide the same fact twice: a decision changes the fact's row
only where it still has the version that the reviewer saw, and the events of a fact have distinct
versions. A decision that was answered is on the disk: the transaction is committed before.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from momok.errors import StorageError
from momok.serving.reviews.database import (
    READ_ONLY,
    events,
    facts,
    metadata,
    open_engine,
    settings,
    to_event,
    to_review,
)
from momok.serving.reviews.records import Decision, Event, Fact, Review, State, hash_fact
from momok.serving.reviews.writing import decide, find_facts, lease, undo

Result = TypeVar("Result")
_ATTEMPTS = 6  # of a transaction that met another one

_EVENTS = (
    sa.select(events, facts.c.head, facts.c.relation, facts.c.tail)
    .join(facts, facts.c.id == events.c.fact)
    .order_by(events.c.id.desc())
)


class ReviewStore:
    """The reviews of one graph.

    Args:
        url: where, as SQLAlchemy writes it: ``sqlite:///reviews.sqlite``,
            ``postgresql+psycopg://user@host/base``.
        lease_seconds: how long a fact is kept for the reviewer it was given to.

    Raises:
        ConfigError: the address is not one, or its driver is not installed.
        StorageError: the database cannot be reached.
    """

    def __init__(self, url: str, *, lease_seconds: float = 300.0) -> None:
        self.lease_seconds = lease_seconds
        self._engine = open_engine(url)
        try:
            self._transact(metadata.create_all)
        except StorageError:
            self._engine.dispose()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def ping(self) -> bool:
        """Whether the database answers."""
        try:
            self._read(sa.select(sa.literal(1)))
        except StorageError:
            return False
        return True

    def load_secret(self) -> str:
        """A secret of this database, made when first asked for; survives restarts."""

        def load(connection: sa.Connection) -> str:
            query = sa.select(settings.c.value).where(settings.c.name == "secret")
            found: str | None = connection.execute(query).scalar()
            if found is None:
                found = secrets.token_hex(32)
                connection.execute(sa.insert(settings).values(name="secret", value=found))
            return found

        return self._transact(load)

    # -- decisions -------------------------------------------------------------------------

    def lease(
        self, candidates: Sequence[tuple[Fact, float | None]], reviewer: str
    ) -> Review | None:
        """Give the first candidate that nobody decided, holds or (of this reviewer) skipped.

        It is then kept for the reviewer for ``lease_seconds``; who holds one already gets it again
        while it is among the candidates, of several the one given last.

        Args:
            candidates: facts and their probabilities, best first.
            reviewer: who asks.
        """
        return self._transact(lambda c: lease(c, candidates, reviewer, self.lease_seconds))

    def release(self, reviewer: str) -> None:
        """Give back what a reviewer holds."""
        held = sa.update(facts).where(facts.c.lease_holder == reviewer)
        self._transact(lambda c: c.execute(held.values(lease_until=0.0)))

    def decide(self, decision: Decision) -> Review:
        """Write a decision down; when this returns it is on the disk.

        Raises:
            ReviewConflictError: the fact was decided already, or changed since the reviewer saw it.
            StorageError: the database refused.
        """
        return self._transact(lambda c: decide(c, decision))

    def undo(self, reviewer: str) -> Review:
        """Take back the reviewer's latest decision or skip; the fact is open again, kept for them.

        Decisions on facts that changed since are passed over.

        Raises:
            ReviewConflictError: there is none, or all of those facts have changed since.
        """
        return self._transact(lambda c: undo(c, reviewer, self.lease_seconds))

    # -- reading ---------------------------------------------------------------------------

    def get(self, fact: Fact) -> Review:
        """Where a fact stands; an open review of version 0 where nobody has touched it."""
        return self.get_many([fact])[0]

    def get_many(self, wanted: Sequence[Fact]) -> list[Review]:
        """Where facts stand, in their order."""
        keys = [hash_fact(fact) for fact in wanted]
        found = self._reading(lambda c: find_facts(c, keys))
        return [
            to_review(found[key])
            if key in found
            else Review(head=fact[0], relation=fact[1], tail=fact[2])
            for key, fact in zip(keys, wanted, strict=True)
        ]

    def list_reviews(
        self,
        *,
        state: State | None = None,
        relation: str | None = None,
        after: int = 0,
        limit: int = 50,
    ) -> tuple[list[Review], int | None]:
        """Touched facts in the order they were first touched: (a page, where the next begins)."""
        query = sa.select(facts).where(facts.c.id > after).order_by(facts.c.id)
        query = query.where(facts.c.version > 0 if state is None else facts.c.state == state)
        if relation is not None:
            query = query.where(facts.c.relation == relation)
        rows, following = self._read_page(query, limit)
        return [to_review(row) for row in rows], following

    def list_events(
        self, *, before: int | None = None, limit: int = 50
    ) -> tuple[list[Event], int | None]:
        """The history, latest first: (a page, where the next begins)."""
        query = _EVENTS if before is None else _EVENTS.where(events.c.id < before)
        rows, following = self._read_page(query, limit)
        return [to_event(row) for row in rows], following

    def iterate_accepted(self) -> Iterator[Review]:
        """All accepted facts, in the order they were first touched."""
        after: int | None = 0
        while after is not None:
            page, after = self.list_reviews(state="accepted", after=after, limit=1000)
            yield from page

    def count(self) -> dict[str, dict[State, int]]:
        """How many facts were accepted and rejected: by relation label, then by state."""
        query = (
            sa.select(facts.c.relation, facts.c.state, sa.func.count().label("number"))
            .where(facts.c.state != "open")
            .group_by(facts.c.relation, facts.c.state)
        )
        counts: dict[str, dict[State, int]] = {}
        for row in self._read(query):
            counts.setdefault(row["relation"], {})[row["state"]] = row["number"]
        return counts

    # -- the database ----------------------------------------------------------------------

    def _read_page(
        self, query: sa.Select[Any], limit: int
    ) -> tuple[Sequence[sa.RowMapping], int | None]:
        """Rows, and the id of the last one where more follow."""
        rows = self._read(query.limit(limit + 1))
        return rows[:limit], rows[limit - 1]["id"] if len(rows) > limit else None

    def _read(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        return self._reading(lambda c: c.execute(query).mappings().all())

    def _reading(self, work: Callable[[sa.Connection], Result]) -> Result:
        try:
            with self._engine.connect() as connection:
                return work(connection.execution_options(**{READ_ONLY: True}))
        except SQLAlchemyError as error:
            message = f"the review database cannot be read: {_shorten(error)}"
            raise StorageError(message) from error

    def _transact(self, work: Callable[[sa.Connection], Result]) -> Result:
        """Run in a transaction; again when another transaction was in the way."""
        for attempt in range(_ATTEMPTS):
            try:
                with self._engine.begin() as connection:
                    return work(connection)
            except SQLAlchemyError as error:
                if attempt == _ATTEMPTS - 1 or not _is_passing(error):
                    raise StorageError(
                        f"the review database refused: {_shorten(error)}; nothing was written"
                    ) from error
                time.sleep(0.01 * 2**attempt * (1 + secrets.randbelow(100) / 100))
        raise AssertionError


def _is_passing(error: SQLAlchemyError) -> bool:
    """Whether the same transaction may succeed later: a lock, a deadlock, a row just written.

    Or a table: another server may be making them at the same time.
    """
    state = str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")
    text = str(getattr(error, "orig", ""))
    return (
        isinstance(error, IntegrityError)
        or state.startswith("40")
        or state in ("55P03", "42P07", "42710")
        or "locked" in text
        or "busy" in text
    )


def _shorten(error: SQLAlchemyError) -> str:
    """The database's own words, in one line, without the statement."""
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split())[:300] or type(error).__name__
