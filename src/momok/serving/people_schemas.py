"""What the operations on reviewers take and give."""

from __future__ import annotations

from pydantic import BaseModel, Field

from momok.serving.reviews.accounts import MOST_OPINIONS, AuditEntry, Overlap
from momok.serving.reviews.agreement import Team
from momok.serving.reviews.records import Event, Review
from momok.serving.schemas import StrictRequest


class TeamAnswer(BaseModel):
    """The reviewers, and how many opinions facts need."""

    team: Team
    overlap: Overlap


class OverlapRequest(StrictRequest):
    """How many people give their opinion on a fact."""

    opinions: int = Field(ge=1, le=MOST_OPINIONS, description="On each fact that is chosen.")
    share: float = Field(1.0, gt=0, le=1, description="Of facts that are chosen; others need one.")


class OpinionsAnswer(BaseModel):
    """A fact, and what was said of it; one's own opinion alone while others are missing."""

    review: Review
    opinions: list[Event]


class AuditAnswer(BaseModel):
    """A page of the audit log, latest first."""

    entries: list[AuditEntry]
    next: int | None = Field(description="``before`` of the next page.")
