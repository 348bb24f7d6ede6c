"""A review, a decision, an event: the records that the store takes and gives."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from typing import Literal, TypeAlias

from momok.errors import ConfigError, MomokError
from momok.graph import MultimodalGraph

_DAY = re.compile(r"\d{4}-?\d{2}-?\d{2}")

State = Literal["open", "accepted", "rejected", "unsure", "disputed"]
"""Where a fact stands: open while opinions are missing; disputed where they differ."""

Action = Literal["accept", "reject", "unsure", "skip", "undo"]
"""What a reviewer did. ``skip`` decides nothing: the fact is not shown to this reviewer again."""

Reason = Literal["", "false", "outdated", "imprecise", "relation", "identity", "wrong_tail"]
"""Why a fact was rejected; see ``REASONS``."""

Ordering = Literal["", "probability", "uncertainty", "random"]
"""How the queue was sorted that a fact was shown from; "" where it came from another page."""

Fact: TypeAlias = tuple[str, str, str]
"""Labels of head, relation and tail."""

REASONS: dict[Reason, str] = {
    "false": "Not true",
    "outdated": "No longer true",
    "imprecise": "Too imprecise",
    "relation": "Another relation holds",
    "identity": "Mistaken identity",
}
"""Reasons for a rejection, in the order of their keys 1 to 5; ``wrong_tail`` has a form."""


class ReviewConflictError(MomokError):
    """Somebody else was faster, or there is nothing to undo.

    Attributes:
        review: the fact as it stands, if there is one.
    """

    def __init__(self, message: str, review: Review | None = None) -> None:
        super().__init__(message)
        self.review = review


@dataclass(frozen=True, kw_only=True)
class Review:
    """A fact and where it stands.

    Attributes:
        head, relation, tail: labels.
        state: where it stands.
        version: counts its events; a decision names the version that it was made on.
        needed: how many people are to give their opinion.
        reviewer: who decided, or "".
        note: what they wrote, or "".
        reason: why it was rejected, or "".
        source: the address of what proves the decision, or "".
        right_tail: the tail that is right instead, or "".
        along: whether it was decided along with another fact (its reverse, or a corrected one).
        settled: whether opinions differed, and somebody had the last word.
        ordering: how the queue was sorted that it was decided in.
        probability: what the model said when the fact was first shown or decided.
        changed: when it last changed, in ISO 8601, UTC; "" while it waits for more opinions.
    """

    head: str
    relation: str
    tail: str
    state: State = "open"
    version: int = 0
    needed: int = 1
    reviewer: str = ""
    note: str = ""
    reason: Reason = ""
    source: str = ""
    right_tail: str = ""
    along: bool = False
    settled: bool = False
    ordering: Ordering = ""
    probability: float | None = None
    changed: str = ""

    @property
    def fact(self) -> Fact:
        """The labels."""
        return self.head, self.relation, self.tail


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a reviewer does with a fact.

    Attributes:
        fact: labels.
        action: accept, reject, unsure or skip.
        reviewer: who.
        note, reason, source, right_tail: why, or "".
        ordering: how the queue was sorted that the fact was shown from.
        version: of the review that the reviewer saw; None is any that is still open. A fact that is
            decided already is decided anew where this is its version.
        may_settle: whether the reviewer has the last word on a disputed fact.
        probability: what the model says of the fact.
        request: a name of this request; repeated, it gives the same outcome once more and
            decides nothing (for clients that got no answer).
        along: facts that are decided with it in the same transaction, as far as they are open: the
            same fact turned round, or the corrected one.
    """

    fact: Fact
    action: Action
    reviewer: str
    note: str = ""
    reason: Reason = ""
    source: str = ""
    right_tail: str = ""
    ordering: Ordering = ""
    version: int | None = None
    may_settle: bool = False
    probability: float | None = None
    request: str = ""
    along: tuple[tuple[Fact, Action], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Event:
    """One line of the history, which is only ever added to.

    Attributes:
        id: counts up.
        action: what was done.
        before, after: the state of the fact.
        settled: whether it is the last word on differing opinions.
        version: of the fact after it.
        at: when, in ISO 8601, UTC.
    """

    id: int
    head: str
    relation: str
    tail: str
    action: Action
    before: State
    after: State
    reviewer: str
    note: str
    reason: Reason
    source: str
    right_tail: str
    along: bool
    settled: bool
    version: int
    at: str

    @property
    def fact(self) -> Fact:
        """The labels."""
        return self.head, self.relation, self.tail


@dataclass(frozen=True, kw_only=True)
class ReviewFilter:
    """Which decided facts are wanted; None is any.

    Attributes:
        states: where they stand; none given is any state but open.
        relation: its label.
        reviewer: who gave an opinion on them or settled them, alone or with others.
        since, until: when they last changed: from a day or time on, and before a time or to the end
            of a day.

    Raises:
        ConfigError: that is neither a day nor a time.
    """

    states: tuple[State, ...] = ()
    relation: str | None = None
    reviewer: str | None = None
    reason: Reason | None = None
    since: str | None = None
    until: str | None = None

    def __str__(self) -> str:
        """What is wanted, for the audit log."""
        given = {field.name: getattr(self, field.name) for field in fields(self)}
        given["states"] = ", ".join(self.states)
        return "; ".join(f"{name} {value}" for name, value in given.items() if value)

    def __post_init__(self) -> None:
        """Write times as the store does."""
        if self.since is not None:
            object.__setattr__(self, "since", read_time(self.since))
        if self.until is not None:
            object.__setattr__(self, "until", read_time(self.until, end=True))


def read_time(text: str, *, end: bool = False) -> str:
    """A day or a time as the store writes it, UTC where it names no zone.

    A day is its first moment, or (``end``) the first of the next day.

    Raises:
        ConfigError: it is neither.
    """
    try:
        moment = datetime.fromisoformat(text)
        if end and _DAY.fullmatch(text):
            moment += timedelta(days=1)
        moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return moment.astimezone(UTC).isoformat(timespec="milliseconds")
    except (ValueError, OverflowError):
        raise ConfigError(
            f"{text[:40]!r}: expected a day or a time, as in 2026-05-01 or 2026-05-01T12:30"
        ) from None


def hash_fact(fact: Fact) -> str:
    """A key of fixed length: databases do not index texts of any length."""
    joined = b"".join(len(part.encode()).to_bytes(8, "little") + part.encode() for part in fact)
    return hashlib.sha256(joined).hexdigest()


def name_fact(graph: MultimodalGraph, fact: Fact) -> tuple[str, str, str]:
    """Names to show of head, relation and tail; labels that the graph does not have stay."""
    head, relation, tail = fact
    if relation in graph.relations:
        relation = graph.relation_names[graph.relations.index(relation)]
    head, tail = (
        graph.title(graph.entities.index(label)) if label in graph.entities else label
        for label in (head, tail)
    )
    return head, relation, tail
