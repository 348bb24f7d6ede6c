"""Reviewers with tokens, how many opinions facts need, the audit log: in both databases."""

from __future__ import annotations

import itertools
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from momok.cli import main
from momok.cli.reviewers import _ROLES
from momok.errors import ConfigError
from momok.serving.reviews.accounts import ROLES, Overlap, hash_token
from momok.serving.reviews.records import hash_fact
from momok.serving.reviews.store import ReviewStore
from momok.serving.reviews.tables import audit

_numbers = itertools.count()


@pytest.fixture
def store(address: str) -> Iterator[ReviewStore]:
    store = ReviewStore(address)
    yield store
    store.close()


def test_a_token_is_kept_as_its_digest_alone(store: ReviewStore) -> None:
    name = f"Ada {next(_numbers)}"
    token = store.add_reviewer(f"  {name} ", "settler", by="me")
    assert len(token) >= 43
    [ada] = [entry for entry in store.list_reviewers() if entry.name == name]
    assert (ada.role, ada.token, ada.revoked) == ("settler", hash_token(token), "")
    with store._engine.connect() as connection:
        for table in ("review_reviewer", "review_audit", "review_setting"):
            rows = connection.execute(sa.text(f"SELECT * FROM {table}")).all()
            assert token not in repr(rows)


def test_a_name_is_one_persons(store: ReviewStore) -> None:
    name = f"Bob {next(_numbers)}"
    first = store.add_reviewer(name, "reviewer", by="me")
    with pytest.raises(ConfigError, match=f"{name} has a token already"):
        store.add_reviewer(name.upper(), "admin", by="me")
    store.revoke_reviewer(name.upper(), by="me")
    with pytest.raises(ConfigError, match="has no token any more"):
        store.revoke_reviewer(name, by="me")
    second = store.add_reviewer(name.upper(), "admin", by="me")  # is still who decided before
    assert second != first
    [bob] = [entry for entry in store.list_reviewers() if entry.name == name]
    assert (bob.role, bob.revoked, bob.token) == ("admin", "", hash_token(second))
    for wrong in ("", " ", "a\nb\0", "x" * 81):
        with pytest.raises(ConfigError, match="a name has 1 to 80"):
            store.add_reviewer(wrong, "reviewer", by="me")
    with pytest.raises(ConfigError, match="is no reviewer"):
        store.revoke_reviewer("nobody at all", by="me")


def test_what_is_done_to_accounts_is_in_the_log_and_stays(address: str, store: ReviewStore) -> None:
    name = f"Cid {next(_numbers)}"
    store.add_reviewer(name, "reviewer", by="root")
    store.set_overlap(Overlap(opinions=3, share=0.25), by="Ada")
    store.revoke_reviewer(name, by="root")
    store.record(name, "sign in")
    entries, following = store.list_audit(limit=3)
    assert [(entry.who, entry.action, entry.about) for entry in entries] == [
        (name, "sign in", ""),
        ("root", "revoke reviewer", name),
        ("Ada", "set overlap", "3 opinions on 25 % of facts"),
    ]
    assert following == entries[-1].id
    assert store.list_audit(before=following, limit=1)[0][0].about == f"{name}, reviewer"
    assert store.get_overlap() == Overlap(opinions=3, share=0.25)
    store.set_overlap(Overlap(), by="Ada")
    engine = sa.create_engine(address)
    for change in (sa.delete(audit), sa.update(audit).values(who="forged")):
        with pytest.raises(sa.exc.DBAPIError, match="only ever added to"), engine.begin() as begun:
            begun.execute(change)
    engine.dispose()


def test_the_share_of_facts_that_need_more_opinions_is_as_asked() -> None:
    keys = [hash_fact((f"h{i}", "r", "t")) for i in range(4000)]
    overlap = Overlap(opinions=3, share=0.2)
    needed = [overlap.count_needed(key) for key in keys]
    assert set(needed) == {1, 3}
    assert needed.count(3) / len(keys) == pytest.approx(0.2, abs=0.03)  # 4.7 standard errors
    chosen = {key for key, count in zip(keys, needed, strict=True) if count == 3}
    more = Overlap(opinions=2, share=0.5)
    assert all(more.count_needed(key) == 2 for key in chosen)  # a larger share keeps the smaller
    assert {Overlap(opinions=2).count_needed(key) for key in keys} == {2}
    for wrong in ({"opinions": 0}, {"opinions": 11}, {"share": 0.0}, {"share": 1.5}):
        with pytest.raises(ConfigError, match="expected"):
            Overlap(**wrong)  # type: ignore[arg-type]


# -- the command -----------------------------------------------------------------------------


def run_command(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(main, ["reviewers", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_adds_lists_and_revokes(own_run: Path) -> None:
    run = str(own_run)
    assert set(_ROLES) == set(ROLES)
    assert "No reviewers" in run_command("list", run)[1]
    status, token, said = run_command("add", run, "Ada", "--role", "admin")
    assert (status, said) == (0, "The token of Ada (admin); it cannot be shown again.\n")
    assert "admin" in run_command("list", run)[1]
    status, _, said = run_command("add", run, "ada")
    assert (status, said.count("\n")) == (2, 1)
    assert "Ada has a token already (admin)" in said
    assert run_command("revoke", run, "Ada")[0] == 0
    [entry] = json.loads(run_command("list", run, "--json")[1])
    assert (entry["name"], entry["role"]) == ("Ada", "admin")
    assert entry["revoked"]
    with closing(sqlite3.connect(own_run / "reviews.sqlite")) as database:
        [(stored,)] = database.execute("SELECT token FROM review_reviewer")
        who = database.execute("SELECT DISTINCT who FROM review_audit").fetchall()
    assert stored == hash_token(token.strip())
    assert len(who) == 1
    assert who[0][0].endswith("command line)")


def test_the_command_says_what_is_wrong(tmp_path: Path) -> None:
    for arguments, words in {
        ("list", str(tmp_path / "none")): "no such run folder",
        ("add", "nosuch://x", "Ada"): "driver",
        ("revoke", f"sqlite:///{tmp_path}/r.sqlite", "Ada"): "there is no such file",
    }.items():
        status, _, said = run_command(*arguments)
        assert status == 2
        assert words in said
        assert said.count("\n") == 1
