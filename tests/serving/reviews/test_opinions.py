"""Several opinions on a fact: blind, judged, settled; in both databases."""

from __future__ import annotations

import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa

from momok.serving.reviews.accounts import Overlap
from momok.serving.reviews.opinions import judge
from momok.serving.reviews.records import (
    Action,
    Decision,
    Fact,
    Review,
    ReviewConflictError,
    ReviewFilter,
)
from momok.serving.reviews.store import ReviewStore
from momok.serving.reviews.tables import events

_numbers = itertools.count()
Names = tuple[str, str, str]


@pytest.fixture
def store(address: str) -> Iterator[ReviewStore]:
    """A store whose facts need two opinions."""
    store = ReviewStore(address)
    store.set_overlap(Overlap(opinions=2), by="test")
    yield store
    store.set_overlap(Overlap(), by="test")  # tests share the PostgreSQL database
    store.close()


@pytest.fixture
def names() -> Names:
    number = next(_numbers)
    return f"ann{number}", f"bob{number}", f"cid{number}"


def new_facts(count: int) -> list[Fact]:
    return [(f"opinion{next(_numbers)}", f"o{next(_numbers)}", "t") for _ in range(count)]


def say(
    store: ReviewStore, fact: Fact, who: str, action: Action = "accept", **more: object
) -> Review:
    return store.decide(Decision(fact=fact, action=action, reviewer=who, **more))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("own", "others", "needed", "state"),
    [
        ("accept", [], 1, "accepted"),
        ("reject", ["accept"], 1, "rejected"),
        ("accept", [], 2, "open"),
        ("accept", ["accept"], 2, "accepted"),
        ("unsure", ["unsure"], 2, "unsure"),
        ("reject", ["accept"], 2, "disputed"),
        ("unsure", ["accept"], 2, "disputed"),
        ("accept", ["accept"], 3, "open"),
        ("accept", ["accept", "reject"], 3, "disputed"),
        ("accept", ["accept", "accept", "accept"], 3, "accepted"),
    ],
)
def test_where_a_fact_stands(own: Action, others: list[Action], needed: int, state: str) -> None:
    assert judge(own, others, needed) == state


def test_two_who_agree_decide_a_fact(store: ReviewStore, names: Names) -> None:
    ann, bob, _ = names
    (fact,) = new_facts(1)
    first = say(store, fact, ann, note="seen it", source="https://example.org")
    assert (first.state, first.needed, first.reviewer, first.note) == ("open", 2, "", "")
    with pytest.raises(ReviewConflictError, match="given your opinion"):
        say(store, fact, ann)
    second = say(store, fact, bob)
    assert (second.state, second.reviewer, second.version) == ("accepted", bob, 2)
    assert second in store.iterate_reviews(ReviewFilter(reviewer=ann))  # and hers
    assert second not in store.iterate_reviews(ReviewFilter(reviewer=names[2]))
    with pytest.raises(ReviewConflictError, match="decided already"):
        say(store, fact, names[2])


def test_nothing_tells_the_second_what_the_first_said(store: ReviewStore, names: Names) -> None:
    ann, bob, _ = names
    fact, other = new_facts(2)
    say(store, fact, ann, "reject", note="no such border", source="https://example.org/secret")
    assert store.lease([(fact, 0.5)], ann) is None
    shown = store.lease([(fact, 0.5)], bob)
    assert shown is not None
    told = [
        shown,
        store.get(fact),
        *store.list_reviews(relation=fact[1])[0],
        *store.list_opinions([fact], bob).get(fact, []),
        *(e for e in store.list_events(viewer=bob, limit=50)[0] if e.fact == fact),
        *(e for e in store.list_events(limit=50)[0] if e.fact == fact),
        *(entry for entry in store.list_audit()[0] if fact[0] in entry.about),
        *([store.count()[fact[1]]] if fact[1] in store.count() else []),
        *([store.tally()[fact[1]]] if fact[1] in store.tally() else []),
    ]
    for words in ("reject", "no such border", "secret"):
        assert words not in repr(told)
    assert fact not in store.list_decided(fact[1], bob)
    with pytest.raises(ReviewConflictError) as conflict:
        say(store, fact, bob, version=0)
    assert "reject" not in str(conflict.value)
    assert ann not in str(conflict.value)
    # The first sees what is their own.
    assert [e.action for e in store.list_opinions([fact], ann)[fact]] == ["reject"]
    assert any(e.fact == fact for e in store.list_events(viewer=ann, limit=50)[0])
    assert fact in store.list_decided(fact[1], ann)
    # What they have taken back, the second does not see either.
    say(store, other, ann, "reject", note="no such border")
    undone = store.undo(ann)
    assert undone.note == "no such border"
    shown = store.lease([(other, 0.5)], ann)
    assert shown is not None
    assert shown.note == "no such border"
    store.release(ann)
    for _ in range(2):
        shown = store.lease([(other, 0.5)], bob)
        assert shown is not None
        assert shown.fact == other
        assert "no such border" not in repr([shown, store.get(other)])
    assert not [e for e in store.list_events(viewer=bob, limit=50)[0] if e.fact == other]


def test_a_dispute_is_settled_by_who_may(store: ReviewStore, names: Names) -> None:
    ann, bob, judge_ = names
    (fact,) = new_facts(1)
    say(store, fact, ann, note="yes", source="https://example.org/a")
    disputed = say(store, fact, bob, "reject", reason="outdated", note="no")
    assert (disputed.state, disputed.reviewer, disputed.note) == ("disputed", "", "")
    assert fact in [review.fact for review in store.list_reviews(state="disputed", limit=200)[0]]
    opinions = store.list_opinions([fact], judge_)[fact]
    assert [(o.reviewer, o.action, o.note, o.source, o.reason) for o in opinions] == [
        (ann, "accept", "yes", "https://example.org/a", ""),
        (bob, "reject", "no", "", "outdated"),
    ]
    done = say(store, fact, judge_, "reject", version=2, may_settle=True, note="the map says no")
    assert (done.state, done.settled, done.reviewer) == ("rejected", True, judge_)
    with pytest.raises(ReviewConflictError, match="this fact is settled: rejected by"):
        say(store, fact, ann, version=3)
    assert [o.settled for o in store.list_opinions([fact], ann)[fact]] == [False, False, True]
    [ballot] = [b for b in store.list_ballots() if ann in b.opinions]
    assert (ballot.opinions, ballot.settled) == ({ann: "accept", bob: "reject"}, "rejected")
    undone = store.undo(judge_)
    assert (undone.state, undone.settled, undone.reviewer) == ("disputed", False, "")
    again = say(store, fact, judge_, "accept", version=undone.version, may_settle=True)
    assert (again.state, again.settled) == ("accepted", True)
    history = [e for e in store.list_events(limit=50)[0] if e.fact == fact][::-1]
    assert [(e.action, e.after) for e in history] == [
        ("accept", "open"),
        ("reject", "disputed"),
        ("reject", "rejected"),
        ("undo", "disputed"),
        ("accept", "accepted"),
    ]


def test_who_changes_their_mind_has_one_opinion(store: ReviewStore, names: Names) -> None:
    ann, bob, cid = names
    (fact,) = new_facts(1)
    say(store, fact, ann, "accept")
    say(store, fact, ann, "unsure", version=1)
    say(store, fact, bob, "reject")
    assert store.get(fact).state == "disputed"
    say(store, fact, ann, "reject", version=3)  # they have talked about it
    agreed = store.get(fact)
    assert (agreed.state, agreed.settled) == ("rejected", False)
    assert say(store, fact, cid, "accept", version=agreed.version).state == "disputed"
    [ballot] = [b for b in store.list_ballots() if ann in b.opinions]
    assert ballot.opinions == {ann: "unsure", bob: "reject"}  # what they said unknowing
    assert store.undo(cid).state == "rejected"


def test_an_opinion_is_taken_back_while_others_go_on(store: ReviewStore, names: Names) -> None:
    ann, bob, cid = names
    (fact,) = new_facts(1)
    say(store, fact, ann)
    say(store, fact, bob, "skip")
    assert store.undo(ann).state == "open"  # whatever others have skipped since
    say(store, fact, cid)
    assert store.get(fact).state == "open"
    say(store, fact, ann, "reject")
    assert store.get(fact).state == "disputed"
    assert store.undo(ann).state == "open"
    assert [b for b in store.list_ballots() if ann in b.opinions] == []


def test_what_waits_for_an_opinion(store: ReviewStore, names: Names) -> None:
    ann, bob, _ = names
    wanted = new_facts(3)
    for fact in wanted:
        say(store, fact, ann, probability=0.25)
    say(store, wanted[0], bob)
    waiting = [(fact, p) for fact, p in store.list_waiting(bob) if fact in wanted]
    assert waiting == [(wanted[1], 0.25), (wanted[2], 0.25)]
    assert not [fact for fact, _ in store.list_waiting(ann) if fact in wanted]


def test_a_fact_and_its_reverse_need_as_many(store: ReviewStore, names: Names) -> None:
    ann, bob, cid = names
    fact, reverse = new_facts(2)
    store.set_overlap(Overlap(opinions=2), by="test")
    say(store, fact, ann, along=((reverse, "accept"),))
    assert [r.state for r in store.get_many([fact, reverse])] == ["open", "open"]
    say(store, fact, bob, "reject", along=((reverse, "reject"),))
    assert [r.state for r in store.get_many([fact, reverse])] == ["disputed", "disputed"]
    disputes = [review.fact for review in store.list_disputes(limit=1000)[0]]
    assert (fact in disputes, reverse in disputes) == (True, False)
    assert store.count_disputes() == len(disputes)
    tally = store.tally()
    assert tally[fact[1]].decided == 1
    assert reverse[1] not in tally
    say(store, fact, cid, version=2, may_settle=True, along=((reverse, "accept"),))
    found = store.get_many([fact, reverse])
    assert [(r.state, r.settled, r.needed) for r in found] == [("accepted", True, 2)] * 2
    store.undo(cid)
    found = store.get_many([fact, reverse])
    assert [(r.state, r.along) for r in found] == [("disputed", False), ("disputed", True)]


def test_facts_with_an_opinion_keep_what_they_need(store: ReviewStore, names: Names) -> None:
    ann, bob, _ = names
    begun, fresh = new_facts(2)
    say(store, begun, ann)
    store.set_overlap(Overlap(), by="test")
    assert say(store, begun, bob, "reject").state == "disputed"
    assert say(store, fresh, ann).state == "accepted"


def test_eight_at_once_lose_and_double_no_opinion(address: str, store: ReviewStore) -> None:
    """Each fact gets two opinions of two people, whoever is faster; the rest are told so."""
    wanted = new_facts(10)
    stores = [ReviewStore(address) for _ in range(4)]  # four servers
    start = threading.Barrier(8)
    number = next(_numbers)

    def review(place: int) -> list[Fact]:
        mine = []
        start.wait()
        for fact in wanted:
            try:
                action: Action = "accept" if place % 2 else "reject"
                say(stores[place % 4], fact, f"p{number}.{place}", action)
                mine.append(fact)
            except ReviewConflictError as conflict:
                assert "decided already" in str(conflict)  # noqa: PT017
        return mine

    with ThreadPoolExecutor(8) as pool:
        saved = list(pool.map(review, range(8)))
    counted = Counter(fact for mine in saved for fact in mine)
    assert set(counted.values()) == {2}
    assert counted.keys() == set(wanted)
    for fact in wanted:
        opinions = store.list_opinions([fact], "")[fact]
        by = {f"p{number}.{place}" for place, mine in enumerate(saved) if fact in mine}
        assert {opinion.reviewer for opinion in opinions} == by
        said = {opinion.action for opinion in opinions}
        state = store.get(fact).state
        assert state == (
            {"accept": "accepted", "reject": "rejected"}[said.pop()]
            if len(said) == 1
            else "disputed"
        )
    with store._engine.connect() as connection:
        query = sa.select(sa.func.count()).select_from(events)
        ours = events.c.reviewer.like(f"p{number}.%")
        assert connection.execute(query.where(ours)).scalar() == 2 * len(wanted)
    for each in stores:
        each.close()


def test_a_draft_is_not_told_to_who_sends_again(store: ReviewStore, names: Names) -> None:
    ann, bob, _ = names
    (fact,) = new_facts(1)
    first = say(store, fact, ann, request=f"r{ann}")
    say(store, fact, bob, "accept", note="a map")
    assert store.undo(bob).note == "a map"
    again = say(store, fact, ann, request=f"r{ann}")
    assert (again.state, again.note, again.source) == ("open", "", "")
    assert first.state == "open"


def test_settling_one_fact_does_not_settle_the_right_one(store: ReviewStore, names: Names) -> None:
    ann, bob, cid = names
    wrong, right, mirror = new_facts(3)
    say(store, wrong, ann)
    version = say(store, wrong, bob, "reject").version
    along: tuple[tuple[Fact, Action], ...] = ((right, "accept"), (mirror, "reject"))
    done = say(store, wrong, cid, "reject", version=version, may_settle=True, along=along)
    assert (done.state, done.settled) == ("rejected", True)
    assert [(r.state, r.settled) for r in store.get_many([right, mirror])] == [("open", False)] * 2
    assert say(store, right, ann).state == "accepted"  # the second opinion


def test_what_is_settled_stays_when_it_goes_along(store: ReviewStore, names: Names) -> None:
    ann, bob, cid = names
    fact, mirror = new_facts(2)
    say(store, mirror, ann)
    version = say(store, mirror, bob, "reject").version
    say(store, mirror, cid, "accept", version=version, may_settle=True)
    say(store, fact, ann)
    version = say(store, fact, bob).version
    say(store, fact, ann, "reject", version=version, along=((mirror, "reject"),))
    kept = store.get(mirror)
    assert (kept.state, kept.settled, kept.reviewer) == ("accepted", True, cid)


def test_an_opinion_given_along_ends_blindness(store: ReviewStore, names: Names) -> None:
    ann, bob, cid = names
    fact, reverse = new_facts(2)
    say(store, reverse, ann, "accept")
    say(store, fact, bob, "reject", along=((reverse, "reject"),))  # all can be seen from here on
    version = store.get(reverse).version
    say(store, reverse, cid, "reject", version=version)
    [ballot] = [b for b in store.list_ballots() if ann in b.opinions]
    assert ballot.opinions == {ann: "accept"}


def test_a_corrected_fact_does_not_tell_of_the_rejected_one(
    store: ReviewStore, names: Names
) -> None:
    ann, bob, _ = names
    wrong, right = new_facts(2)
    right = (wrong[0], wrong[1], right[2] + "2")
    say(store, wrong, ann, "reject", right_tail=right[2], along=((right, "accept"),))
    listed = store.list_reviews(relation=wrong[1], viewer=ann)[0]
    assert [review.fact for review in listed] == [wrong, right]
    assert store.list_reviews(relation=wrong[1], viewer=bob)[0] == []
    shown = store.lease([(right, 0.5)], bob)
    assert shown is not None
    assert (shown.changed, store.get(right).changed) == ("", "")
    say(store, right, bob)
    listed = store.list_reviews(relation=wrong[1], viewer=bob)[0]
    assert [(review.fact, review.state) for review in listed] == [(right, "accepted")]
