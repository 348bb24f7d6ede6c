"""Decisions of people on predicted facts: kept in a database, shared by several reviewers."""

from momok.serving.reviews.records import (
    Action,
    Decision,
    Event,
    Fact,
    Review,
    ReviewConflictError,
    State,
)
from momok.serving.reviews.store import ReviewStore

__all__ = [
    "Action",
    "Decision",
    "Event",
    "Fact",
    "Review",
    "ReviewConflictError",
    "ReviewStore",
    "State",
]
