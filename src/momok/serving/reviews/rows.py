"""Rows of the review tables as records."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeAlias

import sqlalchemy as sa

from momok.serving.reviews.database import facts
from momok.serving.reviews.records import Event, Review

__all__ = ["CHUNK", "Row", "find_facts", "to_event", "to_review"]

Row: TypeAlias = dict[str, Any]

CHUNK = 200  # keys in one statement; SQLite takes 999 variables


def find_facts(connection: sa.Connection, keys: Iterable[str]) -> dict[str, Row]:
    """Facts by their keys, those that there are."""
    wanted = list(keys)
    found: dict[str, Row] = {}
    for start in range(0, len(wanted), CHUNK):
        query = sa.select(facts).where(facts.c.key.in_(wanted[start : start + CHUNK]))
        found |= {row["key"]: dict(row) for row in connection.execute(query).mappings()}
    return found


def to_review(row: Row) -> Review:
    """The review of a row of ``review_fact``."""
    names = ("head", "relation", "tail", "state", "version", "reviewer", "note", "probability")
    return Review(**{name: row[name] for name in names}, changed=row["changed"])


def to_event(row: Row) -> Event:
    """The event of a row of ``review_event`` with the labels of its fact."""
    names = ("id", "head", "relation", "tail", "action", "before", "after", "reviewer", "note")
    return Event(**{name: row[name] for name in names}, version=row["version"], at=row["at"])
