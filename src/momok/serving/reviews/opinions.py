"""Opinions: what several people say of one fact, none knowing what the others said.

A fact that needs n opinions is open until n people have given theirs; then it is as they all say,
or disputed. An opinion is the latest decision of a person on a fact that was not taken back. While
a fact is open, nobody but its author is told of an opinion: not that of it, not by whom.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import sqlalchemy as sa

from momok.serving.reviews.records import Action, State
from momok.serving.reviews.tables import events, facts

STATE_AFTER: dict[Action, State] = {
    "accept": "accepted",
    "reject": "rejected",
    "unsure": "unsure",
    "skip": "open",
}
OPINIONS: tuple[Action, ...] = ("accept", "reject", "unsure")
IMPORTED = "import-"  # what the batches of events begin with that came from a file


def judge(own: Action, others: Collection[Action], needed: int) -> State:
    """Where a fact stands after an opinion, beside those of others."""
    state = STATE_AFTER[own]
    if needed <= 1:  # the latest decision counts
        return state
    if len(others) + 1 < needed:
        return "open"
    return state if all(STATE_AFTER[other] == state for other in others) else "disputed"


def list_undone() -> sa.Select[Any]:
    """The events that were taken back."""
    return sa.select(events.c.undoes).where(events.c.undoes.is_not(None))


def is_opinion() -> sa.ColumnElement[bool]:
    """Whether an event is an opinion or a settlement that was not taken back."""
    return events.c.action.in_(OPINIONS) & events.c.id.not_in(list_undone())


def is_imported() -> sa.ColumnElement[bool]:
    """Whether an event came from a file: nobody did it here, whatever name it has."""
    return sa.func.coalesce(events.c.batch, "").startswith(IMPORTED)


def is_told_to(viewer: str) -> sa.ColumnElement[bool]:
    """Whether somebody may see an event now; needs ``facts`` beside ``events``."""
    return (facts.c.state != "open") | (facts.c.needed <= 1) | (events.c.reviewer == viewer)


def is_waiting() -> sa.ColumnElement[bool]:
    """Whether a fact may have opinions and needs more."""
    return (facts.c.state == "open") & (facts.c.needed > 1)


def select_given(reviewer: str) -> sa.Select[Any]:
    """The ids of open facts that somebody has given an opinion on."""
    query = sa.select(events.c.fact).join(facts, facts.c.id == events.c.fact)
    return query.where(is_waiting(), events.c.reviewer == reviewer, is_opinion())


def list_opinions(connection: sa.Connection, fact: int) -> dict[str, Action]:
    """The opinions on a fact by their authors, without settlements."""
    query = sa.select(events.c.reviewer, events.c.action).order_by(events.c.id)
    query = query.where(events.c.fact == fact, ~events.c.settled, is_opinion())
    rows: Sequence[sa.RowMapping] = connection.execute(query).mappings().all()
    return {row["reviewer"]: row["action"] for row in rows}
