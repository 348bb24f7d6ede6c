"""Writes reviews.

Two reviewers, or two servers, never decide the same fact twice: a decision changes the fact's row
only where it still has the version that the reviewer saw, and the events of a fact have distinct
versions. A decision that was answered is on the disk: the transaction is committed before.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from momok.serving.reviews.database import events, facts, in_transaction, skips
from momok.serving.reviews.reader import ReviewReader, Row, select_facts, to_record
from momok.serving.reviews.records import (
    Action,
    Decision,
    Fact,
    Review,
    ReviewConflictError,
    State,
    hash_fact,
)

_AFTER: dict[Action, State] = {
    "accept": "accepted",
    "reject": "rejected",
    "unsure": "unsure",
    "skip": "open",
}
_LEASE_SECONDS = 300.0  # how long a fact is kept for the reviewer it was given to
_UNDONE_SECONDS = 600.0  # longer, so that it is shown before what was given ahead
_FREE = {"lease_holder": "", "lease_until": 0.0}
_DETAILS = ("note", "reason", "source", "right_tail", "along", "ordering")
_AT_ONCE = 500  # candidates that are looked up in one query


class ReviewStore(ReviewReader):
    """The reviews of one graph, in a database."""

    @in_transaction
    def lease(
        self,
        connection: sa.Connection,
        candidates: Sequence[tuple[Fact, float | None]],
        reviewer: str,
        but: Collection[str] = (),
    ) -> Review | None:
        """Give the first candidate that nobody decided, holds or (of this reviewer) skipped.

        It is then kept for the reviewer for five minutes; who holds one already gets it again
        while it is among the candidates, of several the one given last.

        Args:
            connection: of the transaction.
            candidates: facts and their probabilities, best first.
            reviewer: who asks.
            but: keys of facts that the reviewer has before them already.
        """
        now = time.time()
        mine = skips.c.reviewer_key == _hash_name(reviewer)
        skipped = set(connection.execute(sa.select(skips.c.fact).where(mine)).scalars())
        probabilities = dict(candidates)
        query = sa.select(facts).where(facts.c.lease_holder == reviewer, facts.c.state == "open")
        query = query.where(facts.c.lease_until >= now).order_by(facts.c.lease_until.desc())
        held = [to_record(Review, row).fact for row in connection.execute(query).mappings()]
        wanted = [fact for fact in held if fact in probabilities]
        queue = [*wanted, *probabilities]
        for start in range(0, len(queue), _AT_ONCE):
            keys = {hash_fact(fact): fact for fact in queue[start : start + _AT_ONCE]}
            keys = {key: fact for key, fact in keys.items() if key not in but}
            rows = connection.execute(select_facts(list(keys))).mappings()
            found: dict[str, Row] = {row["key"]: row for row in rows}
            for key, fact in keys.items():
                row = found.get(key)
                if row is not None and (row["state"] != "open" or row["id"] in skipped):
                    continue
                try:
                    row = row or _insert_fact(connection, fact, probabilities[fact])
                except IntegrityError:
                    continue  # another one was given it just now
                taken = connection.execute(
                    sa.update(facts)
                    .where(facts.c.id == row["id"], facts.c.state == "open")
                    .where((facts.c.lease_holder == reviewer) | (facts.c.lease_until < now))
                    .values(lease_holder=reviewer, lease_until=now + _LEASE_SECONDS)
                )
                if taken.rowcount == 1:
                    return to_record(Review, row)
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
        return _decide(connection, decision, secrets.token_hex(16) if decision.along else None)

    @in_transaction
    def undo(self, connection: sa.Connection, reviewer: str) -> Review:
        """Take back the reviewer's latest decision or skip; the fact is as before, kept for them.

        What they wrote stays with it, for their next decision. What was decided along with it is
        taken back too. Decisions on facts that changed since are passed over.

        Raises:
            ReviewConflictError: there is none, or all of those facts have changed since.
        """
        mine = (
            sa.select(events)
            .join(facts, facts.c.id == events.c.fact)
            .where(events.c.reviewer == reviewer, events.c.action != "undo")
            .where(events.c.id.not_in(_list_undone()))
            .order_by(events.c.id.desc())
        )
        unchanged = mine.where(events.c.version == facts.c.version)
        latest = connection.execute(unchanged.limit(1)).mappings().first()
        if latest is None:
            changed = connection.execute(mine.limit(1)).mappings().first()
            if changed is None:
                raise ReviewConflictError("there is nothing to undo")
            now = to_record(Review, _get_fact(connection, changed["fact"]))
            raise ReviewConflictError(f"this fact has changed since: it is {_describe(now)}", now)
        together = [latest]
        if latest["batch"] is not None:
            batch = unchanged.where(events.c.batch == latest["batch"])
            together = list(connection.execute(batch).mappings())
        return [_take_back(connection, event, reviewer) for event in together][-1]


def _decide(connection: sa.Connection, decision: Decision, batch: str | None) -> Review:
    """Write one decision, and what goes along with it."""
    repeated = _find_request(connection, decision)
    if repeated is not None:
        return repeated
    row = _find_fact(connection, decision.fact, decision.probability)
    before = to_record(Review, row)
    if decision.version is not None and decision.version != before.version:
        raise ReviewConflictError(
            f"this fact has changed since it was shown: it is {_describe(before)}", before
        )
    anew = decision.version is not None and decision.action != "skip"
    if before.state != "open" and not anew:
        raise ReviewConflictError(f"this fact is decided already: {_describe(before)}", before)
    if decision.action == "skip":
        skip = {"fact": row["id"], "reviewer_key": _hash_name(decision.reviewer)}
        if connection.execute(sa.select(skips).filter_by(**skip)).first() is None:
            connection.execute(sa.insert(skips).values(skip))
    review = _write(
        connection,
        row,
        _AFTER[decision.action],
        action=decision.action,
        reviewer=decision.reviewer,
        request=decision.request or None,
        batch=batch,
        **{name: getattr(decision, name) for name in _DETAILS if name != "along"},
    )
    for fact, action in decision.along:
        other = _find_fact(connection, fact, None)
        if other["state"] == "open" or (anew and other["state"] == before.state):
            event: dict[str, Any] = {
                "action": action,
                "reviewer": decision.reviewer,
                "batch": batch,
            }
            event |= {"note": decision.note, "source": decision.source, "along": True}
            event["reason"] = decision.reason if action == "reject" else ""
            _write(connection, other, _AFTER[action], **event)
    return review


def _take_back(connection: sa.Connection, event: Row, reviewer: str) -> Review:
    """Write that an event is undone."""
    skip = {"fact": event["fact"], "reviewer_key": _hash_name(reviewer)}
    connection.execute(sa.delete(skips).filter_by(**skip))
    row = _get_fact(connection, event["fact"])
    then: Row = {name: event[name] for name in ("note", "source")}  # a draft of the next decision
    if event["before"] != "open":  # decided anew: as it was
        query = sa.select(events).where(events.c.fact == event["fact"])
        query = query.where(events.c.after == event["before"], events.c.id < event["id"])
        query = query.where(events.c.action != "undo", events.c.id.not_in(_list_undone()))
        query = query.order_by(events.c.id.desc()).limit(1)
        earlier = connection.execute(query).mappings().one()
        then = {name: earlier[name] for name in (*_DETAILS, "reviewer")}
    return _write(
        connection,
        row,
        event["before"],
        lease={"lease_holder": reviewer, "lease_until": time.time() + _UNDONE_SECONDS},
        then=then,
        action="undo",
        reviewer=reviewer,
        undoes=event["id"],
    )


def _list_undone() -> sa.Select[Any]:
    """The events that were taken back."""
    return sa.select(events.c.undoes).where(events.c.undoes.is_not(None))


def _get_fact(connection: sa.Connection, number: int) -> Row:
    return connection.execute(sa.select(facts).where(facts.c.id == number)).mappings().one()


def _find_fact(connection: sa.Connection, fact: Fact, probability: float | None) -> Row:
    """The row of a fact, which is made where there is none."""
    found = connection.execute(select_facts([hash_fact(fact)])).mappings().first()
    return found or _insert_fact(connection, fact, probability)


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
    review = to_record(Review, row)
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
    then: Row | None = None,
    **event: Any,
) -> Review:
    """Change the fact where it has still the version seen, and add the event.

    ``then`` is what the fact's row has besides its state; by default what the event has of it.
    """
    event = {"note": "", **event}
    change = {"state": state, "version": row["version"] + 1, "changed": _now(), **lease}
    change |= dict.fromkeys(("reviewer", *_DETAILS), "") | {"along": False}
    if then is not None:
        change |= then
    elif state != "open":
        change |= {name: event[name] for name in ("reviewer", *_DETAILS) if name in event}
    seen = sa.update(facts).where(facts.c.id == row["id"], facts.c.version == row["version"])
    if connection.execute(seen.values(change)).rowcount != 1:
        raise ReviewConflictError("somebody else has decided this fact just now")
    event |= {"fact": row["id"], "before": row["state"], "after": state}
    event |= {"version": change["version"], "at": change["changed"]}
    connection.execute(sa.insert(events).values(event))
    return to_record(Review, {**row, **change})


def _describe(review: Review) -> str:
    return f"{review.state} by {review.reviewer}" if review.reviewer else review.state


def _hash_name(reviewer: str) -> str:
    """A key of fixed length, as of facts."""
    return hashlib.sha256(reviewer.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
