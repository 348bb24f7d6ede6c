"""Reads reviews: where facts stand, what led there, and counts over all of them."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime
from functools import cached_property, partial
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa

from momok.serving.reviews.accounts import Accounts
from momok.serving.reviews.agreement import Ballot, Team, compare
from momok.serving.reviews.opinions import (
    OPINIONS,
    is_imported,
    is_opinion,
    is_told_to,
    is_waiting,
    list_undone,
    select_given,
)
from momok.serving.reviews.records import (
    Action,
    Event,
    Fact,
    Review,
    ReviewFilter,
    State,
    hash_fact,
)
from momok.serving.reviews.tables import events, facts

Record = TypeVar("Record", Review, Event)
Row: TypeAlias = Mapping[Any, Any]

_PAUSE = 120.0  # seconds; a longer gap between two decisions is no work


@dataclass(frozen=True)
class Tally:
    """Decisions of one relation, but those made along with another one.

    Attributes:
        accepted, rejected, unsure: how many.
        sampled: accepted and rejected of those that were shown in random order.
    """

    accepted: int = 0
    rejected: int = 0
    unsure: int = 0
    sampled: tuple[int, int] = (0, 0)

    @property
    def decided(self) -> int:
        """All of them."""
        return self.accepted + self.rejected + self.unsure

    def __add__(self, other: Tally) -> Tally:
        """The decisions of both."""
        return Tally(
            self.accepted + other.accepted,
            self.rejected + other.rejected,
            self.unsure + other.unsure,
            (self.sampled[0] + other.sampled[0], self.sampled[1] + other.sampled[1]),
        )


@dataclass
class _Clock:
    """The minutes of every reviewer up to an event.

    Attributes:
        minutes: by reviewer.
        last: when each had decided last.
        after: the number of the event.
    """

    minutes: dict[str, float] = field(default_factory=dict)
    last: dict[str, datetime] = field(default_factory=dict)
    after: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)


class ReviewReader(Accounts):
    """The reviews of one graph, to be read."""

    def get(self, fact: Fact) -> Review:
        """Where a fact stands; an open review of version 0 where nobody has touched it."""
        return self.get_many([fact])[0]

    def get_many(self, wanted: Sequence[Fact]) -> list[Review]:
        """Where facts stand, in their order."""
        keys = [hash_fact(fact) for fact in wanted]
        found = {row["key"]: to_review(row) for row in self.read(select_facts(keys))}
        return [
            found.get(key) or Review(head=head, relation=relation, tail=tail)
            for key, (head, relation, tail) in zip(keys, wanted, strict=True)
        ]

    def list_reviews(
        self,
        *,
        state: State | None = None,
        relation: str | None = None,
        viewer: str = "",
        after: int = 0,
        limit: int = 50,
    ) -> tuple[list[Review], int | None]:
        """Touched facts in the order they were first touched: (a page, where the next begins).

        Of facts that wait for more opinions it has those alone on which ``viewer`` did something:
        one that was corrected, listed behind another one, would tell that this was rejected.
        """
        query = sa.select(facts).where(facts.c.id > after).order_by(facts.c.id)
        own = sa.select(events.c.fact).where(events.c.reviewer == viewer)
        query = query.where(~is_waiting() | (facts.c.version == 0) | facts.c.id.in_(own))
        query = query.where(facts.c.version > 0 if state is None else facts.c.state == state)
        if relation is not None:
            query = query.where(facts.c.relation == relation)
        return self._read_page(Review, query, limit)

    def list_events(
        self, *, viewer: str = "", before: int | None = None, limit: int = 50
    ) -> tuple[list[Event], int | None]:
        """The history, latest first: (a page, where the next begins).

        Of facts that wait for more opinions it has those of ``viewer`` alone.
        """
        query = _SELECT_EVENTS.where(is_told_to(viewer)).order_by(events.c.id.desc())
        if before is not None:
            query = query.where(events.c.id < before)
        return self._read_page(Event, query, limit)

    def iterate_reviews(self, wanted: ReviewFilter | None = None) -> Iterator[Review]:
        """All facts that are decided, or those of a filter, in the order they first were."""
        wanted = wanted or ReviewFilter()
        query = sa.select(facts).order_by(facts.c.id)
        query = query.where(
            facts.c.state.in_(wanted.states) if wanted.states else facts.c.state != "open"
        )
        for name in ("relation", "reason"):
            if (value := getattr(wanted, name)) is not None:
                query = query.where(facts.c[name] == value)
        if wanted.reviewer is not None:
            given = sa.select(events.c.fact).where(
                is_opinion(), events.c.reviewer == wanted.reviewer
            )
            query = query.where(facts.c.id.in_(given))
        if wanted.since is not None:
            query = query.where(facts.c.changed >= wanted.since)
        if wanted.until is not None:
            query = query.where(facts.c.changed < wanted.until)
        after: int | None = 0
        while after is not None:
            page, after = self._read_page(Review, query.where(facts.c.id > after), 1000)
            yield from page

    def list_about(self, entity: str, limit: int) -> list[Review]:
        """The facts about an entity that are not open, those that changed last first."""
        query = sa.select(facts).where(facts.c.state != "open")
        query = query.where((facts.c.head == entity) | (facts.c.tail == entity))
        query = query.order_by(facts.c.changed.desc(), facts.c.id).limit(limit)
        return [to_record(Review, row) for row in self.read(query)]

    def list_opinions(self, wanted: Sequence[Fact], viewer: str) -> dict[Fact, list[Event]]:
        """The opinions on facts, and what settled them, as far as somebody may see them."""
        query = _SELECT_EVENTS.where(facts.c.key.in_([hash_fact(fact) for fact in wanted]))
        query = query.where(is_opinion(), is_told_to(viewer)).order_by(events.c.id)
        found: dict[Fact, dict[tuple[str, bool], Event]] = {}
        for row in self.read(query):
            event = to_record(Event, row)
            found.setdefault(event.fact, {})[event.reviewer, event.settled] = event
        return {fact: list(opinions.values()) for fact, opinions in found.items()}

    def list_disputes(self, *, after: int = 0, limit: int = 50) -> tuple[list[Review], int | None]:
        """Disputed facts that somebody has looked at: (a page, where the next begins).

        One of which all opinions were given along with those on its reverse is settled with it.
        """
        query = sa.select(facts).where(_is_dispute(), facts.c.id > after).order_by(facts.c.id)
        return self._read_page(Review, query, limit)

    def count_disputes(self) -> int:
        """How many there are."""
        [row] = self.read(sa.select(sa.func.count().label("number")).where(_is_dispute()))
        return int(row["number"])

    def list_waiting(self, reviewer: str) -> list[tuple[Fact, float | None]]:
        """Facts that others have given their opinion on and that wait for this reviewer's."""
        given = sa.select(events.c.fact).where(is_opinion())
        query = sa.select(facts).where(is_waiting(), facts.c.id.in_(given))
        query = query.where(facts.c.id.not_in(select_given(reviewer))).order_by(facts.c.id)
        return [(to_review(row).fact, row["probability"]) for row in self.read(query)]

    def list_decided(self, relation: str | None = None, reviewer: str = "") -> set[Fact]:
        """The facts that are not open to a reviewer, of a relation or of all."""
        query = sa.select(facts.c.head, facts.c.relation, facts.c.tail)
        query = query.where((facts.c.state != "open") | facts.c.id.in_(select_given(reviewer)))
        if relation is not None:
            query = query.where(facts.c.relation == relation)
        return {(row["head"], row["relation"], row["tail"]) for row in self.read(query)}

    def count(self) -> dict[str, dict[State, int]]:
        """How many facts are in each state but open: by relation label, then by state."""
        query = (
            sa.select(facts.c.relation, facts.c.state, sa.func.count().label("number"))
            .where(facts.c.state != "open")
            .group_by(facts.c.relation, facts.c.state)
        )
        counts: dict[str, dict[State, int]] = {}
        for row in self.read(query):
            counts.setdefault(row["relation"], {})[row["state"]] = row["number"]
        return counts

    def tally(self) -> dict[str, Tally]:
        """The decisions by relation label; each decision counts once, whatever goes along."""
        grouped = facts.c.relation, facts.c.state, facts.c.ordering
        query = sa.select(*grouped, sa.func.count().label("number"))
        query = query.where(facts.c.state != "open", ~facts.c.along).group_by(*grouped)
        found: dict[str, Tally] = {}
        for row in self.read(query):
            number, state = row["number"], row["state"]
            sample = (number * (state == "accepted"), number * (state == "rejected"))
            tally = Tally(*(number * (state == name) for name in ("accepted", "rejected")))
            if state in ("unsure", "disputed"):
                tally = Tally(unsure=number)
            if row["ordering"] == "random":
                tally = Tally(tally.accepted, tally.rejected, tally.unsure, sample)
            found[row["relation"]] = found.get(row["relation"], Tally()) + tally
        return found

    def count_minutes(self) -> dict[str, float]:
        """The minutes that each reviewer spent: from one decision to the next, without pauses.

        What was counted before is kept: only events that came since are read.
        """
        clock = self._clock
        with clock.lock:
            query = sa.select(events.c.id, events.c.reviewer, events.c.at)
            query = query.where(events.c.id > clock.after, ~is_imported()).order_by(events.c.id)
            for row in self.read(query):
                reviewer, at = row["reviewer"], datetime.fromisoformat(row["at"])
                gap = (at - clock.last.get(reviewer, at)).total_seconds()
                minutes = clock.minutes.get(reviewer, 0.0)
                clock.minutes[reviewer] = minutes + (gap / 60 if 0 <= gap <= _PAUSE else 0.0)
                clock.last[reviewer], clock.after = at, row["id"]
            return dict(clock.minutes)

    @cached_property
    def _clock(self) -> _Clock:
        return _Clock()

    def list_ballots(self) -> list[Ballot]:
        """The opinions on facts that have all they need, as far as they were given blind."""
        query = sa.select(
            *(events.c[name] for name in ("fact", "reviewer", "action", "along", "after")),
            events.c.id.in_(list_undone()).label("undone"),
            facts.c.state,
            facts.c.settled,
        )
        query = query.join(facts, facts.c.id == events.c.fact).order_by(events.c.id)
        query = query.where(facts.c.needed > 1, facts.c.state != "open")
        rows = self.read(query.where(events.c.action.in_(OPINIONS)))
        given: dict[int, dict[str, Action]] = {}
        ballots: dict[int, Ballot] = {}
        told: set[int] = set()  # facts that had all they need
        for row in rows:
            fact = row["fact"]
            opinions = given.setdefault(fact, {})
            if fact not in told and not row["undone"] and not row["along"]:
                opinions[row["reviewer"]] = row["action"]
            if row["after"] != "open":
                told.add(fact)
            ballots[fact] = Ballot(
                opinions=opinions, settled=row["state"] if row["settled"] else None
            )
        return list(ballots.values())

    def count_opinions(self) -> dict[str, int]:
        """How many opinions each reviewer gave here: no imported ones, none given along."""
        query = sa.select(events.c.reviewer, sa.func.count().label("number"))
        query = query.where(is_opinion(), ~events.c.along, ~is_imported())
        return {
            row["reviewer"]: row["number"] for row in self.read(query.group_by(events.c.reviewer))
        }

    def compare_reviewers(self) -> Team:
        """How far reviewers agree, and what each did."""
        return compare(self.list_ballots(), self.count_opinions(), self.count_minutes())

    def _read_page(
        self, kind: type[Record], query: sa.Select[Any], limit: int
    ) -> tuple[list[Record], int | None]:
        """Records, and the id of the last one where more follow."""
        rows = self.read(query.limit(limit + 1))
        following = rows[limit - 1]["id"] if len(rows) > limit else None
        make: Any = to_review if kind is Review else partial(to_record, kind)
        return [make(row) for row in rows[:limit]], following


_SELECT_EVENTS = sa.select(events, facts.c.head, facts.c.relation, facts.c.tail).join(
    facts, facts.c.id == events.c.fact
)


def _is_dispute() -> sa.ColumnElement[bool]:
    looked_at = sa.select(events.c.fact).where(is_opinion(), ~events.c.along)
    return (facts.c.state == "disputed") & facts.c.id.in_(looked_at)


def select_facts(keys: list[str]) -> sa.Select[Any]:
    """Facts by their keys."""
    return sa.select(facts).where(facts.c.key.in_(keys))


def to_record(kind: type[Record], row: Row) -> Record:
    """A row as a record."""
    return kind(**{field.name: row[field.name] for field in fields(kind)})


def to_review(row: Row) -> Review:
    """Where a fact stands; while it is open, what somebody has begun to write is theirs.

    Nor is it told when somebody gave an opinion while others are missing.
    """
    hidden = {"note": "", "source": ""} if row["state"] == "open" else {}
    if hidden and row["needed"] > 1:
        hidden["changed"] = ""
    return to_record(Review, {**row, **hidden})
