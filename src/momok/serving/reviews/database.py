"""The tables of the review database.

``review_fact`` is where every fact stands now, ``review_event`` what led there. Events are never
changed: triggers refuse it in SQLite and PostgreSQL. ``(fact, version)`` is unique among events, so
that two decisions on one version cannot both be written, whatever the database's isolation.
"""

from __future__ import annotations

from sqlalchemy import (
    DDL,
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    event,
)

__all__ = ["events", "facts", "metadata", "settings", "skips"]

metadata = MetaData()
_ID = BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

settings = Table(
    "review_setting",
    metadata,
    Column("name", String(64), primary_key=True),
    Column("value", Text, nullable=False),
)

facts = Table(
    "review_fact",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("key", String(64), nullable=False, unique=True),  # sha256 of the labels
    Column("head", Text, nullable=False),
    Column("relation", Text, nullable=False),
    Column("tail", Text, nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("version", Integer, nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("probability", Float(53), nullable=True),
    Column("changed", String(40), nullable=False),
    Column("lease_holder", Text, nullable=False),
    Column("lease_until", Float(53), nullable=False),  # seconds since 1970
)

events = Table(
    "review_event",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("fact", _ID, ForeignKey("review_fact.id"), nullable=False),
    Column("action", String(16), nullable=False),
    Column("before", String(16), nullable=False),
    Column("after", String(16), nullable=False),
    Column("reviewer", Text, nullable=False),
    Column("note", Text, nullable=False),
    Column("version", Integer, nullable=False),  # of the fact after the event
    Column("undoes", _ID, ForeignKey("review_event.id"), nullable=True, unique=True),
    Column("request", String(64), nullable=True, unique=True),
    Column("at", String(40), nullable=False),
    UniqueConstraint("fact", "version"),
)
Index("review_event_reviewer", events.c.reviewer, events.c.id)

skips = Table(
    "review_skip",
    metadata,
    Column("fact", _ID, ForeignKey("review_fact.id"), primary_key=True),
    Column("reviewer_key", String(64), primary_key=True),
)

for _verb in ("UPDATE", "DELETE"):
    _refuse = DDL(  # type: ignore[no-untyped-call]
        f"CREATE TRIGGER review_event_no_{_verb.lower()} BEFORE {_verb} ON review_event "
        "BEGIN SELECT RAISE(ABORT, 'the history of reviews is only ever added to'); END"
    )
    event.listen(events, "after_create", _refuse.execute_if(dialect="sqlite"))

_POSTGRES = (
    "CREATE OR REPLACE FUNCTION review_event_refuse() RETURNS trigger AS $$ BEGIN "
    "RAISE EXCEPTION 'the history of reviews is only ever added to'; END $$ LANGUAGE plpgsql",
    "CREATE TRIGGER review_event_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON review_event "
    "FOR EACH STATEMENT EXECUTE FUNCTION review_event_refuse()",
)
for _statement in _POSTGRES:
    _add = DDL(_statement)  # type: ignore[no-untyped-call]
    event.listen(events, "after_create", _add.execute_if(dialect="postgresql"))
