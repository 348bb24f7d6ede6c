"""Decisions from elsewhere, written into the store in one transaction.

What is decided here already stays as it is: imported twice, a file changes nothing.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa

from momok.serving.reviews.opinions import IMPORTED
from momok.serving.reviews.reader import Row, select_facts
from momok.serving.reviews.records import Action, Review, State, hash_fact
from momok.serving.reviews.tables import events, facts

_ACTIONS: dict[State, Action] = {"accepted": "accept", "rejected": "reject", "unsure": "unsure"}
_AT_ONCE = 500
_DETAILS = ("reviewer", "note", "reason", "source", "right_tail", "along", "settled", "ordering")
_KEPT = ("head", "relation", "tail", "state", "probability", *_DETAILS)
_FIXED = ("key", "head", "relation", "tail", "probability")  # of a fact that was shown here
_OF_EVENT = (*_DETAILS, "version")


@dataclass(frozen=True)
class ImportReport:
    """What became of the decisions of a file.

    Attributes:
        added: how many were written.
        known: how many stood here already, with the same outcome.
        differing: facts on which the decision here is another one, which stays.
        undecided: how many are disputed, and no decisions.
    """

    added: int = 0
    known: int = 0
    differing: list[Review] = field(default_factory=list)
    undecided: int = 0


def write_imported(
    connection: sa.Connection, reviews: Sequence[Review], reviewer: str, now: str
) -> ImportReport:
    """Write those decisions whose facts are open here.

    Args:
        connection: of the transaction.
        reviews: each fact once.
        reviewer: who decided, where a decision does not say so.
        now: when, where it does not say so.
    """
    added = known = 0
    batch = IMPORTED + secrets.token_hex(16)
    differing: list[Review] = []
    settled = [review for review in reviews if review.state in _ACTIONS]
    for start in range(0, len(settled), _AT_ONCE):
        some = settled[start : start + _AT_ONCE]
        by_key = {hash_fact(review.fact): review for review in some}
        rows = connection.execute(select_facts(list(by_key))).mappings()
        found: dict[str, Row] = {row["key"]: row for row in rows}
        wanted = {}
        for key, review in by_key.items():
            state = found[key]["state"] if key in found else "open"
            if state == "open":
                wanted[key] = review
            elif state == review.state:
                known += 1
            else:
                differing.append(review)
        if wanted:
            _write(connection, wanted, found, reviewer, now, batch=batch)
        added += len(wanted)
    return ImportReport(added, known, differing, len(reviews) - len(settled))


def _write(
    connection: sa.Connection,
    reviews: dict[str, Review],
    found: dict[str, Row],
    reviewer: str,
    now: str,
    *,
    batch: str,
) -> None:
    """Write facts and events; ``found`` has the rows that are there, by key."""
    rows: dict[str, dict[str, Any]] = {}
    for key, review in reviews.items():
        row = {name: getattr(review, name) for name in _KEPT} | {"key": key}
        row["reviewer"] = review.reviewer or reviewer
        row["changed"] = review.changed or now
        row["needed"] = 1  # it is decided: no further opinion is asked for
        row["version"] = found[key]["version"] + 1 if key in found else 1
        rows[key] = row
    new = [row for key, row in rows.items() if key not in found]
    if new:
        connection.execute(sa.insert(facts), new)
    old = [
        {name: value for name, value in row.items() if name not in _FIXED}
        | {"of": found[key]["id"], "seen": found[key]["version"]}
        | {"lease_holder": "", "lease_until": 0.0}
        for key, row in rows.items()
        if key in found
    ]
    if old:
        seen = sa.update(facts).where(facts.c.id == sa.bindparam("of"))
        connection.execute(seen.where(facts.c.version == sa.bindparam("seen")), old)
    numbers = connection.execute(sa.select(facts.c.key, facts.c.id).where(facts.c.key.in_(rows)))
    made = [
        {name: row[name] for name in _OF_EVENT}
        | {"fact": number, "action": _ACTIONS[row["state"]], "before": "open"}
        | {"after": row["state"], "at": row["changed"], "batch": batch}
        for key, number in numbers
        for row in (rows[key],)
    ]
    connection.execute(sa.insert(events), made)
