"""The review database: its connections, its transactions."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from functools import wraps
from itertools import count
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.schema import CreateColumn

from momok.errors import ConfigError, StorageError
from momok.serving.reviews.tables import facts, metadata, settings

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")
Self = TypeVar("Self", bound="Database")

READ_ONLY = "momok_read_only"  # the execution option of connections that write nothing
_DEADLINE = 4.0  # seconds after which a transaction that met others is not tried again
_LOCK_TIMEOUT = 1.0  # seconds to wait for another writer, each time
_EXAMPLES = "sqlite:///reviews.sqlite or postgresql+psycopg://user@host/base"


def in_transaction(
    method: Callable[Concatenate[Self, sa.Connection, Parameters], Result],
) -> Callable[Concatenate[Self, Parameters], Result]:
    """Run a method in a transaction; again when another transaction was in the way."""

    @wraps(method)
    def run(self: Self, /, *args: Parameters.args, **kwargs: Parameters.kwargs) -> Result:
        deadline = time.monotonic() + _DEADLINE
        for attempt in count(1):
            try:
                with self._engine.begin() as connection:
                    return method(self, connection, *args, **kwargs)
            except SQLAlchemyError as error:
                if time.monotonic() > deadline or not _is_passing(error):
                    raise StorageError(
                        f"the review database refused: {shorten_error(error)}; nothing was written"
                    ) from error
                pause = 0.005 * 2 ** min(attempt, 6)
                time.sleep(pause * (1 + secrets.randbelow(100) / 100))
        raise AssertionError

    return run


class Database:
    """Any database that SQLAlchemy reaches, with the tables of reviews.

    Args:
        url: where, as SQLAlchemy writes it: ``sqlite:///reviews.sqlite``,
            ``postgresql+psycopg://user@host/base``.
        make: make the database, or its tables, where there are none.

    Raises:
        ConfigError: the address is not one, or its driver is not installed.
        StorageError: the database cannot be reached, or is not to be made and holds no decisions.
    """

    def __init__(self, url: str, *, make: bool = True) -> None:
        self._engine = _open_engine(url, make=make)
        try:
            if not make:
                self._check_tables()
            self._create_tables()
        except StorageError:
            self.close()
            raise

    def close(self) -> None:
        """Close all connections."""
        self._engine.dispose()

    def connect(self) -> sa.Connection:
        """A connection, to read many rows one after the other."""
        return self._engine.connect()

    def begin(self) -> AbstractContextManager[sa.Connection]:
        """One transaction, which is not tried again."""
        return self._engine.begin()

    def ping(self) -> bool:
        """Whether the database answers and lets decisions be written, found out in a second."""
        try:
            with self._engine.begin() as connection:  # which waits for other writers
                connection.execute(sa.select(sa.literal(1)))
        except SQLAlchemyError:
            return False
        return True

    def read(self, query: sa.Select[Any]) -> Sequence[sa.RowMapping]:
        """The rows of a query."""
        try:
            with self._engine.connect() as connection:
                reading = connection.execution_options(**{READ_ONLY: True})
                return reading.execute(query).mappings().all()
        except SQLAlchemyError as error:
            message = f"the review database cannot be read: {shorten_error(error)}"
            raise StorageError(message) from error

    @in_transaction
    def load_secret(self, connection: sa.Connection) -> str:
        """A secret of this database, made when first asked for; survives restarts."""
        query = sa.select(settings.c.value).where(settings.c.name == "secret")
        found: str | None = connection.execute(query).scalar()
        if found is None:
            found = secrets.token_hex(32)
            connection.execute(sa.insert(settings).values(name="secret", value=found))
        return found

    def _check_tables(self) -> None:
        """Refuse a database that was never one of reviews."""
        try:
            there = sa.inspect(self._engine).has_table(facts.name)
        except SQLAlchemyError as error:
            message = f"the review database cannot be read: {shorten_error(error)}"
            raise StorageError(message) from error
        if not there:
            raise StorageError(
                f"{self._engine.url.render_as_string()}: there are no decisions here (no table "
                f"{facts.name})"
            )

    @in_transaction
    def _create_tables(self, connection: sa.Connection) -> None:
        metadata.create_all(connection)
        inspector = sa.inspect(connection)
        for table in metadata.tables.values():  # columns that an older momok did not know
            there = {column["name"] for column in inspector.get_columns(table.name)}
            for column in table.columns:
                if column.name not in there:
                    made = CreateColumn(column).compile(dialect=connection.dialect)
                    connection.execute(sa.text(f"ALTER TABLE {table.name} ADD COLUMN {made}"))


def _open_engine(url: str, *, make: bool) -> sa.Engine:
    try:
        address = sa.make_url(url)
    except ArgumentError as error:
        raise ConfigError(
            f"{_hide_password(url)!r} is no address of a database; expected {_EXAMPLES}"
        ) from error
    options: dict[str, Any] = {"pool_pre_ping": True, "pool_recycle": 1800}
    is_sqlite = address.get_backend_name() == "sqlite"
    if is_sqlite:
        _check_sqlite(address, make=make)
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


def _check_sqlite(address: sa.URL, *, make: bool) -> None:
    if not address.database or address.database == ":memory:":
        raise ConfigError(
            "sqlite: without a file the decisions would be lost with the server; "
            "give one, as in sqlite:///reviews.sqlite"
        )
    if address.database.startswith("file:"):
        return  # an SQLite URI, which says itself how its file is opened
    file = Path(address.database).absolute()
    if not file.parent.is_dir():
        raise StorageError(f"{file.parent}: there is no such folder to keep the reviews in")
    if not file.exists():
        if not make:
            raise StorageError(f"{file}: there is no such file, and no decisions")
        _make_private(file)


def _make_private(file: Path) -> None:
    """Make an empty file that only its owner reads; what SQLite adds beside it is like it."""
    try:
        file.touch(mode=0o600)
    except OSError as error:
        raise StorageError(f"{file}: cannot be written: {error.strerror}") from error


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


def _is_passing(error: SQLAlchemyError) -> bool:
    """Whether the same transaction may succeed later: a lock, a deadlock, a row just written.

    Or a table or column: another server may be making them at the same time.
    """
    state = str(getattr(getattr(error, "orig", None), "sqlstate", "") or "")
    text = str(getattr(error, "orig", ""))
    return (
        isinstance(error, IntegrityError)
        or state.startswith("40")
        or state in ("55P03", "42P07", "42701", "42710")
        or "locked" in text
        or "busy" in text
    )


def shorten_error(error: SQLAlchemyError) -> str:
    """The database's own words, in one line, without the statement."""
    text = str(getattr(error, "orig", None) or error)
    return " ".join(text.split())[:300] or type(error).__name__
