"""The rows of a run's tables: groups of queries, relations, settings, environment."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from markupsafe import Markup, escape

from momok.config import list_settings, resolve_config
from momok.evaluation import ANSWER, CARDINALITIES, classify_cardinality
from momok.reporting.report import formatting as fmt
from momok.reporting.report.contents import RunContents, flatten_settings
from momok.reporting.report.formatting import Cell, Value
from momok.settings import FeatureSettings

MOST_RELATIONS = 100
GROUPS: dict[str, tuple[str, Mapping[str, str]]] = {
    "by_side": (
        "Side asked for",
        {"tail": "the tail: (head, relation, ?)", "head": "the head: (?, relation, tail)"},
    ),
    "by_cardinality": (
        "Cardinality of the relation",
        {"undefined": "no fact of the relation in train"},
    ),
    "by_seen": (
        "Entities of the fact",
        {"seen": "both in train", "unseen": "one or both never in train"},
    ),
    "by_tie_rule": (
        "Rule for ties",
        {
            "realistic": "realistic: mean of the two below (headline)",
            "optimistic": "optimistic: first among equals",
            "pessimistic": "pessimistic: last among equals",
        },
    ),
}
"""By field of the result: what its groups are, and their names in words."""

_PRESENCE = {
    "query_present": "the entity asked about has it",
    "query_absent": "the entity asked about lacks it",
    "answer_present": "the answer has it",
    "answer_absent": "the answer lacks it",
}
_ENVIRONMENT = {"cpu": "processor", "gpu": "GPU", "python": "Python", "torch": "PyTorch"} | {
    "numpy": "NumPy",
    "platform": "system",
}


@dataclass(frozen=True, kw_only=True)
class Relation:
    """A relation with test queries: its place in the graph, and ``heads``, its metrics by head."""

    place: int
    cardinality: str
    train_facts: int
    heads: Value
    by_side: Sequence[Cell]


def list_relations(run: RunContents) -> list[Relation]:
    """The relations with test queries, most frequent first."""
    if run.evaluation is None:
        return []
    graph = run.graph
    kinds = classify_cardinality(graph.train, graph.num_entities, graph.num_relations)
    learned = np.bincount(graph.train[:, 1], minlength=graph.num_relations)
    found = [
        Relation(
            place=place,
            cardinality=CARDINALITIES[kinds[place]],
            train_facts=int(learned[place]),
            heads=heads,
            by_side=[
                fmt.percent(relations[label][ANSWER]["mrr"])
                for _, relations in run.result["by_relation_and_side"].items()
            ],
        )
        for place, label in enumerate(graph.relations.labels)
        if (heads := run.result.find("by_relation", label)) and heads[ANSWER]["count"].value
    ]
    return sorted(found, key=lambda relation: -relation.heads[ANSWER]["count"].value)


def list_groups(result: Value, fields: Sequence[str]) -> list[tuple[str, list[tuple[str, Value]]]]:
    """The groupings of a result that have queries: (title, [(name in words, metrics by head)]).

    A modality that every entity has is left out: there is nothing to compare.
    """
    groupings: list[tuple[str, list[tuple[str, Value]]]] = []
    for field in fields if result.value else ():
        if field != "by_presence":
            title, words = GROUPS[field]
            groupings.append((title, list(_list_nonempty(result[field], words))))
            continue
        for modality, by_group in result[field].items():
            groups = list(_list_nonempty(by_group, _PRESENCE))
            if any(words.endswith("lacks it") for words, _ in groups):
                groupings.append((f"Features: {fmt.clean(modality)}", groups))
    return [(title, groups) for title, groups in groupings if groups]


def _list_nonempty(by_group: Value, words: Mapping[str, str]) -> Iterator[tuple[str, Value]]:
    for group, heads in by_group.items():
        if heads[ANSWER]["count"].value:
            yield words.get(group, group), heads


def list_others(heads: Value) -> list[Cell]:
    """The MRR of every head but the answer."""
    return [fmt.percent(metrics["mrr"]) for head, metrics in heads.items() if head != ANSWER]


def list_setting_rows(run: RunContents) -> tuple[list[list[Cell]], list[list[Cell]]]:
    """Rows of the settings that differ from the preset, and of all the others."""
    changes = list_changes(run)
    explanations = {setting: text for setting, _, text in list_settings()} | {
        setting: field.description for setting, field in FeatureSettings.model_fields.items()
    }
    changed, unchanged = [], []
    for setting, value in run.list_settings().items():
        text = explanations.get(setting) or explanations.get(setting.split(".")[-1]) or ""
        row: list[Cell] = [fmt.code(setting), fmt.show_setting(value), mark_code(text)]
        if setting in changes:
            row.insert(2, fmt.show_setting(Value(changes[setting], "")))
            changed.append(row)
        else:
            unchanged.append(row)
    return changed, unchanged


def list_changes(run: RunContents) -> dict[str, Any]:
    """The settings that differ from the run's preset, each with the preset's value."""
    preset = resolve_config(run.config.preset).model_dump(mode="json")
    usual = {key: value.value for key, value in flatten_settings(Value(preset, "")).items()}
    base = run.settings["features"].value  # what a modality's own settings start from
    changes = {}
    for setting, value in run.list_settings().items():
        own = setting.startswith("modality.")
        expected = base.get(setting.split(".")[-1]) if own else usual[setting]
        if value.value != expected:
            changes[setting] = expected
    return changes


def mark_code(text: str) -> Markup:
    """An explanation of a setting, with its words of code set apart."""
    parts = escape(" ".join(text.split())).split("``")
    return Markup("").join(fmt.code(part) if n % 2 else part for n, part in enumerate(parts))


def describe_environment(run: RunContents) -> dict[str, Cell]:
    """The machine, versions, and where the time went."""
    shown: dict[str, Cell] = {}
    for key, value in run.environment.items():
        number = type(value.value) is int
        named = fmt.clean(_ENVIRONMENT.get(key, key))
        shown[named] = fmt.count(value) if number else fmt.name(value.value)
    shown |= {"momok": fmt.clean(run.about.get("momok", "?")), "run made": fmt.clean(run.created)}
    shown["state"] = fmt.clean(run.state)
    epochs = [record["seconds"] for record in run.timings if record["kind"] == "epoch"]
    checks = [record["seconds"] for record in run.timings if record["kind"] == "validation"]
    if epochs:
        shown["epochs done"] = fmt.count(len(run.epochs))
        shown["training, all epochs"] = fmt.seconds(sum(epochs))
        shown["an epoch, median"] = fmt.seconds(statistics.median(run.epoch_seconds))
        shown["an epoch, slowest"] = fmt.seconds(max(run.epoch_seconds))
    if checks:
        shown["validations"] = fmt.count(len(checks))
        shown["all validations"] = fmt.seconds(sum(checks))
    return shown
