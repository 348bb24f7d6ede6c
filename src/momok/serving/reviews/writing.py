"""What changes the review tables; each function runs inside one transaction of its caller."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from momok.serving.reviews.database import events, facts, skips, to_review
from momok.serving.reviews.records import (
    Action,
    Decision,
    Fact,
    Review,
    ReviewConflictError,
    State,
    hash_fact,
)

Row: TypeAlias = dict[str, Any]

_AFTER: dict[Action, State] = {"accept": "accepted", "reject": "rejected", "skip": "open"}
_FREE: Row = {"lease_holder": "", "lease_until": 0.0}


def find_facts(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Row]:
    """Facts by their keys, those that there are."""
    found = connection.execute(sa.select(facts).where(facts.c.key.in_(keys))).mappings()
    return {row["key"]: dict(row) for row in found}


def lease(
    connection: sa.Connection,
    candidates: Sequence[tuple[Fact, float | None]],
    reviewer: str,
    lease_seconds: float,
) -> Review | None:
    """Give the candidate that the reviewer holds, else the first that is free.

    See ``ReviewStore.lease``. Of several that the reviewer holds, it is the one given last.
    """
    now = time.time()
    keys = {hash_fact(fact): (fact, probability) for fact, probability in candidates}
    found = find_facts(connection, list(keys))
    mine = skips.c.reviewer_key == _hash_name(reviewer)
    skipped = set(connection.execute(sa.select(skips.c.fact).where(mine)).scalars())
    opened = [row for row in found.values() if row["state"] == "open"]
    held = [r for r in opened if r["lease_holder"] == reviewer and r["lease_until"] >= now]
    held.sort(key=lambda row: -row["lease_until"])
    closed = {key for key, row in found.items() if row["state"] != "open" or row["id"] in skipped}
    for key in (*(row["key"] for row in held), *keys):
        if key in closed:
            continue
        try:
            row = found.get(key) or _insert_fact(connection, *keys[key])
        except IntegrityError:
            continue  # another one was given it just now
        taken = connection.execute(
            sa.update(facts)
            .where(facts.c.id == row["id"], facts.c.state == "open")
            .where((facts.c.lease_holder == reviewer) | (facts.c.lease_until < now))
            .values(lease_holder=reviewer, lease_until=now + lease_seconds)
        )
        if taken.rowcount == 1:
            return to_review(row)
    return None


def decide(connection: sa.Connection, decision: Decision) -> Review:
    """Write a decision down, see ``ReviewStore.decide``."""
    repeated = _find_request(connection, decision)
    if repeated is not None:
        return repeated
    key = hash_fact(decision.fact)
    row = find_facts(connection, [key]).get(key)
    if row is None:
        row = _insert_fact(connection, decision.fact, decision.probability)
    before = to_review(row)
    if decision.version is not None and decision.version != before.version:
        raise ReviewConflictError(
            f"this fact has changed since it was shown: it is {_describe(before)}", before
        )
    if before.state != "open":
        raise ReviewConflictError(f"this fact is decided already: {_describe(before)}", before)
    if decision.action == "skip":
        _insert_skip(connection, row["id"], decision.reviewer)
    return _write(
        connection,
        row,
        state=_AFTER[decision.action],
        action=decision.action,
        reviewer=decision.reviewer,
        note=decision.note,
        request=decision.request or None,
    )


def undo(connection: sa.Connection, reviewer: str, lease_seconds: float) -> Review:
    """Take back the latest decision, see ``ReviewStore.undo``."""
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
        now = to_review(_get_fact(connection, changed["fact"]))
        raise ReviewConflictError(f"this fact has changed since: it is {_describe(now)}", now)
    row = _get_fact(connection, latest["fact"])
    connection.execute(
        sa.delete(skips).where(
            skips.c.fact == row["id"], skips.c.reviewer_key == _hash_name(reviewer)
        )
    )
    return _write(
        connection,
        row,
        state=latest["before"],
        action="undo",
        reviewer=reviewer,
        undoes=latest["id"],
        lease={"lease_holder": reviewer, "lease_until": time.time() + lease_seconds},
    )


def _get_fact(connection: sa.Connection, number: int) -> Row:
    return dict(connection.execute(sa.select(facts).where(facts.c.id == number)).mappings().one())


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
    review = to_review(row)
    if (review.fact, row["done"], row["by"]) != (
        decision.fact,
        decision.action,
        decision.reviewer,
    ):
        raise ReviewConflictError("this request name was used for another decision", review)
    return review


def _insert_fact(connection: sa.Connection, fact: Fact, probability: float | None) -> Row:
    head, relation, tail = fact
    row: Row = {"key": hash_fact(fact), "head": head, "relation": relation, "tail": tail}
    row |= {"probability": probability, "changed": _now()}
    with connection.begin_nested():  # fails where another one has just written the same fact
        inserted = connection.execute(sa.insert(facts).values(row))
    assert inserted.inserted_primary_key is not None
    return _get_fact(connection, inserted.inserted_primary_key[0])


def _insert_skip(connection: sa.Connection, fact: int, reviewer: str) -> None:
    row = {"fact": fact, "reviewer_key": _hash_name(reviewer)}
    if connection.execute(sa.select(skips).filter_by(**row)).first() is None:
        connection.execute(sa.insert(skips).values(row))


def _write(
    connection: sa.Connection,
    row: Row,
    *,
    state: State,
    action: Action,
    reviewer: str,
    note: str = "",
    request: str | None = None,
    undoes: int | None = None,
    lease: Row = _FREE,
) -> Review:
    """Change the fact where it has still the version seen, and add the event."""
    version, now, decided = row["version"] + 1, _now(), state != "open"
    change = {
        "state": state,
        "version": version,
        "reviewer": reviewer if decided else "",
        "note": note if decided else "",
        "changed": now,
        **lease,
    }
    seen = sa.update(facts).where(facts.c.id == row["id"], facts.c.version == row["version"])
    if connection.execute(seen.values(change)).rowcount != 1:
        raise ReviewConflictError("somebody else has decided this fact just now")
    connection.execute(
        sa.insert(events).values(
            fact=row["id"],
            action=action,
            before=row["state"],
            after=state,
            reviewer=reviewer,
            note=note,
            version=version,
            undoes=undoes,
            request=request,
            at=now,
        )
    )
    return to_review(row | change)


def _describe(review: Review) -> str:
    return f"{review.state} by {review.reviewer}" if review.reviewer else review.state


def _hash_name(reviewer: str) -> str:
    """A key of fixed length, as of facts."""
    return hashlib.sha256(reviewer.encode()).hexdigest()


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
