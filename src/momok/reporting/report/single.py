"""The page of one run."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from momok.evaluation import ANSWER
from momok.reporting.curves import draw_loss, draw_validation
from momok.reporting.heads import draw_heads
from momok.reporting.relations import draw_relations
from momok.reporting.report.blocks import Charts, Notice, Section, Text
from momok.reporting.report.charts import draw_epoch_times, draw_groups, draw_ranks, draw_sizes
from momok.reporting.report.circumstances import data_section, environment_section
from momok.reporting.report.contents import RunContents
from momok.reporting.report.drawing import Drawer
from momok.reporting.report.metric_tables import (
    group_table,
    heads_table,
    list_groups,
    relations_table,
)
from momok.reporting.report.model_sections import (
    calibration_section,
    experts_section,
    predictions_section,
)
from momok.reporting.report.numbers import clean_text
from momok.reporting.report.settings import list_changes, settings_tables
from momok.reporting.style import fit_text

__all__ = ["build_sections", "list_texts"]

_LONGEST_GROUP_NAME = 34


def list_texts(contents: RunContents) -> list[str]:
    """All texts that figures of a run may show."""
    heads = [key for _, record in contents.epochs[:1] for key in record]
    return [contents.graph_name, *contents.graph.relation_names, *heads]


def build_sections(contents: RunContents, drawer: Drawer, pictures: bool) -> Iterator[Section]:
    """The sections of a page, in the order in which they are read."""
    if contents.evaluation is not None:
        yield _results_section(contents, drawer)
    yield _training_section(contents, drawer)
    if contents.evaluation is not None:
        yield _groups_section(contents, drawer)
        yield _relations_section(contents, drawer)
    yield from _model_sections(contents, drawer, pictures)
    yield data_section(contents)
    yield _settings_section(contents)
    yield environment_section(contents)


def _results_section(contents: RunContents, drawer: Drawer) -> Section:
    evaluation, ranks = contents.evaluation, contents.ranks
    assert evaluation is not None
    mrr = ", ".join(f"{h} {100 * (m.mrr or 0):.1f}" for h, m in evaluation.overall.items())
    charts = [
        drawer.draw(
            lambda: draw_heads(evaluation, "", narrow=True),
            "Metrics of every head",
            f"Bars of MRR and Hits by decision head. MRR in percent: {clean_text(mrr)}.",
        )
    ]
    if ranks is not None:
        charts.append(
            drawer.draw(
                lambda: draw_ranks(ranks, contents.graph.num_entities),
                "How far down the answers stand",
                "Curves of the share of queries whose answer is among the first k, by head; the "
                "table below has them at 1, 3, 10 and 100.",
                file="ranks",
            )
        )
    return Section(
        slug="results",
        title="Results on test",
        blocks=[Charts(charts=charts), heads_table(contents)],
    )


def _training_section(contents: RunContents, drawer: Drawer) -> Section:
    if not contents.epochs:
        note = Notice(sentence=("No epoch is finished yet.",))
        return Section(slug="training", title="Training", blocks=[note])
    epochs = [record for _, record in contents.epochs]
    validations = [record for _, record in contents.validations]
    first, last = epochs[0]["loss"], epochs[-1]["loss"]
    charts = [
        drawer.draw(
            lambda: draw_loss(epochs, contents.chosen_epoch),
            "Training loss",
            f"Curves of the training loss by head. Their sum falls from {first:.3g} in epoch 1 to "
            f"{last:.3g} in epoch {epochs[-1]['epoch']}.",
        )
    ]
    split = "Test" if contents.published else "Validation"
    for metric in ("MRR", "Hits@10") if validations else ():
        charts.append(
            drawer.draw(
                lambda metric=metric: draw_validation(validations, metric),  # type: ignore[misc]
                f"{split} {metric}",
                f"Curves of the {split.lower()} {metric} by head over the epochs; the checkpoint "
                f"of epoch {contents.chosen_epoch} was chosen.",
            )
        )
    times = contents.epoch_seconds
    if len(times) > 1:
        charts.append(
            drawer.draw(
                lambda: draw_epoch_times(times),
                "Time per epoch",
                f"The seconds of every epoch, from {min(times):.3g} to {max(times):.3g}.",
                file="times",
            )
        )
    blocks: list[Any] = [Charts(charts=charts)]
    if contents.chosen_epoch is not None:
        words = (
            f"Chosen: the checkpoint of epoch {contents.chosen_epoch}, the best MRR of the answer"
        )
        where = "on test (published protocol)." if contents.published else "on validation."
        blocks.append(Text(sentence=(f"{words} {where} The dashed line marks it.",)))
    return Section(slug="training", title="Training", blocks=blocks)


def _groups_section(contents: RunContents, drawer: Drawer) -> Section:
    evaluation = contents.evaluation
    assert evaluation is not None
    charts = []
    for title, file, fields in (
        ("MRR by side and cardinality", "groups", ("by_side", "by_cardinality")),
        ("MRR by what is known of the entities", "presence", ("by_seen", "by_presence")),
    ):
        fitted = [
            (name, [(fit_text(n, drawer.fonts, _LONGEST_GROUP_NAME), m) for n, m, _ in members])
            for name, members in list_groups(contents, fields)
        ]
        if any(len(members) > 1 for _, members in fitted):
            charts.append(
                drawer.draw(
                    lambda fitted=fitted: draw_groups(fitted),  # type: ignore[misc]
                    title,
                    "Bars of the answer's MRR and dots of each head's, by group of queries; the "
                    "table below has the numbers.",
                    file=file,
                )
            )
    return Section(
        slug="groups",
        title="By kind of query",
        blocks=[*([Charts(charts=charts)] if charts else []), group_table(contents)],
    )


def _relations_section(contents: RunContents, drawer: Drawer) -> Section:
    evaluation, graph = contents.evaluation, contents.graph
    assert evaluation is not None
    names = dict(zip(graph.relations.labels, graph.relation_names, strict=True))
    chart = drawer.draw(
        lambda: draw_relations(evaluation, names, drawer.fonts, "", narrow=True),
        "MRR by relation",
        "Bars of the answer's MRR and dots of each head's for every relation, best on top; the "
        "table below has the numbers.",
    )
    facts = np.bincount(graph.train[:, 1], minlength=graph.num_relations)
    points = [
        (label, int(facts[place]), heads[ANSWER])
        for place, label in enumerate(graph.relations.labels)
        if (heads := evaluation.by_relation.get(label)) and heads[ANSWER].count
    ]
    sizes = drawer.draw(
        lambda: draw_sizes([(count, metrics) for _, count, metrics in points]),
        "MRR against the facts to learn from",
        "Points, one per relation: the answer's MRR over the number of its train facts; the table "
        "below has the numbers.",
        caption="One point per relation; its size says how many test queries it has.",
        file="sizes",
    )
    return Section(
        slug="relations",
        title="By relation",
        blocks=[Charts(charts=[chart, sizes]), relations_table(contents)],
    )


def _model_sections(contents: RunContents, drawer: Drawer, pictures: bool) -> Iterator[Section]:
    """What needs the model itself: experts, calibration, single predictions."""
    if contents.run.best_checkpoint.is_file():
        from momok.prediction import Predictor

        predictor = Predictor(contents.run)
        yield experts_section(contents, predictor, drawer)
        calibration = calibration_section(contents, drawer)
        if calibration is not None:
            yield calibration
        if contents.ranks is not None:
            yield predictions_section(contents, predictor, pictures)


def _settings_section(contents: RunContents) -> Section:
    changes = list_changes(contents.config)
    preset = contents.config.preset
    words = (
        f"{len(changes)} setting{'s differ' if len(changes) != 1 else ' differs'} from the preset "
        f"{preset}; they come first."
        if changes
        else f"All settings are those of the preset {preset}."
    )
    return Section(
        slug="configuration",
        title="Configuration",
        blocks=[Text(sentence=(words,)), *settings_tables(contents)],
    )
