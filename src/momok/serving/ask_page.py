"""The page for one question: head, relation or tail, whichever is left blank; or a whole fact."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query, Request
from fastapi.responses import Response
from pydantic import AfterValidator
from starlette.concurrency import run_in_threadpool

from momok.errors import DataError
from momok.prediction.questions import label_question
from momok.serving.api import WithModel, WithService
from momok.serving.contradictions import Ids
from momok.serving.describe import (
    describe_contradictions,
    describe_entity,
    describe_fact,
    describe_predictions,
    list_relations,
)
from momok.serving.model_holder import ServedModel
from momok.serving.proposals import compute_probability, label_fact
from momok.serving.rendering import render
from momok.serving.schemas import MAX_TEXT, check_text
from momok.serving.service import Service

router = APIRouter(include_in_schema=False)
ANSWERS = 20

Part = Annotated[str, Query(max_length=MAX_TEXT), AfterValidator(check_text)]


@dataclass(kw_only=True)
class QuestionForm:
    """Head, relation and tail as they were given, blank where they were not, and what was wrong."""

    given: dict[str, str]
    relations: list[Any]
    new: bool
    problem: str = ""

    @property
    def missing(self) -> list[str]:
        """The parts that are blank."""
        return [name for name, text in self.given.items() if not text]


def read_question(
    model: WithModel, head: Part = "", relation: Part = "", tail: Part = "", new: bool = False
) -> QuestionForm:
    """The form of a request."""
    given = {"head": head.strip(), "relation": relation.strip(), "tail": tail.strip()}
    relations = sorted(list_relations(model, {}), key=lambda entry: entry.name.casefold())
    return QuestionForm(given=given, relations=relations, new=new)


AskedForm = Annotated[QuestionForm, Depends(read_question)]


@router.get("/ask")
async def ask(
    *,
    request: Request,
    service: WithService,
    model: WithModel,
    form: AskedForm,
) -> Response:
    """Ask for the missing part of a fact, or of a whole one whether it holds."""
    values: dict[str, Any] = {"form": form, "answers": None, "fact": None}
    missing, status = form.missing, 200
    try:
        if len(missing) == 1:
            ids = find_parts(model, form.given)
            values |= await service.holder.compute(_answer, model, ids, form.new)
            values["missing"] = missing[0]
        elif not missing:
            fact = model.names.find_fact(*form.given.values())
            values["fact"] = await _check_fact(service, model, fact)
    except DataError as error:
        form.problem, status = str(error), 404
    return render(request, "ask.html", status, **values)


async def _check_fact(service: Service, model: ServedModel, fact: Ids) -> dict[str, Any]:
    """Whether the graph has a fact, what the model says of it both ways, and its review."""
    tail = await service.explain(model, fact, asked="tail", limit=0)
    head = await service.explain(model, fact, asked="head", limit=0)
    known, chance = tail.known, None  # type: ignore[attr-defined]  # of the explanation, as it is
    if known is None:
        chance = await service.holder.compute(compute_probability, model.predictor, fact)
    return {
        "parts": describe_fact(model, fact),
        "known": known,
        "chance": chance,
        "answers": {"tail": tail, "head": head},
        "review": await run_in_threadpool(service.store.get, label_fact(model.graph, fact)),
        "against": describe_contradictions(model, fact) if known is None else [],
    }


def find_parts(model: ServedModel, given: dict[str, str]) -> dict[str, int | None]:
    """Ids of the parts that are given; DataError where there is no such part."""
    find = {
        "head": model.names.find_entity,
        "relation": model.names.find_relation,
        "tail": model.names.find_entity,
    }
    return {name: find[name](text) if text else None for name, text in given.items()}


def _answer(model: ServedModel, ids: dict[str, int | None], new: bool) -> dict[str, Any]:
    """The answers, and the question by name, for the page."""
    known: Any = "hide" if new else "mark"
    head, relation, tail = ids["head"], ids["relation"], ids["tail"]
    entities = {
        name: None if (entity := ids[name]) is None else describe_entity(model, entity)
        for name in ("head", "tail")
    }
    if relation is None:
        assert head is not None
        assert tail is not None
        labels = model.graph.entities.labels
        found = model.predictor.predict_relations(labels[head], labels[tail], ANSWERS, known=known)
        return {"answers": list(found), "entities": entities, "relation": None}
    question = label_question(model.graph, head, relation, tail)
    predictions = model.predictor.predict_many([question], ANSWERS, known=known)[0]
    answers = describe_predictions(model, predictions).predictions
    name = model.graph.relation_names[relation], model.graph.relations.labels[relation]
    return {"answers": answers, "entities": entities, "relation": name}
