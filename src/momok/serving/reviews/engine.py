"""Connections to the review database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import ArgumentError, SQLAlchemyError

from momok.errors import ConfigError, StorageError

__all__ = ["READ_ONLY", "open_engine"]

READ_ONLY = "momok_read_only"  # the execution option of connections that write nothing

_WAIT = 10.0  # seconds for another writer
_EXAMPLES = "sqlite:///reviews.sqlite or postgresql+psycopg://user@host/base"


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
            f"{_hide_secrets(url)!r} is no address of a database; expected {_EXAMPLES}"
        ) from error
    is_sqlite = address.get_backend_name() == "sqlite"
    if is_sqlite:
        _check_sqlite(address)
    options: dict[str, Any] = {} if is_sqlite else {"pool_pre_ping": True, "pool_recycle": 1800}
    if is_sqlite:
        options["connect_args"] = {"timeout": _WAIT, "check_same_thread": False}
    try:
        engine = sa.create_engine(address, **options)
    except (ImportError, SQLAlchemyError) as error:
        shown = address.render_as_string(hide_password=True)
        raise ConfigError(
            f"{shown}: its driver is not installed or not known ({error}); "
            "for PostgreSQL: pip install 'psycopg[binary]', and an address that begins with "
            "postgresql+psycopg://"
        ) from error
    if is_sqlite:
        sa.event.listen(engine, "connect", _prepare_sqlite)
        sa.event.listen(engine, "begin", _begin)
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
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers do not wait for a writer
    cursor.execute("PRAGMA synchronous=FULL")  # a committed decision survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    """Take the write lock at the start: upgrading a read lock later could fail at once."""
    reading = connection.get_execution_options().get(READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def _hide_secrets(url: str) -> str:
    head, at, tail = url.rpartition("@")
    return f"***@{tail}" if at and head else url[:200]
