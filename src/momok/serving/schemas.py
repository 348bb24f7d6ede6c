"""What the JSON API takes and gives, for its checks and for its OpenAPI document."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from momok.serving.settings import Limits

__all__ = [
    "About",
    "Batch",
    "BatchAnswer",
    "EntityAnswer",
    "ErrorAnswer",
    "ExplainRequest",
    "ExplanationAnswer",
    "FactsAnswer",
    "Health",
    "HistoryAnswer",
    "NextRequest",
    "NextReview",
    "PredictRequest",
    "PredictedAnswer",
    "PredictionsAnswer",
    "RelationsAnswer",
    "ReviewAnswer",
    "ReviewRequest",
    "ReviewsAnswer",
    "SearchAnswer",
    "UndoRequest",
    "check_text",
]

_LIMITS = Limits()  # those of the document; a server may be stricter


def check_text(text: str) -> str:
    """Refuse what no label can be and no database takes: half characters and zero bytes."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("holds a zero byte or half a character")
    return text


def _check_name(text: str) -> str:
    if not text.strip() or not text.isprintable():
        raise ValueError("a name has letters, and no control characters")
    return check_text(text.strip())


Text = Annotated[str, Field(max_length=_LIMITS.text), AfterValidator(check_text)]
Note = Annotated[str, Field(max_length=4000), AfterValidator(check_text)]
Reviewer = Annotated[str, Field(min_length=1, max_length=80), AfterValidator(_check_name)]
RequestName = Annotated[str, Field(max_length=64, pattern=r"^[A-Za-z0-9_-]*$")]
Count = Annotated[int, Field(ge=1, le=_LIMITS.k)]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)


# -- what is asked ---------------------------------------------------------------------------


class Asked(_Request):
    """A fact with a hole: exactly one of head and tail."""

    head: Text | None = Field(None, description="An entity by label or name; tails are wanted.")
    relation: Text = Field(description="A relation by label or name.")
    tail: Text | None = Field(None, description="An entity by label or name; heads are wanted.")


class PredictRequest(Asked):
    """One question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"head": "France", "relation": "borders", "k": 5}]}
    )
    k: Count = Field(10, description="How many answers.")
    known: Literal["mark", "hide"] = Field(
        "mark", description="Facts that the graph has: say so, or leave them out."
    )
    plausible: bool = Field(
        False, description="Only entities that answer such a question in train."
    )


class Batch(_Request):
    """Many questions."""

    questions: list[Asked] = Field(min_length=1, max_length=_LIMITS.batch)
    k: Count = 10
    known: Literal["mark", "hide"] = "mark"
    plausible: bool = False


class ExplainRequest(_Request):
    """A fact, known or not."""

    head: Text
    relation: Text
    tail: Text
    asked: Literal["head", "tail"] = Field("tail", description="The side taken as the answer.")
    limit: int = Field(5, ge=0, le=50, description="Similar entities and facts per list.")


class ReviewRequest(_Request):
    """A decision on a fact."""

    head: Text
    relation: Text
    tail: Text
    action: Literal["accept", "reject", "skip"]
    reviewer: Reviewer
    note: Note = ""
    version: int | None = Field(
        None, ge=0, le=2**31 - 1, description="Of the review seen; null: any that is open."
    )
    request: RequestName = Field(
        "", description="A name of this request: sent again, it decides nothing twice."
    )


class NextRequest(_Request):
    """A request for the next fact of a relation, which is then kept for the reviewer."""

    relation: Text
    reviewer: Reviewer


class UndoRequest(_Request):
    """Take back the latest decision of a reviewer."""

    reviewer: Reviewer


# -- what is answered ------------------------------------------------------------------------


class ErrorText(BaseModel):
    """What went wrong."""

    code: str
    message: str


class ErrorAnswer(BaseModel):
    """What every refused request gets."""

    error: ErrorText


class Named(BaseModel):
    """A label and the name that people read."""

    label: str
    name: str


class Thing(Named):
    """An entity in a list."""

    reference: str = Field(description="The label, or its digest where it is long.")
    title: str
    type: str
    picture: str | None


class Found(Thing):
    """An entity that a search found."""

    matched: str = Field(description="The name that matched.")
    near: bool = Field(description="Whether it is only like what was typed.")


class SearchAnswer(BaseModel):
    """Entities by name."""

    results: list[Found]


class EntityAnswer(Thing):
    """One entity."""

    description: str
    attributes: dict[str, str]
    facts: int
    present: dict[str, bool] = Field(description="By modality, whether it has features.")


class Fact(BaseModel):
    """A known fact."""

    head: Thing
    relation: Named
    tail: Thing
    split: Literal["train", "valid", "test"]


class FactsAnswer(BaseModel):
    """A page of an entity's facts."""

    total: int
    offset: int
    facts: list[Fact]


class Prediction(Named):
    """An answer to a question."""

    rank: int
    title: str = Field(description="The name, with the label where others share the name.")
    score: float = Field(description="Of the model: the mean of its decision heads.")
    probability: float | None = Field(description="Calibrated, where the run is.")
    known: Literal["train", "valid", "test"] | None
    heads: dict[str, float | None] = Field(description="Of each head; null where it abstains.")
    head_probabilities: dict[str, float | None] | None = None
    shares: dict[str, float] = Field(description="By modality; they sum to one.")
    present: dict[str, bool]
    picture: str | None


class PredictionsAnswer(BaseModel):
    """Answers to one question."""

    query: dict[str, Any]
    predictions: list[Prediction]
    model: str = Field(description="Version of the checkpoint.")


class BatchAnswer(BaseModel):
    """Answers to many questions, in their order."""

    results: list[PredictionsAnswer]


class Predicted(BaseModel):
    """New facts of an entity in one relation and role."""

    relation: Named
    asked: Literal["head", "tail"]
    predictions: list[Prediction]


class PredictedAnswer(BaseModel):
    """New facts of an entity, by relation and role."""

    groups: list[Predicted]
    model: str


class ExplanationAnswer(BaseModel):
    """Why a fact has its probability; see the guide to explanations for every number."""

    model_config = ConfigDict(extra="allow")
    head: dict[str, Any]
    relation: Named
    tail: dict[str, Any]
    probability: float


class RelationEntry(Named):
    """A relation, its known facts and its decisions."""

    facts: int
    accepted: int
    rejected: int


class RelationsAnswer(BaseModel):
    """A page of the relations."""

    total: int
    offset: int
    relations: list[RelationEntry]


class About(BaseModel):
    """What is served."""

    name: str
    momok: str
    model: str
    entities: int
    relations: int
    facts: dict[str, int]
    modalities: list[str]
    heads: list[str]
    calibrated: bool
    limits: dict[str, int]


class ReviewAnswer(BaseModel):
    """Where a fact stands."""

    head: str
    relation: str
    tail: str
    state: Literal["open", "accepted", "rejected"]
    version: int
    reviewer: str
    note: str
    probability: float | None
    changed: str


class NextReview(BaseModel):
    """The next fact to decide; null where nothing is left, or the ranking is being made."""

    review: ReviewAnswer | None
    ranking: bool = Field(description="Whether the relation's facts are still being ranked.")


class ReviewsAnswer(BaseModel):
    """A page of reviews."""

    reviews: list[ReviewAnswer]
    next: int | None = Field(description="``after`` of the next page.")


class EventEntry(BaseModel):
    """One line of the history."""

    id: int
    head: str
    relation: str
    tail: str
    action: Literal["accept", "reject", "skip", "undo"]
    before: str
    after: str
    reviewer: str
    note: str
    version: int
    at: str


class HistoryAnswer(BaseModel):
    """A page of the history, latest first."""

    events: list[EventEntry]
    next: int | None = Field(description="``before`` of the next page.")


class Health(BaseModel):
    """Whether the server is there."""

    status: Literal["ok", "unavailable"]
