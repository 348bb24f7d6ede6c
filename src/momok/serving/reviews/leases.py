"""Facts that are kept for a reviewer for a while, so that nobody else looks at them meanwhile."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Collection, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from momok.serving.reviews.accounts import now
from momok.serving.reviews.opinions import select_given
from momok.serving.reviews.reader import Row, select_facts, to_record, to_review
from momok.serving.reviews.records import Fact, Review, hash_fact
from momok.serving.reviews.tables import facts, skips

_LEASE_SECONDS = 300.0  # how long a fact is kept for the reviewer it was given to
_SECONDS_EACH = 30.0  # of many, where that is longer: a table of 50 is kept for 25 minutes
_NO_DRAFT = {"note": "", "source": ""}  # what one reviewer has begun is not for the next
_AT_ONCE = 500  # candidates that are looked up in one query


def lease_facts(
    connection: sa.Connection,
    candidates: Mapping[Fact, float | None],
    reviewer: str,
    *,
    but: Collection[str] = (),
    count: int,
) -> list[Review]:
    """Keep the first ``count`` candidates that are open, that nobody else holds, and that this
    reviewer has neither skipped nor given an opinion on.

    Args:
        connection: of the transaction.
        candidates: facts and their probabilities, in their order.
        reviewer: who asks.
        but: keys of facts to be left out.
        count: how many.
    """
    moment = time.time()
    until = moment + max(_LEASE_SECONDS, count * _SECONDS_EACH)
    mine = skips.c.reviewer_key == hash_name(reviewer)
    skipped = set(connection.execute(sa.select(skips.c.fact).where(mine)).scalars())
    skipped |= set(connection.execute(select_given(reviewer)).scalars())
    queue, leased = list(candidates), list[Review]()
    for start in range(0, len(queue), _AT_ONCE):
        keys = {hash_fact(fact): fact for fact in queue[start : start + _AT_ONCE]}
        keys = {key: fact for key, fact in keys.items() if key not in but}
        rows = connection.execute(select_facts(list(keys))).mappings()
        found: dict[str, Row] = {row["key"]: row for row in rows}
        for key, fact in keys.items():
            if len(leased) == count:
                return leased
            row = found.get(key)
            if row is not None and (row["state"] != "open" or row["id"] in skipped):
                continue
            try:
                row = row or insert_fact(connection, fact, candidates[fact])
            except IntegrityError:
                continue  # another one was given it just now
            held = row["lease_holder"] == reviewer
            change: dict[str, Any] = {} if held else {**_NO_DRAFT}
            if row["probability"] is None:  # it was decided along with another, or imported
                change["probability"] = candidates[fact]
            taken = connection.execute(
                sa.update(facts)
                .where(facts.c.id == row["id"], facts.c.state == "open")
                .where((facts.c.lease_holder == reviewer) | (facts.c.lease_until < moment))
                .values(lease_holder=reviewer, lease_until=until, **change)
            )
            if taken.rowcount == 1:
                then = {**row, **change}
                leased.append(to_record(Review, then) if held else to_review(then))
    return leased


def insert_fact(connection: sa.Connection, fact: Fact, probability: float | None) -> Row:
    """The row of a fact that nobody has touched; IntegrityError where there is one already."""
    row = dict(zip(("head", "relation", "tail"), fact, strict=True), key=hash_fact(fact))
    insert = sa.insert(facts).values(probability=probability, changed=now(), **row)
    with connection.begin_nested():  # fails where another one has just written the same fact
        inserted = connection.execute(insert)
    assert inserted.inserted_primary_key is not None
    return get_fact(connection, inserted.inserted_primary_key[0])


def get_fact(connection: sa.Connection, number: int) -> Row:
    """A fact's row, which nobody else changes until the transaction ends."""
    query = sa.select(facts).where(facts.c.id == number).with_for_update()
    return connection.execute(query).mappings().one()


def hash_name(reviewer: str) -> str:
    """A key of fixed length, as of facts."""
    return hashlib.sha256(reviewer.encode()).hexdigest()
