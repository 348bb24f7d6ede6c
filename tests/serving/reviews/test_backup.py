"""Backups: whole, as of one moment, from and into either database."""

from __future__ import annotations

import itertools
import shutil
import sqlite3
import stat
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from momok.cli import main
from momok.errors import ConfigError, StorageError
from momok.serving.reviews.accounts import Overlap
from momok.serving.reviews.backup import back_up, restore
from momok.serving.reviews.records import Decision
from momok.serving.reviews.store import ReviewStore
from momok.serving.reviews.tables import events, facts, metadata

_numbers = itertools.count()


@pytest.fixture
def address(address: str) -> Iterator[str]:
    """A database that no other test writes to."""
    if not address.startswith("postgresql"):
        yield address
        return
    name = f"backup{next(_numbers)}"
    url = sa.make_url(address)
    engine = sa.create_engine(address, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE DATABASE {name}"))
        yield url.set(database=name).render_as_string(hide_password=False)
        connection.execute(sa.text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


def fill(store: ReviewStore) -> None:
    for number, action in enumerate(("accept", "reject", "unsure", "skip")):
        decision = Decision(fact=(f"h{number}", "r", "长" * 100), action=action, reviewer="ann")  # type: ignore[arg-type]
        store.decide(decision)
    store.undo("ann")
    store.add_reviewer("Ada", "admin", by="test")
    store.set_overlap(Overlap(opinions=2, share=0.1), by="test")
    store.load_secret()


def dump(store: ReviewStore) -> dict[str, list[tuple[object, ...]]]:
    with store.connect() as connection:
        return {
            name: sorted(map(tuple, connection.execute(sa.select(table)).all()))
            for name, table in metadata.tables.items()
        }


def test_a_backup_is_the_same_database(address: str, tmp_path: Path) -> None:
    store = ReviewStore(address)
    fill(store)
    file = tmp_path / "copy.sqlite"
    before = dump(store)
    assert back_up(store, file) == sum(map(len, before.values()))
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert sorted(path.name for path in tmp_path.glob("*copy*")) == ["copy.sqlite"]
    copy = ReviewStore(f"sqlite:///{file}")
    assert dump(copy) == before
    with pytest.raises(sa.exc.DBAPIError, match="only ever added to"), copy.begin() as begun:
        begun.execute(sa.delete(events))
    copy.close()
    with pytest.raises(ConfigError, match="overwrites nothing"):
        back_up(store, file)
    store.close()


def test_a_backup_is_restored_into_an_empty_database(address: str, tmp_path: Path) -> None:
    original = ReviewStore(f"sqlite:///{tmp_path / 'original.sqlite'}")
    fill(original)
    back_up(original, tmp_path / "copy.sqlite")
    content = (tmp_path / "copy.sqlite").read_bytes()
    target = ReviewStore(address)
    restore(tmp_path / "copy.sqlite", target)
    assert dump(target) == dump(original)
    assert (tmp_path / "copy.sqlite").read_bytes() == content
    with pytest.raises(ConfigError, match="is not empty: review_"):
        restore(tmp_path / "copy.sqlite", target)
    target.decide(Decision(fact=("new", "r", "t"), action="accept", reviewer="ann"))  # ids go on
    assert target.undo("ann").fact == ("new", "r", "t")
    target.close()
    original.close()


def test_a_backup_is_of_one_moment(address: str, tmp_path: Path) -> None:
    """While others decide: every fact has the version of its last event."""
    store = ReviewStore(address)
    fill(store)
    stop = threading.Event()

    def go_on() -> None:
        other = ReviewStore(address)
        for number in itertools.count():
            if stop.is_set():
                break
            fact = (f"more{number}", "r", "t")
            other.decide(Decision(fact=fact, action="accept", reviewer="bob"))
        other.close()

    thread = threading.Thread(target=go_on)
    thread.start()
    try:
        for number in range(3):
            back_up(store, tmp_path / f"copy{number}.sqlite")
    finally:
        stop.set()
        thread.join()
    for number in range(3):
        copy = ReviewStore(f"sqlite:///{tmp_path / f'copy{number}.sqlite'}")
        latest = sa.select(events.c.fact, sa.func.max(events.c.version)).group_by(events.c.fact)
        with copy.connect() as connection:
            versions = connection.execute(sa.select(facts.c.id, facts.c.version)).all()
            assert dict(versions) == dict(connection.execute(latest).all())  # type: ignore[arg-type]
        copy.close()
    store.close()


def test_the_commands(own_run: Path, tmp_path: Path) -> None:
    def run(*arguments: object) -> tuple[int, str]:
        result = CliRunner().invoke(main, ["reviews", *map(str, arguments)])
        return result.exit_code, result.output

    file = tmp_path / "copy.sqlite"
    status, said = run("backup", own_run, file)
    assert (status, said.count("\n")) == (2, 1)
    store = ReviewStore(f"sqlite:///{own_run / 'reviews.sqlite'}")
    fill(store)
    status, said = run("backup", own_run, file)
    assert status == 0, said
    assert f"rows in {file}" in said
    assert store.list_audit()[0][0].action == "backup"
    store.close()
    for arguments, words in {
        ("backup", own_run, file): "overwrites nothing",
        ("backup", own_run, tmp_path / "none" / "x"): "no such folder",
        ("restore", own_run, file): "is not empty",
        ("restore", own_run, tmp_path / "none"): "no such file",
    }.items():
        status, said = run(*arguments)
        assert (status, said.count("\n")) == (2, 1)
        assert words in said
    address = f"sqlite:///{tmp_path / 'new.sqlite'}"
    assert run("restore", address, file)[0] == 0
    again = ReviewStore(address)
    assert again.list_reviewers()[0].name == "Ada"
    again.close()


def test_what_is_still_in_the_log_of_a_file_is_restored(tmp_path: Path) -> None:
    """A file that was copied beside a running server, with its log."""
    store = ReviewStore(f"sqlite:///{tmp_path / 'live.sqlite'}")
    fill(store)
    for ending in ("", "-wal"):
        shutil.copy(tmp_path / f"live.sqlite{ending}", tmp_path / f"copy.sqlite{ending}")
    assert (tmp_path / "copy.sqlite-wal").stat().st_size > 0
    target = ReviewStore(f"sqlite:///{tmp_path / 'target.sqlite'}")
    restore(tmp_path / "copy.sqlite", target)
    assert dump(target) == dump(store)
    target.close()
    store.close()


def test_what_is_no_backup_is_said(tmp_path: Path) -> None:
    (tmp_path / "text").write_bytes(b"this is a text, and a long one at that" * 100)
    target = ReviewStore(f"sqlite:///{tmp_path / 'reviews.sqlite'}")
    with pytest.raises(StorageError, match="not a database"):
        restore(tmp_path / "text", target)
    with closing(sqlite3.connect(tmp_path / "other.sqlite")) as other:
        other.execute("CREATE TABLE bookmark (title TEXT)")
    with pytest.raises(StorageError, match="no decisions here"):
        restore(tmp_path / "other.sqlite", target)
    target.close()
