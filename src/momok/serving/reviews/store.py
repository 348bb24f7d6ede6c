"""Writes reviews.

Two reviewers, or two servers, never decide the same fact twice: a decision changes the fact's row
only where it still has the version that the reviewer saw, and the events of a fact have distinct
versions. A decision that was answered is on the disk: the transaction is committed before.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from momok.console import shorten_middle
from momok.serving.reviews.accounts import now, read_overlap, write_audit
from momok.serving.reviews.database import in_transaction
from momok.serving.reviews.importing import ImportReport, write_imported
from momok.serving.reviews.leases import get_fact, hash_name, insert_fact, lease_facts
from momok.serving.reviews.opinions import (
    STATE_AFTER,
    is_imported,
    judge,
    list_opinions,
    list_undone,
)
from momok.serving.reviews.reader import ReviewReader, Row, select_facts, to_record, to_review
from momok.serving.reviews.records import (
    Action,
    Decision,
    Fact,
    Review,
    ReviewConflictError,
    State,
    hash_fact,
)
from momok.serving.reviews.repeats import find_batch, find_request
from momok.serving.reviews.tables import events, facts, skips

_UNDONE_SECONDS = 600.0  # longer, so that it is shown before what was given ahead
_FREE = {"lease_holder": "", "lease_until": 0.0}
_WRITTEN = ("note", "reason", "source", "right_tail", "ordering")  # by the reviewer
_DETAILS = (*_WRITTEN, "along", "settled")


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
        """Give the first candidate that is open, that nobody holds, and that this reviewer has
        neither skipped nor given an opinion on.

        It is then kept for the reviewer for five minutes; who holds one already gets it again
        while it is among the candidates, of several the one given last.

        Args:
            connection: of the transaction.
            candidates: facts and their probabilities, best first.
            reviewer: who asks.
            but: keys of facts that the reviewer has before them already.
        """
        moment = time.time()
        query = sa.select(facts).where(facts.c.lease_holder == reviewer, facts.c.state == "open")
        query = query.where(facts.c.lease_until >= moment).order_by(facts.c.lease_until.desc())
        held = [to_record(Review, row).fact for row in connection.execute(query).mappings()]
        probabilities = dict(candidates)
        wanted = {fact: probabilities[fact] for fact in held if fact in probabilities}
        found = lease_facts(connection, wanted | probabilities, reviewer, but=but, count=1)
        return found[0] if found else None

    @in_transaction
    def lease_many(
        self,
        connection: sa.Connection,
        candidates: Sequence[tuple[Fact, float | None]],
        reviewer: str,
        count: int,
    ) -> list[Review]:
        """The first candidates that ``lease`` could give, in their order; all are then kept."""
        return lease_facts(connection, dict(candidates), reviewer, count=count)

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
    def decide_batch(
        self, connection: sa.Connection, decisions: Sequence[Decision]
    ) -> list[Review]:
        """Write decisions down, all or none; one undo takes all of them back.

        What was decided along with one of them is not decided again.

        Raises:
            ReviewConflictError: a fact was decided already, or changed since the reviewer saw it.
            StorageError: the database refused.
        """
        written = find_batch(connection, decisions)
        if written is not None:
            return written
        batch, along = secrets.token_hex(16), set[tuple[Fact, Action]]()
        reviews = []
        for decision in decisions:
            if (decision.fact, decision.action) in along:
                row = _find_fact(connection, decision.fact, None)
                reviews.append(to_review(row))
                continue
            reviews.append(_decide(connection, decision, batch))
            along.update(decision.along)
        return reviews

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
            .where(events.c.id.not_in(list_undone()), ~is_imported())
            .order_by(events.c.id.desc())
        )
        still_open = (facts.c.state == "open") & (events.c.after == "open")
        unchanged = mine.where((events.c.version == facts.c.version) | still_open)
        latest = connection.execute(unchanged.limit(1)).mappings().first()
        if latest is None:
            changed = connection.execute(mine.limit(1)).mappings().first()
            if changed is None:
                raise ReviewConflictError("there is nothing to undo")
            then = to_review(get_fact(connection, changed["fact"]))
            raise ReviewConflictError(f"this fact has changed since: it is {_describe(then)}", then)
        together = [latest]
        if latest["batch"] is not None:
            batch = unchanged.where(events.c.batch == latest["batch"])
            together = list(connection.execute(batch).mappings())
        review = [_take_back(connection, event, reviewer) for event in together][-1]
        _write_audit(connection, reviewer, "undo", review)
        return review

    @in_transaction
    def import_reviews(
        self, connection: sa.Connection, reviews: Sequence[Review], reviewer: str, *, by: str
    ) -> ImportReport:
        """Write decisions from elsewhere, all or none; what is decided here stays as it is.

        Args:
            connection: of the transaction.
            reviews: each fact once.
            reviewer: who decided, where a decision does not say so.
            by: who imports them, for the audit log.
        """
        report = write_imported(connection, reviews, reviewer, now())
        write_audit(connection, by, "import", f"{report.added:,} of {len(reviews):,} decisions")
        return report


def _decide(connection: sa.Connection, decision: Decision, batch: str | None) -> Review:
    """Write one decision, and what goes along with it."""
    repeated = find_request(connection, decision)
    if repeated is not None:
        return repeated
    row = _find_fact(connection, decision.fact, decision.probability)
    before = to_review(row)
    given = list_opinions(connection, row["id"])
    settles = _check(decision, before, given)
    if decision.action == "skip":
        skip = {"fact": row["id"], "reviewer_key": hash_name(decision.reviewer)}
        if connection.execute(sa.select(skips).filter_by(**skip)).first() is None:
            connection.execute(sa.insert(skips).values(skip))
    needed = read_overlap(connection).count_needed(row["key"])
    event: dict[str, Any] = {"reviewer": decision.reviewer, "settled": settles, "batch": batch}
    own = {"action": decision.action, "request": decision.request or None}
    own |= {name: getattr(decision, name) for name in _WRITTEN}
    review = _give_opinion(connection, row, needed, event | own)
    what = "settle" if settles else "skip" if decision.action == "skip" else "decide"
    _write_audit(connection, decision.reviewer, what, review)
    for fact, action in decision.along:
        other = _find_fact(connection, fact, None)
        if other["state"] == "open" or _is_anew(decision, action, before, other):
            reason = decision.reason if action == "reject" else ""
            event |= {"action": action, "reason": reason, "along": True}
            event |= {"note": decision.note, "source": decision.source}
            event["settled"] = settles and (other["settled"] or other["state"] == "disputed")
            _give_opinion(connection, other, review.needed, event)
    return review


def _check(decision: Decision, before: Review, given: dict[str, Action]) -> bool:
    """Whether a decision settles a dispute; refuses one that cannot be made any more."""
    if decision.version is not None and decision.version != before.version:
        raise ReviewConflictError(
            f"this fact has changed since it was shown: it is {_describe(before)}", before
        )
    anew = decision.version is not None and decision.action != "skip"
    if before.state != "open" and not anew:
        raise ReviewConflictError(f"this fact is decided already: {_describe(before)}", before)
    if before.settled and not decision.may_settle:
        raise ReviewConflictError(f"this fact is settled: {_describe(before)}", before)
    if before.state == "open" and decision.reviewer in given and not anew:
        raise ReviewConflictError("you have given your opinion on this fact already", before)
    return decision.may_settle and (before.settled or before.state == "disputed")


def _is_anew(decision: Decision, action: Action, before: Review, other: Row) -> bool:
    """Whether a fact that goes along is decided anew: one that says the same and stood the same.

    A right tail says something else than the fact that is rejected, and is not.
    """
    may = decision.may_settle or not other["settled"]
    same = action == decision.action and other["state"] == before.state
    return same and may and decision.version is not None


def _give_opinion(connection: sa.Connection, row: Row, needed: int, event: Row) -> Review:
    """Write an opinion, a settlement or a skip, and where the fact stands then.

    ``needed`` is how many opinions it needs, if this is the first.
    """
    action = event["action"]
    others = list_opinions(connection, row["id"])
    needed = row["needed"] if others else needed
    others.pop(event["reviewer"], None)
    if action == "skip" or event["settled"]:
        state = STATE_AFTER[action]
    else:
        state = judge(action, others.values(), needed)
    return _write(connection, row, state, needed=needed, **event)


def _take_back(connection: sa.Connection, event: Row, reviewer: str) -> Review:
    """Write that an event is undone."""
    skip = {"fact": event["fact"], "reviewer_key": hash_name(reviewer)}
    connection.execute(sa.delete(skips).filter_by(**skip))
    row = get_fact(connection, event["fact"])
    then: Row = {name: event[name] for name in ("note", "source")}  # a draft of the next decision
    if event["before"] == "disputed":
        then = {"along": event["along"]}
    elif event["before"] != "open":  # decided anew: as it was
        query = sa.select(events).where(events.c.fact == event["fact"])
        query = query.where(events.c.after == event["before"], events.c.id < event["id"])
        query = query.where(events.c.action != "undo", events.c.id.not_in(list_undone()))
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


def _find_fact(connection: sa.Connection, fact: Fact, probability: float | None) -> Row:
    """The row of a fact, which is made where there is none; others wait for it."""
    query = select_facts([hash_fact(fact)]).with_for_update()
    found = connection.execute(query).mappings().first()
    return found or insert_fact(connection, fact, probability)


def _write(
    connection: sa.Connection,
    row: Row,
    state: State,
    *,
    lease: Row = _FREE,
    then: Row | None = None,
    needed: int | None = None,
    **event: Any,
) -> Review:
    """Change the fact where it has still the version seen, and add the event.

    ``then`` is what the fact's row has besides its state; by default what the event has of it.
    """
    event = {"note": "", **event}
    change = {"state": state, "version": row["version"] + 1, "changed": now(), **lease}
    change |= dict.fromkeys(("reviewer", *_DETAILS), "") | {"along": False, "settled": False}
    change["needed"] = row["needed"] if needed is None else needed
    if then is not None:
        change |= then
    elif state == "disputed":  # nobody has decided it
        change["along"] = event.get("along", False)
    elif state != "open":
        change |= {name: event[name] for name in ("reviewer", *_DETAILS) if name in event}
    seen = sa.update(facts).where(facts.c.id == row["id"], facts.c.version == row["version"])
    if connection.execute(seen.values(change)).rowcount != 1:
        raise ReviewConflictError("somebody else has decided this fact just now")
    event |= {"fact": row["id"], "before": row["state"], "after": state}
    event |= {"version": change["version"], "at": change["changed"]}
    connection.execute(sa.insert(events).values(event))
    return to_record(Review, {**row, **change})


def _write_audit(connection: sa.Connection, reviewer: str, what: str, review: Review) -> None:
    """What was done with which fact; what was said of it is in its history, told when it may be."""
    fact = " | ".join(shorten_middle(part, 80) for part in review.fact)
    write_audit(connection, reviewer, what, fact)


def _describe(review: Review) -> str:
    return f"{review.state} by {review.reviewer}" if review.reviewer else review.state
