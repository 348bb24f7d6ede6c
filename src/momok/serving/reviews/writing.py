"""What changes the review tables; each function runs inside one transaction of its caller."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from typing import Any, TypeAlias

import sqlalchemy as sa

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

MAX_KEYS = 200  # in one statement; SQLite takes 999 variables

_AFTER: dict[Action, State] = {"accept": "accepted", "reject": "rejected", "skip": "open"}
_FREE: Row = {"lease_holder": "", "lease_until": 0.0}


def find_facts(connection: sa.Connection, keys: Sequence[str]) -> dict[str, Row]:
    """Facts by their keys, those that there are."""
    found: dict[str, Row] = {}
    for start in range(0, len(keys), MAX_KEYS):
        query = sa.select(facts).where(facts.c.key.in_(keys[start : start + MAX_KEYS]))
        found |= {row["key"]: dict(row) for row in connection.execute(query).mappings()}
    return found


def renew(
    connection: sa.Connection, wanted: Collection[Fact], reviewer: str, lease_seconds: float
) -> Review | None:
    """Give the wanted fact that the reviewer holds, of several the one given last."""
    now = time.time()
    held = connection.execute(
        sa.select(facts)
        .where(facts.c.lease_holder == reviewer, facts.c.lease_until >= now)
        .where(facts.c.state == "open")
        .order_by(facts.c.lease_until.desc())
    ).mappings()
    row = next((r for r in held if (r["head"], r["relation"], r["tail"]) in wanted), None)
    if row is None:
        return None
    taken = connection.execute(
        sa.update(facts)
        .where(facts.c.id == row["id"], facts.c.version == row["version"])
        .where(facts.c.lease_holder == reviewer)
        .values(lease_until=now + lease_seconds)
    )
    return to_review(row) if taken.rowcount == 1 else None


def lease(
    connection: sa.Connection,
    candidates: Sequence[tuple[Fact, float | None]],
    reviewer: str,
    lease_seconds: float,
) -> Review | None:
    """Give the first candidate that is free, see ``ReviewStore.lease``."""
    now = time.time()
    keys = [hash_fact(fact) for fact, _ in candidates]
    found = find_facts(connection, keys)
    ids = [row["id"] for row in found.values()]
    mine = skips.c.reviewer_key == _hash_name(reviewer)
    skipped = set(
        connection.execute(sa.select(skips.c.fact).where(skips.c.fact.in_(ids), mine)).scalars()
    )
    for key, (fact, probability) in zip(keys, candidates, strict=True):
        row = found.get(key)
        if row is None:
            row = _insert_fact(connection, fact, probability)
        elif row["state"] != "open" or row["id"] in skipped:
            continue
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
    row: Row = {
        "key": hash_fact(fact),
        "head": fact[0],
        "relation": fact[1],
        "tail": fact[2],
        "state": "open",
        "version": 0,
        "reviewer": "",
        "note": "",
        "probability": probability,
        "changed": _now(),
        **_FREE,
    }
    # Where another one writes the same fact, this fails and the transaction is tried again.
    inserted = connection.execute(sa.insert(facts).values(row))
    assert inserted.inserted_primary_key is not None
    return row | {"id": inserted.inserted_primary_key[0]}


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
