"""What the review operations of the JSON API take and give."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, Field

from momok.serving.proposals import Order
from momok.serving.reviews.records import Event, Ordering, Reason, Review
from momok.serving.schemas import FactRequest, StrictRequest, Text, check_address, check_text

MAX_BATCH = 200  # facts decided at once


def _check_name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a name has letters, and no control characters")
    return check_text(text.strip())


Note = Annotated[str, Field(max_length=4000), AfterValidator(check_text)]
Address = Annotated[str, Field(max_length=2000), AfterValidator(check_address)]
Reviewer = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_check_name)]
_WHO = "Who decides; not needed with a reviewer's token, which has a name."
RequestName = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]*$")]


class ReviewRequest(FactRequest):
    """A decision on a fact."""

    action: Literal["accept", "reject", "unsure", "skip"]
    reviewer: Reviewer | None = Field(None, description=_WHO)
    note: Note = ""
    reason: Reason = Field("", description="Why it is rejected.")
    source: Address = Field("", description="The address of what proves the decision.")
    right_tail: Text = Field(
        "", description="Of a rejected fact: the tail that is right; that fact is accepted."
    )
    ordering: Ordering = Field("", description="How the queue was sorted that it was shown from.")
    version: int | None = Field(
        None,
        ge=0,
        le=2**31 - 1,
        description="Of the review seen, decided or not; null: any that is open.",
    )
    request: RequestName = Field(
        "", description="A name of this request: sent again, it decides nothing twice."
    )


class ReviewerRequest(StrictRequest):
    """Who asks."""

    reviewer: Reviewer | None = Field(None, description=_WHO)


class BatchFact(FactRequest):
    """A fact of a batch."""

    version: int | None = Field(
        None, ge=0, le=2**31 - 1, description="Of the review seen; null: any that is open."
    )


class BatchRequest(ReviewerRequest):
    """One decision on many facts."""

    action: Literal["accept", "reject", "unsure"]
    facts: list[BatchFact] = Field(min_length=1, max_length=MAX_BATCH)
    note: Note = ""
    reason: Reason = Field("", description="Why they are rejected.")
    source: Address = Field("", description="The address of what proves the decision.")
    ordering: Ordering = Field("", description="How the queue was sorted that it was shown from.")
    request: RequestName = Field(
        "", description="A name of this request: sent again, it decides nothing twice."
    )

    def split(self) -> list[ReviewRequest]:
        """The decisions on single facts, of which the first has the name of the request."""
        shared = self.model_dump(exclude={"facts", "request", "reviewer"})
        return [
            ReviewRequest(**shared, **fact.model_dump(), request="" if place else self.request)
            for place, fact in enumerate(self.facts)
        ]


class BatchReviews(BaseModel):
    """Where the facts of a batch stand."""

    reviews: list[Review]


class NextRequest(ReviewerRequest):
    """A request for the next fact, which is then kept for the reviewer."""

    relation: Text = Field("", description="A relation by label or name; empty: any.")
    least: float = Field(0.0, ge=0, le=1, description="The least probability.")
    order: Order = "probability"
    waiting: bool = Field(False, description="Only facts that others have given their opinion on.")


class NextReview(BaseModel):
    """The next fact to decide; null where nothing is left, or the ranking is being made."""

    review: Review | None
    ranking: bool = Field(description="Whether facts are still being ranked.")


class ReviewsAnswer(BaseModel):
    """A page of reviews."""

    reviews: list[Review]
    next: int | None = Field(description="``after`` of the next page.")


class HistoryAnswer(BaseModel):
    """A page of the history, latest first."""

    events: list[Event]
    next: int | None = Field(description="``before`` of the next page.")


class ImportAnswer(BaseModel):
    """What became of the decisions of a file."""

    added: int = Field(description="How many were written.")
    known: int = Field(description="How many were decided so already.")
    undecided: int = Field(description="How many are disputed, and were left out.")
    differing: list[Review] = Field(
        description="As the file has them: facts decided otherwise here, which stay so."
    )
