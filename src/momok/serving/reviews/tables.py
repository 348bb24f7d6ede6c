"""The tables of the review database.

``review_fact`` is where every fact stands now, ``review_event`` what led there, ``review_audit``
who did what. Neither of these two is ever changed: triggers refuse it in SQLite and PostgreSQL.
``(fact, version)`` is unique among events, so that two decisions on one version cannot both be
written, whatever the database's isolation.

Columns that older databases lack are added when they are opened: each has a default.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Boolean, Column, Float, ForeignKey, Integer, String, Table, Text, event

metadata = sa.MetaData()
_ID = sa.BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only


def _make_details() -> list[Column[Any]]:
    """What is known of a decision; the defaults fill the rows of older databases."""
    return [
        Column("reason", String(16), nullable=False, server_default=""),
        Column("source", Text, nullable=False, server_default=""),
        Column("right_tail", Text, nullable=False, server_default=""),
        Column("along", Boolean, nullable=False, server_default=sa.false()),
        Column("settled", Boolean, nullable=False, server_default=sa.false()),
        Column("ordering", String(16), nullable=False, server_default=""),
    ]


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
    Column("state", String(16), nullable=False, default="open", index=True),
    Column("version", Integer, nullable=False, default=0),
    Column("needed", Integer, nullable=False, default=1, server_default="1"),  # opinions
    Column("reviewer", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
    *_make_details(),
    Column("probability", Float(53), nullable=True),
    Column("changed", String(40), nullable=False),
    Column("lease_holder", Text, nullable=False, default=""),
    Column("lease_until", Float(53), nullable=False, default=0.0),  # seconds since 1970
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
    *_make_details(),
    Column("batch", String(64), nullable=True),  # events of one decision; an undo takes back all
    Column("version", Integer, nullable=False),  # of the fact after the event
    Column("undoes", _ID, ForeignKey("review_event.id"), nullable=True, unique=True),
    Column("request", String(64), nullable=True, unique=True),
    Column("at", String(40), nullable=False),
    sa.UniqueConstraint("fact", "version"),
)
sa.Index("review_event_reviewer", events.c.reviewer, events.c.id)

skips = Table(
    "review_skip",
    metadata,
    Column("fact", _ID, ForeignKey("review_fact.id"), primary_key=True),
    Column("reviewer_key", String(64), primary_key=True),
)

reviewers = Table(
    "review_reviewer",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("name", Text, nullable=False),
    Column("name_key", String(64), nullable=False, unique=True),  # sha256, case folded
    Column("role", String(16), nullable=False),
    Column("token", String(64), nullable=False, unique=True),  # sha256
    Column("added", String(40), nullable=False),
    Column("revoked", String(40), nullable=False, default=""),
)

audit = Table(
    "review_audit",
    metadata,
    Column("id", _ID, primary_key=True, autoincrement=True),
    Column("at", String(40), nullable=False),
    Column("who", Text, nullable=False),
    Column("action", String(32), nullable=False),
    Column("about", Text, nullable=False),
)


def _refuse_changes(table: Table, message: str) -> None:
    """Let the database itself refuse every change of what a table has."""
    name = table.name
    statements = {
        "sqlite": [
            f"CREATE TRIGGER {name}_no_{verb.lower()} BEFORE {verb} ON {name} "
            f"BEGIN SELECT RAISE(ABORT, '{message}'); END"
            for verb in ("UPDATE", "DELETE")
        ],
        "postgresql": [
            f"CREATE OR REPLACE FUNCTION {name}_refuse() RETURNS trigger AS $$ BEGIN "
            f"RAISE EXCEPTION '{message}'; END $$ LANGUAGE plpgsql",
            f"CREATE TRIGGER {name}_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON {name} "
            f"FOR EACH STATEMENT EXECUTE FUNCTION {name}_refuse()",
        ],
    }
    for dialect, of_dialect in statements.items():
        for statement in of_dialect:
            ddl = sa.DDL(statement)  # type: ignore[no-untyped-call]
            event.listen(table, "after_create", ddl.execute_if(dialect=dialect))


_refuse_changes(events, "the history of reviews is only ever added to")
_refuse_changes(audit, "the audit log is only ever added to")
