"""What the page of a run is made of: the rows of its tables, and its figures.

Figures are drawn for the page, and saved as PNG and SVG.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from markupsafe import Markup, escape
from matplotlib.figure import Figure

from momok.config import list_settings, resolve_config
from momok.errors import RunError
from momok.evaluation import ANSWER, CARDINALITIES, Metrics, classify_cardinality
from momok.prediction import ModelExplanation, explain_model
from momok.prediction.calibration_record import load_calibration
from momok.progress import Progress, no_progress
from momok.reporting.plots import (
    draw_curves,
    draw_epoch_times,
    draw_heads,
    draw_ranks,
    draw_reliability,
    save_plot,
)
from momok.reporting.report import formatting as fmt
from momok.reporting.report.contents import RunContents, flatten_settings
from momok.reporting.report.formatting import Cell, Value
from momok.reporting.row_plots import (
    draw_disentanglement,
    draw_experts,
    draw_groups,
    draw_modalities,
    draw_relations,
)
from momok.reporting.style import fit_text, plot_style
from momok.settings import FeatureSettings
from momok.training import RunFolder

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

PRESENCE = {
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
            groups = list(_list_nonempty(by_group, PRESENCE))
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
    preset = resolve_config(run.config.preset, graph=run.run.data["name"]).model_dump(mode="json")
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


Figures: TypeAlias = Iterator[tuple[str, Figure]]
"""Figures without titles, by name; to be drawn within ``plot_style``."""

_LONGEST_GROUP_NAME = 34


def draw_plots(
    folder: RunFolder, *, model: bool = False, progress: Progress = no_progress
) -> list[Path]:
    """Save the figures of a run's report into its folder ``plots``, as PNG and as SVG.

    The same run gives the same bytes. A run that is not finished has curves only.

    Args:
        model: also draw what its checkpoint has learned of the relations, if there is one.

    Returns:
        the files written.

    Raises:
        RunError: the run has not finished an epoch, or a file of it is damaged.
    """
    run = RunContents(folder.path)
    if not run.epochs:
        raise RunError(f"{folder.path}: no epoch is finished yet, so there is nothing to draw")
    written = []
    with plot_style():
        for name, figure in (*draw_training(run), *draw_results(run)):
            written += save_plot(figure, folder.path / "plots" / name, run.title_figure(name))
        if model and folder.best_checkpoint.is_file():
            for name, figure in draw_model(run, explain_model(folder, progress=progress)):
                written += save_plot(figure, folder.path / "plots" / name, run.title_figure(name))
    return written


def draw_training(run: RunContents) -> Figures:
    """Draw the losses and validations of a run, and the time of every epoch."""
    if run.epochs:
        epochs, validations = ([r.value for r in rs] for rs in (run.epochs, run.validations))
        yield "curves", draw_curves(epochs, validations, published=run.published)
    if len(run.epoch_seconds) > 1:
        yield "times", draw_epoch_times(run.epoch_seconds)


def draw_results(run: RunContents) -> Figures:
    """Draw the test result of a run: by head, rank, group of queries and relation."""
    evaluation, graph = run.evaluation, run.graph
    if evaluation is None:
        return
    yield "heads", draw_heads(evaluation)
    if run.ranks is not None:
        yield "ranks", draw_ranks(run.ranks, graph.num_entities)
    for name, fields in (
        ("groups", ("by_side", "by_cardinality")),
        ("presence", ("by_seen", "by_presence")),
    ):
        groups = [
            (fit_text(title, 60), [_fit_group(*member) for member in members])
            for title, members in list_groups(run.result, fields)
        ]
        if any(len(members) > 1 for _, members in groups):
            yield name, draw_groups(groups)
    yield "relations", draw_relations(evaluation, graph.relations.labels, graph.relation_names)


def _fit_group(words: str, heads: Value) -> tuple[str, Mapping[str, Metrics]]:
    metrics = {head: Metrics.from_json(found.value) for head, found in heads.items()}
    return f"{fit_text(words, _LONGEST_GROUP_NAME)}  ({metrics[ANSWER].count:,})", metrics


def draw_model(run: RunContents, explanation: ModelExplanation) -> Figures:
    """Draw what the checkpoint of a run has learned, and how well it is calibrated."""
    if explanation.num_experts > 1:
        yield "experts", draw_experts(explanation)
        yield "disentanglement", draw_disentanglement(explanation)
    yield "modalities", draw_modalities(explanation)
    calibration = load_calibration(run.run)
    answer = calibration.outputs.get(ANSWER) if calibration else None
    if answer and answer.raw and answer.calibrated:
        yield "reliability", draw_reliability(answer.raw.bins, answer.calibrated.bins)
        if answer.raw.top_bins and answer.calibrated.top_bins:
            figure = draw_reliability(answer.raw.top_bins, answer.calibrated.top_bins)
            yield "reliability-top", figure
