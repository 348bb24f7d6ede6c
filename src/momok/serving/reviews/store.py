"""Writes and reads reviews.

Two reviewers, or two servers, never decide the same fact twice: a decision changes the fact's row
only where it still has the version that the reviewer saw, and the events of a fact have distinct
versions. A decision that was answered is on the disk: the transaction is committed before.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from momok.serving.reviews.database import Database, events, facts, in_transaction, skips
from momok.serving.reviews.records import (
    Action,
    Decision,
    Event,
    Fact,
    Review,
    ReviewConflictError,
    State,
    hash_fact,
)

Record = TypeVar("Record", Review, Event)
Row: TypeAlias = Mapping[Any, Any]

_AFTER: dict[Action, State] = {"accept": "accepted", "reject": "rejected", "skip": "open"}
_LEASE_SECONDS = 300.0  # how long a fact is kept for the reviewer it was given to
_FREE = {"lease_holder": "", "lease_until": 0.0}


class ReviewStore(Database):
    """The reviews of one graph, in a database."""

    # -- decisions -------------------------------------------------------------------------

    @in_transaction
    def lease(
        self,
        connection: sa.Connection,
        candidates: Sequence[tuple[Fact, float | None]],
        reviewer: str,
    ) -> Review | None:
        """Give the first candidate that nobody decided, holds or (of this reviewer) skipped.

        It is then kept for the reviewer for five minutes; who holds one already gets it again
        while it is among the candidates, of several the one given last.

        Args:
            connection: of the transaction.
            candidates: facts and their probabilities, best first.
            reviewer: who asks.
        """
        now = time.time()
        keys = {hash_fact(fact): (fact, probability) for fact, probability in candidates}
        rows = connection.execute(_select_facts(list(keys))).mappings()
        found: dict[str, Row] = {row["key"]: row for row in rows}
        mine = skips.c.reviewer_key == _hash_name(reviewer)
        skipped = set(connection.execute(sa.select(skips.c.fact).where(mine)).scalars())
        free = {
            key: row
            for key, row in found.items()
            if row["state"] == "open" and row["id"] not in skipped
        }
        held = [k for k, row in free.items() if row["lease_holder"] == reviewer]
        held = [key for key in held if free[key]["lease_until"] >= now]
        held.sort(key=lambda key: -free[key]["lease_until"])
        for key in (*held, *keys):
            if key in found and key not in free:
                continue
            try:
                row = free.get(key) or _insert_fact(connection, *keys[key])
            except IntegrityError:
                continue  # another one was given it just now
            taken = connection.execute(
                sa.update(facts)
                .where(facts.c.id == row["id"], facts.c.state == "open")
                .where((facts.c.lease_holder == reviewer) | (facts.c.lease_until < now))
                .values(lease_holder=reviewer, lease_until=now + _LEASE_SECONDS)
            )
            if taken.rowcount == 1:
                return _to_record(Review, row)
        return None

    @in_transaction
    def release(self, connection: sa.Connection, reviewer: str) -> None:
        """Give back what a reviewer holds."""
        held = sa.update(facts).where(facts.c.lease_holder == reviewer)
        connection.execute(held.values(lease_until=0.0))

    @in_transaction
    def decide(self, connection: sa.Connection, decision: Decision) -> Review:
        """Write a decision down; when this returns it is on the disk.

        Raises:
            ReviewConflictError: the fact was decided already, or changed since the reviewer saw it.
            StorageError: the database refused.
        """
        repeated = _find_request(connection, decision)
        if repeated is not None:
            return repeated
        found = connection.execute(_select_facts([hash_fact(decision.fact)])).mappings().first()
        row = found or _insert_fact(connection, decision.fact, decision.probability)
        before = _to_record(Review, row)
        if decision.version is not None and decision.version != before.version:
            raise ReviewConflictError(
                f"this fact has changed since it was shown: it is {_describe(before)}", before
            )
        if before.state != "open":
            raise ReviewConflictError(f"this fact is decided already: {_describe(before)}", before)
        if decision.action == "skip":
            skip = {"fact": row["id"], "reviewer_key": _hash_name(decision.reviewer)}
            if connection.execute(sa.select(skips).filter_by(**skip)).first() is None:
                connection.execute(sa.insert(skips).values(skip))
        return _write(
            connection,
            row,
            _AFTER[decision.action],
            action=decision.action,
            reviewer=decision.reviewer,
            note=decision.note,
            request=decision.request or None,
        )

    @in_transaction
    def undo(self, connection: sa.Connection, reviewer: str) -> Review:
        """Take back the reviewer's latest decision or skip; the fact is open again, kept for them.

        What they wrote stays with it, for their next decision.
        Decisions on facts that changed since are passed over.

        Raises:
            ReviewConflictError: there is none, or all of those facts have changed since.
        """
        undone = sa.select(events.c.undoes).where(events.c.undoes.is_not(None))
        mine = (
            sa.select(events)
            .join(facts, facts.c.id == events.c.fact)
            .where(events.c.reviewer == reviewer, events.c.action != "undo")
            .where(events.c.id.not_in(undone))
            .order_by(events.c.id.desc())
            .limit(1)
        )
        unchanged = mine.where(events.c.version == facts.c.version)
        latest = connection.execute(unchanged).mappings().first()
        if latest is None:
            changed = connection.execute(mine).mappings().first()
            if changed is None:
                raise ReviewConflictError("there is nothing to undo")
            now = _to_record(Review, _get_fact(connection, changed["fact"]))
            raise ReviewConflictError(f"this fact has changed since: it is {_describe(now)}", now)
        skip = {"fact": latest["fact"], "reviewer_key": _hash_name(reviewer)}
        connection.execute(sa.delete(skips).filter_by(**skip))
        return _write(
            connection,
            _get_fact(connection, latest["fact"]),
            latest["before"],
            lease={"lease_holder": reviewer, "lease_until": time.time() + _LEASE_SECONDS},
            draft=latest["note"],
            action="undo",
            reviewer=reviewer,
            note="",
            undoes=latest["id"],
        )

    # -- reading ---------------------------------------------------------------------------

    def get(self, fact: Fact) -> Review:
        """Where a fact stands; an open review of version 0 where nobody has touched it."""
        return self.get_many([fact])[0]

    def get_many(self, wanted: Sequence[Fact]) -> list[Review]:
        """Where facts stand, in their order."""
        keys = [hash_fact(fact) for fact in wanted]
        found = {row["key"]: _to_record(Review, row) for row in self.read(_select_facts(keys))}
        return [
            found.get(key) or Review(head=head, relation=relation, tail=tail)
            for key, (head, relation, tail) in zip(keys, wanted, strict=True)
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
        return self._read_page(Review, query, limit)

    def list_events(
        self, *, before: int | None = None, limit: int = 50
    ) -> tuple[list[Event], int | None]:
        """The history, latest first: (a page, where the next begins)."""
        query = sa.select(events, facts.c.head, facts.c.relation, facts.c.tail)
        query = query.join(facts, facts.c.id == events.c.fact).order_by(events.c.id.desc())
        if before is not None:
            query = query.where(events.c.id < before)
        return self._read_page(Event, query, limit)

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
        for row in self.read(query):
            counts.setdefault(row["relation"], {})[row["state"]] = row["number"]
        return counts

    def _read_page(
        self, kind: type[Record], query: sa.Select[Any], limit: int
    ) -> tuple[list[Record], int | None]:
        """Records, and the id of the last one where more follow."""
        rows = self.read(query.limit(limit + 1))
        following = rows[limit - 1]["id"] if len(rows) > limit else None
        return [_to_record(kind, row) for row in rows[:limit]], following


def _select_facts(keys: list[str]) -> sa.Select[Any]:
    return sa.select(facts).where(facts.c.key.in_(keys))


def _get_fact(connection: sa.Connection, number: int) -> Row:
    return connection.execute(sa.select(facts).where(facts.c.id == number)).mappings().one()


def _find_request(connection: sa.Connection, decision: Decision) -> Review | None:
    """The outcome of this very request, if it was written before."""
    if not decision.request:
        return None
    query = (
        sa.select(facts, events.c.action.label("done"), events.c.reviewer.label("by"))
        .join(events, events.c.fact == facts.c.id)
        .where(events.c.request == decision.request)
    )
    row = connection.execute(query).mappings().first()
    if row is None:
        return None
    review = _to_record(Review, row)
    asked = decision.fact, decision.action, decision.reviewer
    if (review.fact, row["done"], row["by"]) != asked:
        raise ReviewConflictError("this request name was used for another decision", review)
    return review


def _insert_fact(connection: sa.Connection, fact: Fact, probability: float | None) -> Row:
    row = dict(zip(("head", "relation", "tail"), fact, strict=True), key=hash_fact(fact))
    insert = sa.insert(facts).values(probability=probability, changed=_now(), **row)
    with connection.begin_nested():  # fails where another one has just written the same fact
        inserted = connection.execute(insert)
    assert inserted.inserted_primary_key is not None
    return _get_fact(connection, inserted.inserted_primary_key[0])


def _write(
    connection: sa.Connection,
    row: Row,
    state: State,
    *,
    lease: Row = _FREE,
    draft: str = "",
    **event: Any,
) -> Review:
    """Change the fact where it has still the version seen, and add the event."""
    change = {"state": state, "version": row["version"] + 1, "changed": _now(), **lease}
    change["reviewer"] = "" if state == "open" else event["reviewer"]
    change["note"] = draft if state == "open" else event["note"]
    seen = sa.update(facts).where(facts.c.id == row["id"], facts.c.version == row["version"])
    if connection.execute(seen.values(change)).rowcount != 1:
        raise ReviewConflictError("somebody else has decided this fact just now")
    event |= {"fact": row["id"], "before": row["state"], "after": state}
    event |= {"version": change["version"], "at": change["changed"]}
    connection.execute(sa.insert(events).values(event))
    return _to_record(Review, {**row, **change})


def _to_record(kind: type[Record], row: Row) -> Record:
    return kind(**{field.name: row[field.name] for field in fields(kind)})


def _describe(review: Review) -> str:
    return f"{review.state} by {review.reviewer}" if review.reviewer else review.state


def _hash_name(reviewer: str) -> str:
    """A key of fixed length, as of facts."""
    return hashlib.sha256(reviewer.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
