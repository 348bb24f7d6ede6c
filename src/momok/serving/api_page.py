"""The page of the API: every operation as OpenAPI describes it, to be tried at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import Response

from momok.serving.api import WithModel
from momok.serving.entity_search import make_reference
from momok.serving.identity import get_visitor
from momok.serving.model_holder import ServedModel
from momok.serving.proposals import label_fact
from momok.serving.rendering import render, reviewer_name

router = APIRouter(include_in_schema=False)
_ORDER = ("graph", "model", "reviews", "reviewers", "probes")  # tags


@router.get("/api")
async def about_api(request: Request, model: WithModel) -> Response:
    """How programs ask."""
    root = request.app.state.service.settings.root_path
    base = str(request.base_url).rstrip("/") + root
    groups: dict[str, list[dict[str, Any]]] = {name: [] for name in _ORDER}
    samples = _choose_samples(model)
    if not get_visitor(request).name:  # who has one leaves it out
        samples["reviewer"] = reviewer_name(request)
    for operation in describe_operations(request.app.openapi(), samples):
        groups.setdefault(operation["tag"], []).append(operation)
    return render(request, "api.html", groups=groups, base=base)


def describe_operations(
    document: Mapping[str, Any], samples: Mapping[str, str]
) -> list[dict[str, Any]]:
    """What each operation takes, with a request that can be sent as it is.

    Args:
        document: in OpenAPI.
        samples: what fields of these names hold, of the graph that is served.
    """
    operations = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            body = operation.get("requestBody", {}).get("content", {})
            kind = next(iter(body), "")
            schema = _resolve(document, body[kind]["schema"]) if body else {}
            example = ""
            if kind == "application/json":
                value = _fill_in(_make_example(document, schema), samples)
                if "reviewer" in samples and "reviewer" in schema["properties"]:
                    value["reviewer"] = samples["reviewer"]
                example = json.dumps(value, ensure_ascii=False, indent=2)
            fields = operation.get("parameters", [])
            if kind == "multipart/form-data":
                needed = schema.get("required", ())
                fields = fields + [
                    {"name": name, "in": "form", "required": name in needed, "schema": part}
                    for name, part in schema["properties"].items()
                ]
            operations.append(
                {
                    "method": method.upper(),
                    "path": path,
                    "tag": operation.get("tags", ["graph"])[0],
                    "text": operation.get("description", ""),
                    "kind": kind,
                    "example": example,
                    "fields": [_describe_field(document, field, samples) for field in fields],
                    "optional": _list_optional(schema) if example else [],
                }
            )
    return operations


def _choose_samples(model: ServedModel) -> dict[str, str]:
    """A fact of the graph, whose parts are sure to be there."""
    graph = model.graph
    head, relation, tail = label_fact(graph, tuple(graph.facts("train")[0].tolist()))
    return {
        "head": make_reference(head),
        "relation": make_reference(relation),
        "tail": make_reference(tail),
        "label": make_reference(head),
        "q": graph.entity_names[graph.entities.index(head)][:8],
    }


def _describe_field(
    document: Mapping[str, Any], field: Mapping[str, Any], samples: Mapping[str, str]
) -> dict[str, Any]:
    """A parameter, or a part of a form."""
    schema = _resolve(document, field["schema"])
    items = schema.get("items", schema)
    options = [_resolve(document, option) for option in items.get("anyOf", [items])]
    choices = [value for option in options for value in option.get("enum", ())]
    default = schema.get("default")
    required = field.get("required", False)
    return {
        "name": field["name"],
        "required": required,
        "is_file": field["in"] == "form" and "contentMediaType" in json.dumps(schema),
        "choices": choices,
        "default": "" if default in (None, []) else str(default),
        "value": samples.get(field["name"], "") if required else "",
        "text": field.get("description") or schema.get("description", ""),
    }


def _list_optional(schema: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Fields of a body that may be left out, with what they are."""
    needed = schema.get("required", ())
    properties = schema.get("properties", {}).items()
    return [(name, part.get("description", "")) for name, part in properties if name not in needed]


def _resolve(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A schema that is named elsewhere in the document."""
    while "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        schema = document["components"]["schemas"][name]
    return schema


def _make_example(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Any:
    """The example of a schema, or its smallest value."""
    schema = _resolve(document, schema)
    for options in (schema.get("examples"), schema.get("enum")):
        if options:
            return options[0]
    if "default" in schema:
        return schema["default"]
    if "anyOf" in schema:
        return _make_example(document, schema["anyOf"][0])
    if schema.get("type") == "array":
        return [_make_example(document, schema["items"])]
    if schema.get("type") == "object":
        needed = schema.get("required", ())
        properties = schema.get("properties", {})
        return {name: _make_example(document, properties[name]) for name in needed}
    return {"integer": int(schema.get("minimum", 0)), "number": 0.5, "boolean": False}.get(
        schema.get("type", ""), ""
    )


def _fill_in(value: Any, samples: Mapping[str, str]) -> Any:
    """A value whose texts of known names are those of the graph."""
    if isinstance(value, dict):
        return {
            name: samples[name] if name in samples else _fill_in(part, samples)
            for name, part in value.items()
        }
    return [_fill_in(part, samples) for part in value] if isinstance(value, list) else value
