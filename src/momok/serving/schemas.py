"""What the JSON API takes and gives: FastAPI checks both and describes them as OpenAPI."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Discriminator, Field, Tag

from momok.graph import SplitName
from momok.graph.candidates import Side
from momok.prediction import Prediction

MAX_BODY = 1 << 20  # bytes of a request
MAX_UPLOAD = 8 << 20  # bytes of a request that has a picture
MAX_ANSWERS = 1000  # to one question
MAX_QUESTIONS = 256  # of one request
MAX_AMONG = 10_000  # entities that answers are chosen from
MAX_TEXT = 16_384  # characters of a label or a name
MAX_QUERY = 200  # characters of what is searched for
MAX_PAGE = 200  # rows of one page of a list
_ADDRESS = re.compile(r"https?://[^\s<>\"]+")


def check_text(text: str) -> str:
    """Refuse what no label can be and no database takes: half characters and zero bytes."""
    if "\0" in text or any("\ud800" <= c <= "\udfff" for c in text):
        raise ValueError("holds a zero byte or half a character")
    return text


def check_address(text: str) -> str:
    """Refuse what is no address of a page: it becomes a link."""
    if text and not _ADDRESS.fullmatch(text):
        raise ValueError("a source is an address that begins with http:// or https://")
    return check_text(text)


Text = Annotated[str, Field(max_length=MAX_TEXT), AfterValidator(check_text)]
Count = Annotated[int, Field(ge=1, le=MAX_ANSWERS)]
Among = Annotated[
    Annotated[Text, Tag("type")]
    | Annotated[list[Text], Field(min_length=1, max_length=MAX_AMONG), Tag("list")],
    Discriminator(lambda given: "list" if isinstance(given, list) else "type"),
]


class StrictRequest(BaseModel):
    """What is asked: no fields but those, no other types."""

    model_config = ConfigDict(extra="forbid", strict=True)


# -- what is asked ---------------------------------------------------------------------------


class Question(StrictRequest):
    """A fact with a hole: exactly one of head and tail."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"head": "France", "relation": "borders"}]}
    )

    head: Text | None = Field(None, description="An entity by label or name; tails are wanted.")
    relation: Text = Field(description="A relation by label or name.")
    tail: Text | None = Field(None, description="An entity by label or name; heads are wanted.")


class _PredictOptions(StrictRequest):
    k: Count = Field(10, description="How many answers.")
    known: Literal["mark", "hide"] = Field(
        "mark", description="Facts that the graph has: say so, or leave them out."
    )
    plausible: bool = Field(
        False, description="Only entities that answer such a question in train."
    )
    among: Among | None = Field(
        None, description="Only entities of this type, or only these, by label or name."
    )


class PredictRequest(_PredictOptions, Question):
    """One question."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"head": "France", "relation": "borders", "k": 5}]}
    )


class BatchRequest(_PredictOptions):
    """Many questions."""

    questions: list[Question] = Field(min_length=1, max_length=MAX_QUESTIONS)


class CompareRequest(Question):
    """One question to two models."""

    k: Count = Field(10, description="How many answers of either.")
    known: Literal["mark", "hide"] = Field(
        "mark", description="Facts that the graph has: say so, or leave them out."
    )


class RelationsRequest(StrictRequest):
    """Two entities: how is the head related to the tail?"""

    head: Text = Field(description="An entity by label or name.")
    tail: Text = Field(description="An entity by label or name.")
    k: Count = Field(10, description="How many relations.")
    known: Literal["mark", "hide"] = Field(
        "mark", description="Facts that the graph has: say so, or leave them out."
    )


class FactRequest(StrictRequest):
    """A fact, known or not."""

    head: Text
    relation: Text
    tail: Text


class ScoreRequest(StrictRequest):
    """Facts to be scored, known or not."""

    facts: list[FactRequest] = Field(min_length=1, max_length=MAX_QUESTIONS)


class ExplainRequest(FactRequest):
    """A fact to be explained."""

    asked: Side = Field("tail", description="The side taken as the answer.")
    limit: int = Field(5, ge=0, le=50, description="Similar entities and facts per list.")


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


class Entity(Named):
    """An entity in a list."""

    reference: str = Field(description="The label, or its digest where it is long.")
    title: str = Field(description="The name, with the label where others share the name.")
    type: str
    picture: str | None


class FoundEntity(Entity):
    """An entity that a search found."""

    matched: str = Field(description="The name that matched.")
    near: bool = Field(description="Whether it is only like what was typed.")


class SearchAnswer(BaseModel):
    """Entities by name."""

    results: list[FoundEntity]


class EntityAnswer(Entity):
    """One entity."""

    description: str
    attributes: dict[str, str]
    facts: int
    present: dict[str, bool] = Field(description="By modality, whether it has features.")


class MapAnswer(BaseModel):
    """The map of entities, as columns."""

    method: str
    by_type: bool = Field(description="Whether groups are types; else commonest roles in facts.")
    groups: list[str]
    references: list[str] = Field(description="Labels, or their digests where they are long.")
    names: list[str]
    group: list[int] = Field(description="Of each entity its place among the groups.")
    x: list[int]
    y: list[int]


class KnownFact(BaseModel):
    """A known fact."""

    head: Entity
    relation: Named
    tail: Entity
    split: SplitName


class _Page(BaseModel):
    total: int
    offset: int


class FactsAnswer(_Page):
    """A page of an entity's facts."""

    facts: list[KnownFact]


@dataclass(frozen=True, kw_only=True)
class PredictionWithPicture(Prediction):
    """An answer to a question.

    ``score`` is the mean of the decision ``heads``, ``probability`` calibrated where the run is;
    ``shares`` are by modality and sum to one.
    """

    picture: str | None


class PredictionsAnswer(BaseModel):
    """Answers to one question."""

    query: dict[str, Any]
    predictions: list[PredictionWithPicture]
    model: str = Field(description="Version of the checkpoint.")


class ModelSays(BaseModel):
    """What a model says of an answer."""

    rank: int
    value: float = Field(description="The calibrated probability; the score where there is none.")


class ComparedAnswer(Entity):
    """An answer of two models."""

    known: SplitName | None
    models: list[ModelSays | None] = Field(
        description="In the order of the models; null beyond the first thousand answers of one."
    )


class CompareAnswer(BaseModel):
    """Answers of two models to one question, the best ranks of either first."""

    models: list[str]
    answers: list[ComparedAnswer]


class RelationsPrediction(BaseModel):
    """A relation that may hold between two entities."""

    rank: int
    label: str
    name: str
    score: float = Field(description="Over all relations these sum to one.")
    tail_answer: float
    head_answer: float
    known: SplitName | None


class RelationsPredicted(BaseModel):
    """The relations between two entities, likeliest first."""

    query: dict[str, Any]
    predictions: list[RelationsPrediction]
    model: str = Field(description="Version of the checkpoint.")


class FactScore(BaseModel):
    """How likely the model finds a fact."""

    head: str
    relation: str
    tail: str
    known: SplitName | None
    score: float = Field(description="The lower of the two answers, not calibrated.")
    tail_answer: float
    head_answer: float
    probability: float | None = Field(description="As of a new fact; null if not calibrated.")


class ScoreAnswer(BaseModel):
    """Scores of facts, in their order."""

    facts: list[FactScore]
    model: str = Field(description="Version of the checkpoint.")


class BatchAnswer(BaseModel):
    """Answers to many questions, in their order."""

    results: list[PredictionsAnswer]


class PredictedFacts(BaseModel):
    """New facts of an entity in one relation and role."""

    relation: Named
    asked: Side
    predictions: list[PredictionWithPicture]


class EntityPredictionsAnswer(BaseModel):
    """New facts of an entity, by relation and role."""

    groups: list[PredictedFacts]
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


class RelationsAnswer(_Page):
    """A page of the relations."""

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


class Health(BaseModel):
    """Whether the server is there."""

    status: Literal["ok", "unavailable"]
