"""The page of several runs side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from momok.evaluation import ANSWER
from momok.progress import Progress
from momok.reporting.report.blocks import Cell, Charts, Label, Notice, Section, Text
from momok.reporting.report.changes import changes_table
from momok.reporting.report.charts import draw_differences, draw_runs, draw_scores
from momok.reporting.report.comparing import (
    Difference,
    Group,
    check_comparable,
    compare,
    group_runs,
    read_metric,
)
from momok.reporting.report.comparison_tables import (
    breakdown_table,
    circumstances_table,
    differences_table,
    relations_table,
    results_table,
    settings_tables,
)
from momok.reporting.report.comparison_verdict import write_comparison
from momok.reporting.report.contents import RunContents
from momok.reporting.report.drawing import Drawer
from momok.reporting.report.numbers import count
from momok.reporting.report.rendering import render_page
from momok.reporting.style import fit_text

__all__ = ["render_several"]

_LONGEST_NAME = 34
_MOST_CHANGES = 3  # groups whose most different questions are listed


def render_several(
    runs: Sequence[RunContents],
    plots: Path,
    progress: Progress,
) -> bytes:
    """Render the comparison of runs.

    Raises:
        RunError: they were not trained and tested on the same facts.
    """
    check_comparable(runs)
    groups = group_runs(runs)
    progress("comparing query by query", 1, 6)
    units = groups if len(groups) > 1 else [Group(name=run.name, runs=[run]) for run in runs]
    differences = compare(units)
    names = [name for unit in units for name in (unit.name, *(run.name for run in unit.runs))]
    drawer = Drawer(plots, [*names, runs[0].graph_name])
    sections: list[Section] = []
    for section in _build_sections(runs, groups, units, differences, drawer):
        sections.append(section)
        progress(section.title, min(1 + len(sections), 5), 6)
    return render_page(
        title=f"{len(runs)} runs on {runs[0].graph_name}",
        subtitle=_describe(runs, groups),
        verdict=write_comparison(runs, groups, units, differences),
        sections=sections,
    )


def _build_sections(
    runs: Sequence[RunContents],
    groups: Sequence[Group],
    units: Sequence[Group],
    differences: Sequence[Difference],
    drawer: Drawer,
) -> Iterator[Section]:
    if any(run.evaluation is not None for run in runs):
        yield _results_section(groups, drawer)
        yield _differences_section(units, differences, drawer)
        yield Section(
            slug="groups",
            title="By kind of query",
            blocks=[breakdown_table(units)],
        )
        yield Section(slug="relations", title="By relation", blocks=[relations_table(units)])
    yield _training_section(runs, drawer)
    yield Section(slug="configuration", title="Configuration", blocks=settings_tables(runs))
    yield Section(
        slug="environment",
        title="Data, environment and time",
        blocks=[circumstances_table(runs)],
    )


def _results_section(groups: Sequence[Group], drawer: Drawer) -> Section:
    charts = []
    tested = [group for group in groups if group.tested]
    for metric, file in (("MRR", "mrr"), ("Hits@10", "hits-10")):
        rows = [
            (
                fit_text(group.name, drawer.fonts, _LONGEST_NAME),
                [read_metric(run.evaluation.overall[ANSWER], metric) for run in group.tested],  # type: ignore[union-attr]
            )
            for group in tested
        ]
        charts.append(
            drawer.draw(
                lambda rows=rows, metric=metric: draw_runs(rows, metric),  # type: ignore[misc]
                f"Test {metric}",
                f"The test {metric} of every run as a dot, with mean and standard deviation of "
                "each group; the table below has the numbers.",
                file=file,
            )
        )
    return Section(
        slug="results",
        title="Results on test",
        blocks=[Charts(charts=charts), results_table(groups)],
    )


def _differences_section(
    units: Sequence[Group], differences: Sequence[Difference], drawer: Drawer
) -> Section:
    reference = units[0].name
    blocks: list[Any] = []
    if differences:
        rows = [
            (fit_text(each.name, drawer.fonts, _LONGEST_NAME), each.metrics) for each in differences
        ]
        about = fit_text(reference, drawer.fonts, _LONGEST_NAME)
        blocks += [
            Text(
                sentence=(
                    "Both answer the same test queries, so they are compared query by query: 95% "
                    "paired bootstrap intervals over the queries. An interval that excludes 0 says "
                    "that they differ beyond the choice of test facts; it says nothing of seeds.",
                )
            ),
            Charts(
                charts=[
                    drawer.draw(
                        lambda: draw_differences(rows, about),
                        f"Difference to {reference}",
                        "Differences with their 95% intervals; the table below has the numbers.",
                        file="differences",
                    )
                ]
            ),
            differences_table(units, differences),
        ]
        others = {unit.name: unit for unit in units}
        blocks += [
            table
            for each in differences[:_MOST_CHANGES]
            if (table := changes_table(units[0], others[each.name])) is not None
        ]
    else:
        words = (
            "The first run has no ranks of single queries, or there is nothing to compare it with."
        )
        blocks.append(Notice(sentence=(words,)))
    return Section(slug="differences", title="Differences", blocks=blocks)


def _training_section(runs: Sequence[RunContents], drawer: Drawer) -> Section:
    lines = {
        "validation": [
            (
                fit_text(run.name, drawer.fonts, _LONGEST_NAME),
                [record["epoch"] for _, record in run.validations],
                [100 * (record["metrics"][ANSWER]["mrr"] or 0) for _, record in run.validations],
            )
            for run in runs
        ],
        "loss": [
            (
                fit_text(run.name, drawer.fonts, _LONGEST_NAME),
                [record["epoch"] for _, record in run.epochs],
                [record["loss"] for _, record in run.epochs],
            )
            for run in runs
        ],
    }
    charts = []
    if any(values for *_, values in lines["validation"]):
        charts.append(
            drawer.draw(
                lambda: draw_scores(lines["validation"], "MRR of the answer"),
                "Validation MRR",
                "Curves of the validation MRR of the answer over the epochs, one per run.",
                file="validation",
            )
        )
    if any(values for *_, values in lines["loss"]):
        charts.append(
            drawer.draw(
                lambda: draw_scores(lines["loss"], "loss, sum of the heads", log=True),
                "Training loss",
                "Curves of the training loss over the epochs, one per run.",
                file="loss",
            )
        )
    blocks: list[Any] = (
        [Charts(charts=charts)] if charts else [Notice(sentence=("No epoch is finished yet.",))]
    )
    return Section(slug="training", title="Training", blocks=blocks)


def _describe(runs: Sequence[RunContents], groups: Sequence[Group]) -> list[Cell]:
    first = runs[0]
    cells: list[Cell] = [
        Label(text=f"graph {first.graph_name}"),
        f"{first.data['split']} split",
        (count(len(runs)), " runs"),
    ]
    if len(groups) > 1:
        cells.append((count(len(groups)), " settings"))
    return cells
