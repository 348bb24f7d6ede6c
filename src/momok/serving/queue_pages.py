"""What the pages of the review queue have in common: which facts, in which order, how many."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any
from urllib.parse import parse_qsl, urlencode

from fastapi import Depends, Query
from fastapi.exceptions import RequestValidationError
from pydantic import TypeAdapter, ValidationError
from starlette.concurrency import run_in_threadpool

from momok.serving.describe import list_relations
from momok.serving.model_holder import ServedModel
from momok.serving.proposals import WORTH, Order, Proposal, QueueFilter
from momok.serving.schemas import MAX_QUERY, MAX_TEXT
from momok.serving.service import Service

ALL = "*"  # relations
_RANKING_SECONDS = 2.0  # to wait for a ranking before saying that it is being made
_LEVELS = (0.0, 0.001, 0.01, 0.05, 0.1, 0.25, 0.5, 0.9)  # of probability, to choose from
_MOST_TYPES = 100
_FIELDS = ("relation", "least", "order", "type", "modality", "text", "waiting")


@dataclass(frozen=True)
class Queue:
    """Which facts a page of the queue shows, as its address says it; "" is the default."""

    relation: Annotated[str, Query(max_length=MAX_TEXT)] = ""
    least: Annotated[str, Query(pattern=r"^(0|1|0?\.\d{1,6})?$")] = ""
    order: Order = "probability"
    type: Annotated[str, Query(max_length=MAX_QUERY)] = ""
    modality: Annotated[str, Query(max_length=MAX_QUERY)] = ""
    text: Annotated[str, Query(max_length=MAX_QUERY)] = ""
    waiting: Annotated[str, Query(pattern=r"^1?$")] = ""  # for one's opinion, after others'

    @property
    def query(self) -> str:
        """The query of the address, without what is the default."""
        given = {name: getattr(self, name) for name in _FIELDS}
        given["order"] = "" if self.order == "probability" else self.order
        return urlencode({name: value for name, value in given.items() if value})

    def resolve(self, model: ServedModel) -> QueueFilter:
        """What the model is asked for."""
        return QueueFilter(
            relation=None if self.relation == ALL else model.names.find_relation(self.relation),
            least=float(self.least) if self.least else self._find_least(model),
            order=self.order,
            type=self.type,
            modality=self.modality if self.modality in model.predictor.scorer.present else "",
            text=self.text.strip(),
        )

    def _find_least(self, model: ServedModel) -> float:
        return 0.0 if self.waiting else WORTH * model.calibrated


WithQueue = Annotated[Queue, Depends()]
_QUEUE = TypeAdapter(Queue)


def read_queue(fields: Mapping[str, str], relation: str = "") -> Queue:
    """The queue that a form came from."""
    given = dict(parse_qsl(fields.get("queue", "")))
    known = {name: value for name, value in given.items() if name in _FIELDS}
    if not known and "queue" not in fields:
        return Queue(relation=relation)
    try:
        return _QUEUE.validate_python(known)
    except ValidationError as error:
        raise RequestValidationError(error.errors()) from error


async def pick(
    service: Service, model: ServedModel, queue: Queue, wanted: QueueFilter, reviewer: str
) -> list[Proposal] | None:
    """The proposals; None where they are not ranked within two seconds."""
    if queue.waiting:
        return await run_in_threadpool(service.pick_waiting, model, wanted, reviewer)
    if wanted.relation is not None:
        ranking = asyncio.wrap_future(model.queue.rank(wanted.relation))
        try:
            await asyncio.wait_for(asyncio.shield(ranking), _RANKING_SECONDS)
        except TimeoutError:
            return None
    return await run_in_threadpool(model.queue.pick, wanted)


def count_left(
    service: Service,
    model: ServedModel,
    wanted: QueueFilter,
    picked: list[Proposal],
    reviewer: str,
) -> int:
    """How many of the proposals are open to a reviewer."""
    relation = wanted.relation
    label = None if relation is None else model.graph.relations.labels[relation]
    decided = service.store.list_decided(label, reviewer)
    return sum(proposal.fact not in decided for proposal in picked)


def describe_queue(service: Service, model: ServedModel, queue: Queue) -> dict[str, Any]:
    """What the head of such a page shows: the relations, filters and orders to choose from."""
    wanted, relations = queue.resolve(model), list_relations(model, service.store.count())
    return {
        "relation": None if wanted.relation is None else relations[wanted.relation],
        "types": sorted({kind for kind in model.graph.entity_types if kind})[:_MOST_TYPES],
        "modalities": list(model.predictor.scorer.present),
        "least": wanted.least,
        "levels": sorted({*_LEVELS, wanted.least}),
        "relations": sorted(relations, key=lambda entry: -entry.facts),
        "queue": queue,
    }
