"""Copies a review database, whole and as of one moment, while servers use it.

A backup is a review database of its own, in an SQLite file, whatever the original is: a server can
be started on it, and it can be copied into an empty database of any kind.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from momok.errors import ConfigError, StorageError
from momok.serving.reviews.database import READ_ONLY, Database, shorten_error
from momok.serving.reviews.tables import metadata

_AT_ONCE = 1000  # rows


def back_up(source: Database, path: Path) -> int:
    """Write a copy into a new file; gives the number of rows.

    Raises:
        ConfigError: there is such a file already.
        StorageError: the database cannot be read, or the file not be written.
    """
    if path.exists():
        raise ConfigError(f"{path}: is there already; a backup overwrites nothing")
    if not path.absolute().parent.is_dir():
        raise StorageError(f"{path}: there is no such folder")
    with tempfile.TemporaryDirectory(prefix=f".{path.name}-", dir=path.absolute().parent) as draft:
        file = Path(draft) / "reviews.sqlite"
        copy = Database(f"sqlite:///{file}")
        try:
            rows = copy_all(source, copy)
        finally:
            copy.close()
        file.rename(path)
    return rows


def restore(path: Path, target: Database) -> int:
    """Copy a backup into a database that holds nothing yet; gives the number of rows.

    Raises:
        ConfigError: the target holds something.
        StorageError: there is no such backup, the file is something else, or a database refused;
            then nothing was written.
    """
    if not path.is_file():
        raise StorageError(f"{path}: there is no such file")
    with tempfile.TemporaryDirectory() as draft:  # what an older momok wrote gets what it lacks
        file = Path(draft) / "reviews.sqlite"
        _copy_file(path, file)
        source = Database(f"sqlite:///{file}", make=False)
        try:
            return copy_all(source, target)
        finally:
            source.close()


def _copy_file(path: Path, copy: Path) -> None:
    """Copy an SQLite file with what is still in its log, and change nothing of either."""
    logged = Path(f"{path}-wal").exists()
    how = "mode=ro" if logged else "immutable=1"  # which also reads from a folder for reading only
    address = f"{path.absolute().as_uri()}?{how}"
    try:
        with (
            closing(sqlite3.connect(address, uri=True)) as given,
            closing(sqlite3.connect(copy)) as to,
        ):
            given.backup(to)
    except sqlite3.Error as error:
        raise StorageError(f"{path}: cannot be read: {error}") from error


def copy_all(source: Database, target: Database) -> int:
    """Copy everything into a database that holds nothing yet; gives the number of rows.

    Raises:
        ConfigError: the target holds something.
        StorageError: a database refused; then nothing was written.
    """
    count = 0
    try:
        with _read(source) as reading, target.begin() as writing:
            for table in metadata.sorted_tables:
                if writing.execute(sa.select(table).limit(1)).first() is not None:
                    raise ConfigError(
                        f"the database to copy into is not empty: {table.name} has rows; give "
                        "another one"
                    )
            for table in metadata.sorted_tables:
                key = table.primary_key.columns.values()
                for rows in (
                    reading.execute(sa.select(table).order_by(*key)).mappings().partitions()
                ):
                    writing.execute(sa.insert(table), [dict(row) for row in rows])
                    count += len(rows)
            if writing.dialect.name == "postgresql":
                _move_counters(writing)
    except SQLAlchemyError as error:
        raise StorageError(f"not copied: {shorten_error(error)}") from error
    return count


@contextmanager
def _read(source: Database) -> Iterator[sa.Connection]:
    """A connection that sees the database as of one moment, and reads rows as they are wanted."""
    with source.connect() as connection:
        options: dict[str, object] = {READ_ONLY: True, "stream_results": True}
        options["max_row_buffer"] = options["yield_per"] = _AT_ONCE
        if connection.dialect.name == "postgresql":
            options["isolation_level"] = "REPEATABLE READ"
        yield connection.execution_options(**options)


def _move_counters(connection: sa.Connection) -> None:
    """Let PostgreSQL count on from the ids that were copied."""
    for table in metadata.sorted_tables:
        if "id" in table.columns:
            highest = connection.execute(sa.select(sa.func.max(table.c.id))).scalar()
            if highest is not None:
                counter = sa.func.pg_get_serial_sequence(table.name, "id")
                connection.execute(sa.select(sa.func.setval(counter, highest)))
