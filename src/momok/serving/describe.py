"""What is said of entities, facts and predictions, for the JSON API and for the pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict
from typing import Any
from urllib.parse import urlencode

from momok.graph import SPLIT_NAMES
from momok.prediction import Explanation, Prediction, Predictions
from momok.prediction.questions import label_question
from momok.serving import schemas
from momok.serving.entity_search import Hit, make_reference
from momok.serving.model_holder import ServedModel

_ROLES = 24  # questions asked about an entity


def describe_entity(model: ServedModel, entity: int) -> schemas.Entity:
    """An entity in a list."""
    graph = model.graph
    label = graph.entities.labels[entity]
    return schemas.Entity(
        label=label,
        reference=make_reference(label),
        name=graph.entity_names[entity],
        title=graph.title(entity),
        type=graph.entity_types[entity],
        picture=_picture_address(model, entity),
    )


def describe_details(model: ServedModel, entity: int) -> schemas.EntityAnswer:
    """All that is said of one entity but its facts."""
    graph = model.graph
    columns = graph.attributes.items()
    return schemas.EntityAnswer(
        **dict(describe_entity(model, entity)),
        description=graph.descriptions[entity],
        attributes={name: values[entity] for name, values in columns if values[entity]},
        facts=int(graph.fact_index.degrees[entity]),
        present={name: bool(mask[entity]) for name, mask in model.predictor.scorer.present.items()},
    )


def describe_fact(model: ServedModel, fact: tuple[int, int, int]) -> dict[str, schemas.Named]:
    """Head, relation and tail of a fact."""
    head, relation, tail = fact
    return {
        "head": describe_entity(model, head),
        "relation": describe_relation(model, relation),
        "tail": describe_entity(model, tail),
    }


def describe_contradictions(model: ServedModel, fact: tuple[int, int, int]) -> list[dict[str, Any]]:
    """What a new fact contradicts: the kind, a sentence, and the known fact or None."""
    return [
        {
            "kind": found.kind,
            "text": found.text,
            "fact": None if found.known is None else describe_fact(model, found.known),
        }
        for found in model.contradictions.find(fact)
    ]


def describe_hits(model: ServedModel, hits: Iterable[Hit]) -> list[schemas.FoundEntity]:
    """Entities that a search found."""
    return [
        schemas.FoundEntity(
            **dict(describe_entity(model, hit.entity)), matched=hit.text, near=hit.near
        )
        for hit in hits
    ]


def describe_relation(model: ServedModel, relation: int) -> schemas.Named:
    """A relation, in 0..R-1."""
    graph = model.graph
    return schemas.Named(
        label=graph.relations.labels[relation], name=graph.relation_names[relation]
    )


def list_relations(
    model: ServedModel, decided: Mapping[str, Mapping[Any, int]]
) -> list[schemas.RelationEntry]:
    """All relations, by id, with how many facts are known and were decided."""
    entries = []
    for relation, count in enumerate(model.graph.fact_index.relation_counts.tolist()):
        named = describe_relation(model, relation)
        states = decided.get(named.label, {})
        entries.append(
            schemas.RelationEntry(
                **dict(named),
                facts=count,
                accepted=states.get("accepted", 0),
                rejected=states.get("rejected", 0),
            )
        )
    return entries


def describe_facts(
    model: ServedModel, entity: int, offset: int, limit: int
) -> list[schemas.KnownFact]:
    """A page of the known facts of an entity, by relation; those in which it is the head first."""
    graph = model.graph
    page = slice(offset, offset + limit)
    relations, others, rows = (part[page] for part in graph.fact_index.about(entity))
    splits = graph.fact_index.splits_of(rows)
    this = describe_entity(model, entity)
    facts = []
    for role, other, split in zip(
        relations.tolist(), others.tolist(), splits.tolist(), strict=True
    ):
        reverse, relation = divmod(role, graph.num_relations)
        sides = this, describe_entity(model, other)
        facts.append(
            schemas.KnownFact(
                head=sides[reverse],
                relation=describe_relation(model, relation),
                tail=sides[1 - reverse],
                split=SPLIT_NAMES[split],
            )
        )
    return facts


def describe_predictions(model: ServedModel, predictions: Predictions) -> schemas.PredictionsAnswer:
    """Answers to one question."""
    return schemas.PredictionsAnswer(
        query=predictions.to_json()["query"],
        predictions=[_describe_prediction(model, answer) for answer in predictions],
        model=model.version,
    )


def predict_facts(model: ServedModel, entity: int, k: int) -> schemas.EntityPredictionsAnswer:
    """The best new facts of an entity, by relation and role, most likely first."""
    num_relations = model.graph.num_relations
    roles = [divmod(role, num_relations) for role in model.roles.propose(entity, _ROLES)]
    asked = [(None, r, entity) if reverse else (entity, r, None) for reverse, r in roles]
    questions = [label_question(model.graph, *question) for question in asked]
    answered = model.predictor.predict_many(questions, k, known="hide", plausible=True)
    groups = [
        schemas.PredictedFacts(
            relation=describe_relation(model, relation),
            asked="head" if reverse else "tail",
            predictions=[_describe_prediction(model, answer) for answer in found],
        )
        for (reverse, relation), found in zip(roles, answered, strict=True)
        if len(found)
    ]
    groups.sort(key=lambda group: -group.predictions[0].score)
    return schemas.EntityPredictionsAnswer(groups=groups, model=model.version)


def describe_explanation(model: ServedModel, explanation: Explanation) -> schemas.ExplanationAnswer:
    """An explanation, with addresses of pictures instead of files of this machine."""
    plain = explanation.to_json() | {"source": {"status": explanation.source.status}}
    _replace_pictures(model, plain)
    return schemas.ExplanationAnswer(**plain, model=model.version)


def _describe_prediction(
    model: ServedModel, prediction: Prediction
) -> schemas.PredictionWithPicture:
    entity = model.graph.entities.index(prediction.label)
    return schemas.PredictionWithPicture(
        **asdict(prediction), picture=_picture_address(model, entity)
    )


def _picture_address(model: ServedModel, entity: int) -> str | None:
    """Where an entity's picture is served; None where it has none."""
    if entity not in model.pictures:
        return None
    label = model.graph.entities.labels[entity]
    return "/picture?" + urlencode({"entity": make_reference(label)})


def _replace_pictures(model: ServedModel, value: Any) -> None:
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    for part in parts:
        _replace_pictures(model, part)
    if isinstance(value, dict) and "picture" in value:
        entity = model.graph.entities.index(value["label"])
        value["picture"] = _picture_address(model, entity)
