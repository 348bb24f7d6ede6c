"""The review database: its tables, its connections, and its rows as records.

``review_fact`` is where every fact stands now, ``review_event`` what led there. Events are never
changed: triggers refuse it in SQLite and PostgreSQL. ``(fact, version)`` is unique among events, so
that two decisions on one version cannot both be written, whatever the database's isolation.
"""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Column, Float, ForeignKey, Integer, String, Table, Text, event
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from momok.errors import ConfigError, StorageError
from momok.serving.reviews.records import Event, Review

READ_ONLY = "momok_read_only"  # the execution option of connections that write nothing

_LOCK_TIMEOUT = 10.0  # seconds to wait for another writer
_EXAMPLES = "sqlite:///reviews.sqlite or postgresql+psycopg://user@host/base"

metadata = sa.MetaData()
_ID = sa.BigInteger().with_variant(Integer, "sqlite")  # SQLite counts up INTEGER keys only

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
    Column("reviewer", Text, nullable=False, default=""),
    Column("note", Text, nullable=False, default=""),
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

_APPEND_ONLY = "the history of reviews is only ever added to"
_TRIGGERS = {
    "sqlite": [
        f"CREATE TRIGGER review_event_no_{verb.lower()} BEFORE {verb} ON review_event "
        f"BEGIN SELECT RAISE(ABORT, '{_APPEND_ONLY}'); END"
        for verb in ("UPDATE", "DELETE")
    ],
    "postgresql": [
        "CREATE OR REPLACE FUNCTION review_event_refuse() RETURNS trigger AS $$ BEGIN "
        f"RAISE EXCEPTION '{_APPEND_ONLY}'; END $$ LANGUAGE plpgsql",
        "CREATE TRIGGER review_event_keep BEFORE UPDATE OR DELETE OR TRUNCATE ON review_event "
        "FOR EACH STATEMENT EXECUTE FUNCTION review_event_refuse()",
    ],
}
for _dialect, _statements in _TRIGGERS.items():
    for _statement in _statements:
        _ddl = sa.DDL(_statement)  # type: ignore[no-untyped-call]
        event.listen(events, "after_create", _ddl.execute_if(dialect=_dialect))


def to_review(row: sa.RowMapping | dict[str, Any]) -> Review:
    """The review of a row of ``review_fact``."""
    return Review(**{field.name: row[field.name] for field in fields(Review)})


def to_event(row: sa.RowMapping) -> Event:
    """The event of a row of ``review_event`` with the labels of its fact."""
    return Event(**{field.name: row[field.name] for field in fields(Event)})


def open_engine(url: str) -> sa.Engine:
    """Open a database.

    Raises:
        ConfigError: the address is not one, or its driver is not installed.
        StorageError: the folder of an SQLite file is not there.
    """
    try:
        address = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            f"{_hide_password(url)!r} is no address of a database; expected {_EXAMPLES}"
        ) from error
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": 1800}
    is_sqlite = address.get_backend_name() == "sqlite"
    if is_sqlite:
        _check_sqlite(address)
        options = {"connect_args": {"timeout": _LOCK_TIMEOUT, "check_same_thread": False}}
    try:
        engine = sa.create_engine(address, **options)
    except (ImportError, SQLAlchemyError) as error:
        raise ConfigError(
            f"{address.render_as_string()}: its driver is not installed or not known ({error}); "
            "for PostgreSQL: pip install 'psycopg[binary]', and an address that begins with "
            "postgresql+psycopg://"
        ) from error
    if is_sqlite:
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin)
    return engine


def _check_sqlite(address: sa.URL) -> None:
    if not address.database or address.database == ":memory:":
        raise ConfigError(
            "sqlite: without a file the decisions would be lost with the server; "
            "give one, as in sqlite:///reviews.sqlite"
        )
    folder = Path(address.database).absolute().parent
    if not folder.is_dir():
        raise StorageError(f"{folder}: there is no such folder to keep the reviews in")


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "journal_mode=WAL",  # readers do not wait for a writer
        "synchronous=FULL",  # a committed decision survives a power cut
        "foreign_keys=ON",
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin(connection: sa.Connection) -> None:
    """Take the write lock at the start: upgrading a read lock later could fail at once."""
    reading = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _hide_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"***@{tail}" if at and head else url[:200]
