"""What is said of entities, facts and predictions: plain values for JSON and for templates."""

from __future__ import annotations

from typing import Any, TypeAlias
from urllib.parse import urlencode

from momok.prediction import Explanation, Predictions
from momok.prediction.explanation import to_plain
from momok.serving.directory import make_reference
from momok.serving.fact_index import KnownFact
from momok.serving.model_holder import ServedModel

__all__ = [
    "describe_entity",
    "describe_explanation",
    "describe_fact",
    "describe_predictions",
    "describe_relation",
    "describe_thing",
    "find_predicted",
    "picture_address",
]

Json: TypeAlias = dict[str, Any]

_ROLES = 24  # questions asked about an entity


def describe_thing(model: ServedModel, entity: int) -> Json:
    """An entity in a list: label, name, title (the name, told apart), type, picture."""
    graph = model.predictor.graph
    return {
        "label": graph.entities.labels[entity],
        "reference": make_reference(graph.entities.labels[entity]),
        "name": graph.entity_names[entity],
        "title": model.directory.title(entity),
        "type": graph.entity_types[entity],
        "picture": picture_address(model, entity),
    }


def describe_entity(model: ServedModel, entity: int) -> Json:
    """All that is said of one entity but its facts."""
    graph = model.predictor.graph
    further = {name: values[entity] for name, values in graph.attributes.items() if values[entity]}
    return describe_thing(model, entity) | {
        "description": graph.descriptions[entity],
        "attributes": further,
        "facts": model.facts.count(entity),
        "present": {name: bool(row[entity]) for name, row in model.present.items()},
    }


def describe_relation(model: ServedModel, relation: int) -> Json:
    """A relation in a list."""
    graph = model.predictor.graph
    return {"label": graph.relations.labels[relation], "name": graph.relation_names[relation]}


def describe_fact(model: ServedModel, entity: int, fact: KnownFact) -> Json:
    """A known fact of an entity."""
    head, tail = (fact.other, entity) if fact.reverse else (entity, fact.other)
    return {
        "head": describe_thing(model, head),
        "relation": describe_relation(model, fact.relation),
        "tail": describe_thing(model, tail),
        "split": fact.split,
    }


def describe_predictions(model: ServedModel, predictions: Predictions) -> Json:
    """Answers to one question."""
    plain = predictions.to_json()
    index = model.predictor.graph.entities.index
    for answer in plain["predictions"]:
        answer.update(_complete(model, index(answer["label"])))
    return plain | {"model": model.version}


def find_predicted(model: ServedModel, entity: int, k: int) -> list[Json]:
    """The best new facts of an entity, by relation and role, most likely first."""
    graph = model.predictor.graph
    roles = model.roles.propose(entity, _ROLES)
    questions = [
        (None, role - graph.num_relations, entity)
        if role >= graph.num_relations
        else (entity, role, None)
        for role in roles
    ]
    groups: list[Json] = []
    answered = model.predictor.predict_many(questions, k, known="hide", plausible=True)
    for role, found in zip(roles, answered, strict=True):
        answers = [
            answer.to_json() | _complete(model, graph.entities.index(answer.label))
            for answer in found
        ]
        if answers:
            groups.append(
                {
                    "relation": describe_relation(model, role % graph.num_relations),
                    "asked": "head" if role >= graph.num_relations else "tail",
                    "predictions": answers,
                }
            )
    groups.sort(key=lambda group: -group["predictions"][0]["score"])
    return groups


def describe_explanation(model: ServedModel, explanation: Explanation) -> Json:
    """An explanation, with addresses of pictures instead of files of this machine."""
    plain = to_plain(explanation)
    assert isinstance(plain, dict)
    plain["source"] = {"status": explanation.source.status}
    _replace_pictures(model, plain)
    return plain | {"model": model.version}


def picture_address(model: ServedModel, entity: int) -> str | None:
    """Where an entity's picture is served; None where it has none."""
    if entity not in model.pictures:
        return None
    label = model.predictor.graph.entities.labels[entity]
    return "/picture?" + urlencode({"entity": make_reference(label)})


def _complete(model: ServedModel, entity: int) -> Json:
    """What a prediction does not say of its entity."""
    return {
        "title": model.directory.title(entity),
        "picture": picture_address(model, entity),
    }


def _replace_pictures(model: ServedModel, value: Any) -> None:
    if isinstance(value, list):
        for part in value:
            _replace_pictures(model, part)
    elif isinstance(value, dict):
        if "picture" in value and "label" in value:
            index = model.predictor.graph.entities.index(value["label"])
            value["picture"] = picture_address(model, index)
        for part in value.values():
            _replace_pictures(model, part)
