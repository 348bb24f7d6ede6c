"""Requests that are sent again, when an answer was lost: what was written stays as it is."""

from __future__ import annotations

from collections.abc import Sequence

import sqlalchemy as sa

from momok.serving.reviews.reader import select_facts, to_review
from momok.serving.reviews.records import Decision, Review, ReviewConflictError, hash_fact
from momok.serving.reviews.tables import events, facts


def find_request(connection: sa.Connection, decision: Decision) -> Review | None:
    """The outcome of this very request, if it was written before.

    Raises:
        ReviewConflictError: its name was that of another decision.
    """
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
    asked = decision.fact, decision.action, decision.reviewer
    if (review.fact, row["done"], row["by"]) != asked:
        raise ReviewConflictError("this request name was used for another decision", review)
    return review


def find_batch(connection: sa.Connection, decisions: Sequence[Decision]) -> list[Review] | None:
    """The outcome of this very batch, whose first decision has the name of the request.

    Raises:
        ReviewConflictError: its name was that of other decisions.
    """
    first = find_request(connection, decisions[0])
    if first is None:
        return None
    keys = [hash_fact(decision.fact) for decision in decisions]
    batch = sa.select(events.c.batch).where(events.c.request == decisions[0].request)
    together = sa.select(events.c.fact).where(events.c.batch == batch.scalar_subquery())
    query = select_facts(keys).where(facts.c.id.in_(together))
    rows = {row["key"]: row for row in connection.execute(query).mappings()}
    if rows.keys() < {*keys}:
        raise ReviewConflictError("this request name was used for other facts", first)
    return [to_review(rows[key]) for key in keys]
