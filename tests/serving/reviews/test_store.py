"""Reviews: nothing is lost, nothing is decided twice, in SQLite and in PostgreSQL."""

from __future__ import annotations

import itertools
import sqlite3
import stat
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from time import monotonic

import pytest
import sqlalchemy as sa
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from momok.errors import ConfigError, StorageError
from momok.serving.reviews.records import (
    Decision,
    Fact,
    ReviewConflictError,
    ReviewFilter,
    hash_fact,
)
from momok.serving.reviews.store import ReviewStore
from momok.serving.reviews.tables import events, facts

_numbers = itertools.count()


@pytest.fixture
def store(address: str) -> Iterator[ReviewStore]:
    store = ReviewStore(address)
    yield store
    store.close()


def new_facts(count: int) -> list[Fact]:
    """Facts that no other test has (tests share the PostgreSQL database)."""
    return [(f"h{next(_numbers)}", f"r{next(_numbers)}", "t") for _ in range(count)]


def accept(fact: Fact, reviewer: str = "ann", **changes: object) -> Decision:
    return Decision(fact=fact, action="accept", reviewer=reviewer, **changes)  # type: ignore[arg-type]


def test_a_decision_is_kept(address: str, store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    review = store.decide(accept(fact, note="sure", probability=0.25))
    assert (review.state, review.version, review.reviewer) == ("accepted", 1, "ann")
    again = ReviewStore(address)  # as after a restart
    assert again.get(fact) == review
    assert again.get(fact).note == "sure"
    assert again.get(fact).probability == 0.25
    assert fact in [
        review.fact for review in again.iterate_reviews(ReviewFilter(states=("accepted",)))
    ]
    assert again.count()[fact[1]] == {"accepted": 1}
    again.close()


def test_a_decided_fact_is_not_decided_again(store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    store.decide(accept(fact))
    with pytest.raises(ReviewConflictError, match="decided already: accepted by ann") as raised:
        store.decide(Decision(fact=fact, action="reject", reviewer="bob"))
    assert raised.value.review == store.get(fact)
    assert store.get(fact).state == "accepted"


def test_a_fact_that_changed_since_it_was_shown_is_not_decided(store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    store.decide(accept(fact))
    store.undo("ann")
    with pytest.raises(ReviewConflictError, match="changed since it was shown"):
        store.decide(accept(fact, "bob", version=0))
    assert store.decide(accept(fact, "bob", version=2)).version == 3


def test_undo_takes_back_the_latest_decision_of_the_reviewer(store: ReviewStore) -> None:
    first, second, other = new_facts(3)
    me = f"me{next(_numbers)}"
    store.decide(accept(first, me))
    store.decide(Decision(fact=second, action="reject", reviewer=me))
    store.decide(accept(other, "bob"))
    assert store.undo(me).fact == second
    assert store.undo(me).fact == first
    with pytest.raises(ReviewConflictError, match="nothing to undo"):
        store.undo(me)
    assert [store.get(f).state for f in (first, second, other)] == ["open", "open", "accepted"]


def test_undo_keeps_the_note(store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    me = f"me{next(_numbers)}"
    store.decide(accept(fact, me, note="see the map"))
    undone = store.undo(me)
    assert (undone.state, undone.reviewer, undone.note) == ("open", "", "see the map")
    assert store.decide(accept(fact, me, note="")).note == ""


def test_a_locked_database_is_not_waited_for_long(tmp_path: Path) -> None:
    store = ReviewStore(f"sqlite:///{tmp_path / 'reviews.sqlite'}")
    (fact,) = new_facts(1)
    with closing(sqlite3.connect(tmp_path / "reviews.sqlite", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        began = monotonic()
        with pytest.raises(StorageError, match=r"locked; nothing was written"):
            store.decide(accept(fact))
        assert monotonic() - began < 6.0
        began = monotonic()
        assert not store.ping()
        assert store.count() == {}  # who reads does not wait
        assert monotonic() - began < 2.0
        other.execute("ROLLBACK")
    assert store.ping()
    assert store.decide(accept(fact)).state == "accepted"
    store.close()


def test_undo_leaves_what_others_have_decided_since(store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    me = f"me{next(_numbers)}"
    store.decide(Decision(fact=fact, action="skip", reviewer=me))
    store.decide(accept(fact, "bob"))
    with pytest.raises(ReviewConflictError, match="accepted by bob"):
        store.undo(me)
    assert store.get(fact).state == "accepted"


def test_a_fact_is_shown_to_one_reviewer_at_a_time(store: ReviewStore) -> None:
    queue = [(fact, 0.5) for fact in new_facts(3)]
    shown = [store.lease(queue, reviewer) for reviewer in ("ann", "bob", "cid", "dan", "ann")]
    assert [review and review.fact for review in shown] == [
        queue[0][0],
        queue[1][0],
        queue[2][0],
        None,
        queue[0][0],
    ]
    store.release("bob")
    given = store.lease(queue, "dan")
    assert given is not None
    assert given.fact == queue[1][0]


def test_a_skipped_fact_goes_to_others(store: ReviewStore) -> None:
    queue = [(fact, None) for fact in new_facts(2)]
    me = f"me{next(_numbers)}"
    store.decide(Decision(fact=queue[0][0], action="skip", reviewer=me))
    mine, theirs = store.lease(queue, me), store.lease(queue, "bob")
    assert mine is not None
    assert theirs is not None
    assert (mine.fact, theirs.fact) == (queue[1][0], queue[0][0])
    store.release("bob")
    store.undo(me)
    given = store.lease(queue, me)
    assert given is not None
    assert given.fact == queue[0][0]


def test_undo_passes_over_what_others_have_changed_since(store: ReviewStore) -> None:
    mistake, skipped = new_facts(2)
    me, other = f"me{next(_numbers)}", f"other{next(_numbers)}"
    store.decide(Decision(fact=mistake, action="reject", reviewer=me))
    store.decide(Decision(fact=skipped, action="skip", reviewer=me))
    store.decide(accept(skipped, other))
    assert store.undo(me).fact == mistake
    assert store.get(skipped).reviewer == other
    with pytest.raises(ReviewConflictError, match="this fact has changed since"):
        store.undo(me)


def test_what_was_taken_back_is_shown_next(store: ReviewStore) -> None:
    queue = [(fact, None) for fact in new_facts(2)]
    first, second = f"a{next(_numbers)}", f"b{next(_numbers)}"
    assert [store.lease(queue, who).fact for who in (first, second)] == [f for f, _ in queue]  # type: ignore[union-attr]
    store.decide(accept(queue[1][0], second))
    store.decide(Decision(fact=queue[0][0], action="skip", reviewer=first))
    assert store.undo(second).fact == queue[1][0]
    for _ in range(2):
        shown = store.lease(queue, second)  # not the first of the queue, which is free again
        assert shown is not None
        assert shown.fact == queue[1][0]


def test_a_repeated_request_decides_nothing_twice(store: ReviewStore) -> None:
    fact, other = new_facts(2)
    name = f"request{next(_numbers)}"
    first = store.decide(accept(fact, version=0, request=name))
    assert store.decide(accept(fact, version=0, request=name)) == first
    with pytest.raises(ReviewConflictError, match="used for another decision"):
        store.decide(accept(other, request=name))
    assert sum(event.head == fact[0] for event in store.list_events(limit=200)[0]) == 1


def test_the_history_is_only_added_to(address: str, store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    store.decide(accept(fact, note="first"))
    store.undo("ann")
    latest = [event for event in store.list_events(limit=50)[0] if event.head == fact[0]]
    assert [(e.action, e.before, e.after, e.version) for e in latest] == [
        ("undo", "accepted", "open", 2),
        ("accept", "open", "accepted", 1),
    ]
    engine = sa.create_engine(address)
    for change in (sa.delete(events), sa.update(events).values(note="forged")):
        with pytest.raises(sa.exc.DBAPIError, match="only ever added to"), engine.begin() as begun:
            begun.execute(change)
    engine.dispose()


def test_pages_cover_everything_once(store: ReviewStore) -> None:
    wanted = new_facts(7)
    relation = f"pages{next(_numbers)}"
    for fact in wanted:
        store.decide(accept((fact[0], relation, fact[2])))
    seen: list[str] = []
    after: int | None = 0
    while after is not None:
        page, after = store.list_reviews(relation=relation, after=after, limit=3)
        assert len(page) <= 3
        seen += [review.head for review in page]
    assert seen == [fact[0] for fact in wanted]
    ids: list[int] = []
    before: int | None = None
    while True:
        chunk, before = store.list_events(before=before, limit=4)
        ids += [event.id for event in chunk]
        if before is None:
            break
    assert ids == sorted(set(ids), reverse=True)


def test_many_reviewers_at_once_decide_each_fact_once(address: str) -> None:
    wanted = new_facts(12)
    stores = [ReviewStore(address) for _ in range(4)]  # four servers
    start = threading.Barrier(8)

    def review(number: int) -> list[Fact]:
        mine = []
        start.wait()
        for fact in wanted:
            try:
                stores[number % 4].decide(accept(fact, f"r{number}"))
                mine.append(fact)
            except ReviewConflictError:
                continue
        return mine

    with ThreadPoolExecutor(8) as pool:
        won = list(pool.map(review, range(8)))
    winners = {fact: f"r{number}" for number, mine in enumerate(won) for fact in mine}
    assert sum(map(len, won)) == len(winners) == len(wanted)
    assert {fact: stores[0].get(fact).reviewer for fact in wanted} == winners
    counted = Counter(event.head for event in stores[0].list_events(limit=200)[0])
    assert all(counted[fact[0]] == 1 for fact in wanted)
    for store in stores:
        store.close()


def test_reviewers_of_one_queue_never_get_the_same_fact(address: str) -> None:
    queue = [(fact, 0.1) for fact in new_facts(24)]
    stores = [ReviewStore(address) for _ in range(2)]

    def work(number: int) -> list[Fact]:
        store, done = stores[number % 2], []
        while (review := store.lease(queue, f"w{number}")) is not None:
            store.decide(accept(review.fact, f"w{number}", version=review.version))
            done.append(review.fact)
        return done

    with ThreadPoolExecutor(4) as pool:
        done = [fact for mine in pool.map(work, range(4)) for fact in mine]
    assert sorted(done) == sorted(fact for fact, _ in queue)
    for store in stores:
        store.close()


steps = st.lists(
    st.tuples(
        st.sampled_from(["accept", "reject", "skip", "undo"]),
        st.sampled_from(["ann", "bob"]),
        st.integers(0, 2),
    ),
    max_size=12,
)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(steps=steps)
def test_any_course_of_events_agrees_with_a_plain_model(
    steps: list[tuple[str, str, int]], tmp_path: Path
) -> None:
    """The store against two lists: the states, and what each reviewer can still undo."""
    store = ReviewStore(f"sqlite:///{tmp_path / f'm{next(_numbers)}.sqlite'}")
    wanted = new_facts(3)
    states = ["open"] * 3
    versions = [0] * 3
    done: list[tuple[str, int, str, int, str]] = []  # reviewer, fact, before, version, after
    for action, reviewer, place in steps:
        if action == "undo":
            mine = [
                x
                for x in done
                if x[0] == reviewer
                and (versions[x[1]] == x[3] or (states[x[1]] == "open" and x[4] == "open"))
            ]
            allowed = bool(mine)
        else:
            allowed = states[place] == "open"
        try:
            if action == "undo":
                store.undo(reviewer)
            else:
                store.decide(Decision(fact=wanted[place], action=action, reviewer=reviewer))  # type: ignore[arg-type]
            assert allowed
        except ReviewConflictError:
            assert not allowed
            continue
        if action == "undo":
            entry = mine[-1]
            done.remove(entry)
            states[entry[1]] = entry[2]
            versions[entry[1]] += 1
        else:
            before = states[place]
            states[place] = {"accept": "accepted", "reject": "rejected", "skip": "open"}[action]
            versions[place] += 1
            done.append((reviewer, place, before, versions[place], states[place]))
    found = store.get_many(wanted)
    assert [review.state for review in found] == states
    assert [review.version for review in found] == versions
    store.close()


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("nonsense", ConfigError, "no address of a database"),
        ("sqlite://", ConfigError, "without a file"),
        ("sqlite:////nowhere/at/all/reviews.sqlite", StorageError, "no such folder"),
        ("mongodb://somewhere/x", ConfigError, "driver"),
    ],
)
def test_bad_addresses_are_said(address: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        ReviewStore(address)


def test_passwords_are_not_repeated() -> None:
    with pytest.raises(ConfigError) as raised:
        ReviewStore("not a url with:secret@host")
    assert "secret" not in str(raised.value)


def test_a_file_that_is_no_database_is_said(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    path.write_bytes(b"this is a text, and a long one at that" * 100)
    with pytest.raises(StorageError, match="not a database"):
        ReviewStore(f"sqlite:///{path}")
    assert path.read_bytes().startswith(b"this is a text")


def test_a_new_file_is_its_owners_alone(tmp_path: Path) -> None:
    store = ReviewStore(f"sqlite:///{tmp_path / 'reviews.sqlite'}")
    store.decide(accept(new_facts(1)[0]))
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes.pop("reviews.sqlite") == 0o600
    assert modes.keys() >= {"reviews.sqlite-wal"}
    assert set(modes.values()) == {0o600}
    store.close()


def test_labels_of_any_length_and_script_are_kept(store: ReviewStore) -> None:
    fact = ("长" * 10_000, f"<b>{next(_numbers)}", "\u202e'; DROP TABLE review_fact; --")
    store.decide(accept(fact))
    assert store.get(fact).fact == fact
    with store._engine.connect() as connection:
        assert connection.execute(sa.select(sa.func.count()).select_from(facts)).scalar()


def test_a_database_of_an_older_momok_keeps_everything(tmp_path: Path) -> None:
    path = tmp_path / "reviews.sqlite"
    with closing(sqlite3.connect(path)) as old:
        old.executescript((Path(__file__).parent / "reviews-0.2.sql").read_text())
    for _ in range(2):  # the second time nothing is left to add
        store = ReviewStore(f"sqlite:///{path}")
        review = store.get(("a", "r", "b"))
        assert (review.state, review.reviewer, review.note) == ("accepted", "ann", "sure")
        assert (review.probability, review.version, review.source) == (0.9, 1, "")
        told = [(e.action, e.tail, e.reviewer, e.reason) for e in store.list_events()[0]][::-1]
        assert told[:2] == [("accept", "b", "ann", ""), ("reject", "c", "bob", "")]
        assert told[2:4] == [("skip", "d", "bob", ""), ("undo", "d", "bob", "")]
        assert store.load_secret() == "5ec4e7"
        store.close()
    store = ReviewStore(f"sqlite:///{path}")
    assert store.undo("bob").fact == ("a", "r", "c")
    fact = ("a", "r", "d")
    again = store.decide(accept(fact, source="https://example.org", version=2))
    assert store.get(fact) == again
    with (
        pytest.raises(sqlite3.IntegrityError, match="only ever added"),
        closing(sqlite3.connect(path)) as forged,
    ):
        forged.execute("UPDATE review_event SET source = 'x'")
    store.close()


def test_what_goes_along_is_decided_and_taken_back_in_one(store: ReviewStore) -> None:
    fact, turned, right, decided = new_facts(4)
    me = f"me{next(_numbers)}"
    store.decide(accept(decided, "bob"))
    along = ((turned, "reject"), (right, "accept"), (decided, "reject"))
    wrong = Decision(
        fact=fact, action="reject", reviewer=me, reason="wrong_tail", right_tail="t2", along=along
    )
    review = store.decide(wrong)
    assert (review.reason, review.right_tail, review.along) == ("wrong_tail", "t2", False)
    assert [r.state for r in store.get_many([turned, right])] == ["rejected", "accepted"]
    assert all(r.along for r in store.get_many([turned, right]))
    assert store.get(decided).reviewer == "bob"  # it was no longer open
    assert store.tally()[fact[1]].rejected == 1
    assert turned[1] not in store.tally()
    assert store.undo(me).fact == fact
    assert {r.state for r in store.get_many([fact, turned, right])} == {"open"}
    assert store.get(decided).state == "accepted"
    with pytest.raises(ReviewConflictError, match="nothing to undo"):
        store.undo(me)


def test_a_fact_is_decided_anew_and_undo_gives_the_first_decision_back(store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    me = f"me{next(_numbers)}"
    first = store.decide(accept(fact, "bob", note="a map", source="https://example.org"))
    with pytest.raises(ReviewConflictError, match="decided already"):
        store.decide(Decision(fact=fact, action="reject", reviewer=me))
    anew = Decision(fact=fact, action="reject", reviewer=me, reason="outdated", version=1)
    assert store.decide(anew).state == "rejected"
    back = store.undo(me)
    kept = back.state, back.reviewer, back.note, back.source, back.reason
    assert kept == ("accepted", "bob", first.note, first.source, "")
    shown = [e.action for e in store.list_events(limit=200)[0] if e.head == fact[0]]
    assert shown == ["undo", "reject", "accept"]


def test_undo_does_not_give_back_what_was_taken_back_itself(store: ReviewStore) -> None:
    (fact,) = new_facts(1)
    store.decide(accept(fact, "bob", note="a map"))
    store.decide(accept(fact, "eve", note="hearsay", version=1))
    store.undo("eve")
    store.decide(Decision(fact=fact, action="reject", reviewer="ann", version=3))
    back = store.undo("ann")
    assert (back.state, back.reviewer, back.note) == ("accepted", "bob", "a map")


def test_the_next_fact_is_leased_ahead(store: ReviewStore) -> None:
    queue = [(fact, 0.5) for fact in new_facts(3)]
    me = f"me{next(_numbers)}"
    first = store.lease(queue, me)
    assert first is not None
    second = store.lease(queue, me, but=[hash_fact(first.fact)])
    assert second is not None
    assert second.fact == queue[1][0]
    assert store.lease(queue, "bob").fact == queue[2][0]  # type: ignore[union-attr]


def test_minutes_leave_pauses_out(store: ReviewStore, monkeypatch: pytest.MonkeyPatch) -> None:
    me = f"me{next(_numbers)}"
    read: list[object] = []
    read_all = store.read

    def count_rows(query: object) -> list[object]:
        rows: list[object] = read_all(query)  # type: ignore[arg-type,assignment]
        read.extend(rows)
        return rows

    times = "10:00:00", "10:01:00", "12:00:00", "12:00:30"
    for fact, at, minutes in zip(new_facts(4), times, (0, 1, 1, 1.5), strict=True):
        store.lease([(fact, None)], me)  # writes its row, so that the decision asks the time once
        monkeypatch.setattr("momok.serving.reviews.store.now", lambda at=at: f"2026-01-01T{at}Z")
        store.decide(accept(fact, me))
        monkeypatch.undo()
        monkeypatch.setattr(store, "read", count_rows)
        assert store.count_minutes()[me] == pytest.approx(minutes)
        monkeypatch.undo()
        if at == times[0]:
            read.clear()
    assert len(read) == 3  # of each view only what came since


def test_a_batch_is_decided_whole_and_undone_whole(store: ReviewStore) -> None:
    first, second, third, mirror = new_facts(4)
    decided = [accept(first, request="once", along=((mirror, "accept"),)), accept(second)]
    decided.append(accept(mirror))  # decided along with the first already
    reviews = store.decide_batch(decided)
    assert [review.state for review in reviews] == ["accepted"] * 3
    assert [review.version for review in reviews] == [1, 1, 1]
    assert store.decide_batch(decided) == reviews  # sent again
    for other in (accept(third), accept(new_facts(1)[0])):  # of which one is known
        with pytest.raises(ReviewConflictError, match="used for other facts"):
            store.decide_batch([decided[0], other])
    with pytest.raises(ReviewConflictError, match="decided already"):
        store.decide_batch([accept(third, "bob"), accept(second, "bob")])
    assert store.get(third).version == 0
    assert store.undo("ann").state == "open"
    assert {store.get(fact).state for fact in (first, second, mirror)} == {"open"}
    with pytest.raises(ReviewConflictError, match="nothing to undo"):
        store.undo("ann" if "postgresql" not in str(store._engine.url) else "nobody")


def test_a_right_tail_overrules_nobody(store: ReviewStore) -> None:
    wrong, right = new_facts(2)
    ann, bob = f"ann{next(_numbers)}", f"bob{next(_numbers)}"
    store.decide(Decision(fact=right, action="reject", reviewer=bob))
    first = store.decide(Decision(fact=wrong, action="reject", reviewer=ann))
    store.decide(
        Decision(
            fact=wrong,
            action="reject",
            reviewer=ann,
            version=first.version,
            right_tail=right[2],
            along=((right, "accept"),),
        )
    )
    stands = store.get(right)
    assert (stands.state, stands.reviewer, stands.version) == ("rejected", bob, 1)


def test_many_facts_are_kept_longer_than_one(
    store: ReviewStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    wanted = [(fact, 0.5) for fact in new_facts(21)]
    store.lease_many(wanted[:20], "long-ann", 20)
    store.lease(wanted[20:], "long-ann")
    start = time.time()
    monkeypatch.setattr(time, "time", lambda: start + 310)
    assert store.lease(wanted, "long-bob").fact == wanted[20][0]  # type: ignore[union-attr]


def test_rows_of_a_table_are_kept_for_one_reviewer(store: ReviewStore) -> None:
    facts_ = new_facts(5)
    candidates = [(fact, 0.5) for fact in facts_]
    own = store.lease_many(candidates, "cid", 3)
    assert [review.fact for review in own] == facts_[:3]
    assert [r.fact for r in store.lease_many(candidates, "cid", 3)] == facts_[:3]
    assert [r.fact for r in store.lease_many(candidates, "dan", 3)] == facts_[3:]
    store.decide(accept(facts_[1], "cid"))
    assert [r.fact for r in store.lease_many(candidates, "cid", 3)] == [facts_[0], facts_[2]]
