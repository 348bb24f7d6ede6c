"""The page of several runs side by side: what ``templates/comparison.html`` shows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from momok.evaluation import ANSWER
from momok.progress import Progress
from momok.reporting.plots import draw_run_curves
from momok.reporting.report import formatting as fmt
from momok.reporting.report.cases import Queries, write_question
from momok.reporting.report.comparing import (
    Difference,
    Group,
    check_comparable,
    compare,
    group_runs,
    list_differing_settings,
)
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import Cell, Notice
from momok.reporting.report.page import embed_figures, render_page
from momok.reporting.report.run_parts import (
    GROUPS,
    MOST_RELATIONS,
    Figures,
    describe_environment,
    list_relations,
)
from momok.reporting.row_plots import draw_differences, draw_runs
from momok.reporting.style import plot_style

_MOST_CHANGES = 3  # groups whose most different questions are listed
_CHANGES = 6  # questions of each kind
_METRICS = (("mrr",), ("hits", "1"), ("hits", "3"), ("hits", "10"))

TableGroups = list[tuple[str, list[list[Cell]]]]


def render_comparison(runs: Sequence[RunContents], plots: Path | None, progress: Progress) -> bytes:
    """Render the comparison of runs.

    Args:
        runs: all of them; others are compared with the first, or with those of its settings.
    """
    check_comparable(runs)
    progress("comparing query by query", 1, 4)
    groups = group_runs(runs)
    units = groups if len(groups) > 1 else [Group(name=run.name, runs=[run]) for run in runs]
    tested = [group for group in groups if group.tested]
    differences = compare(units)
    progress("drawing the figures", 2, 4)
    with plot_style():
        charts = embed_figures(_draw_figures(runs, tested, differences), runs[0], plots)
    progress("writing the page", 3, 4)
    differing, shared = list_setting_rows(runs)
    content = {
        "runs": runs,
        "units": units,
        "tested": tested,
        "charts": charts,
        "notices": list(list_notices(runs, groups, units, differences)),
        "results": list_results(groups),
        "differences": differences,
        "changes": [
            (each, find_changes(units[0], each.group)) for each in differences[:_MOST_CHANGES]
        ],
        "breakdown": list_breakdown(units),
        "relations": list_relation_rows(units),
        "most_relations": MOST_RELATIONS,
        "differing": differing,
        "shared": shared,
        "circumstances": list_circumstances(runs),
    }
    graph_name, split = runs[0].graph_name, runs[0].data["split"].value
    subtitle: list[Cell] = [fmt.name(f"graph {graph_name}"), f"{split} split"]
    subtitle.append(fmt.write("{} runs", fmt.count(len(runs))))
    if len(groups) > 1:
        subtitle.append(fmt.write("{} settings", fmt.count(len(groups))))
    return render_page("comparison.html", f"{len(runs)} runs on {graph_name}", subtitle, content)


def _draw_figures(
    runs: Sequence[RunContents], tested: Sequence[Group], differences: Sequence[Difference]
) -> Figures:
    for name, metric, *path in (("mrr", "MRR", "mrr"), ("hits-10", "Hits@10", "hits", "10")):
        rows = [(each.name, [v.value for v in each.list_values(*path)]) for each in tested]
        if rows:
            yield name, draw_runs(rows, metric)
    if differences:
        intervals = [(each.group.name, each.metrics) for each in differences]
        yield "differences", draw_differences(intervals, differences[0].reference.name)
    validations = {
        run.name: {
            record.value["epoch"]: 100 * (record.value["metrics"][ANSWER]["mrr"] or 0)
            for record in run.validations
        }
        for run in runs
    }
    if any(validations.values()):
        yield "validation", draw_run_curves(validations, "MRR of the answer")
    losses = {
        run.name: {record.value["epoch"]: record.value["loss"] for record in run.epochs}
        for run in runs
    }
    if any(losses.values()):
        yield "loss", draw_run_curves(losses, "loss, sum of the heads", loss=True)


def list_results(groups: Sequence[Group]) -> TableGroups:
    """Every run, and mean ± standard deviation of every group with several."""
    parts = []
    for group in groups:
        rows: list[list[Cell]] = []
        for run in group.runs:
            epoch = fmt.count(run.chosen["epoch"]) if run.chosen else fmt.NONE
            alone = Group(name=run.name, runs=[run])
            seed = fmt.number(run.settings["seed"], str)
            rows.append([fmt.name(run.name), seed, epoch, *_summarise(alone)])
        if len(group.tested) > 1:
            rows.append(
                [fmt.strong("mean ± standard deviation"), fmt.NONE, fmt.NONE, *_summarise(group)]
            )
        parts.append((group.name if len(groups) > 1 else "", rows))
    return parts


def _summarise(group: Group) -> list[Cell]:
    return [
        *(fmt.spread(group.list_values(*path), fmt.percent) for path in _METRICS),
        fmt.spread(group.list_values("mean_rank"), fmt.rank),
    ]


def find_changes(reference: Group, other: Group) -> TableGroups:
    """The questions whose reciprocal rank rises or falls most from one group to another.

    Ranks are means over the runs of a group.
    """
    before, after = (
        np.mean([ranks.ranks[ANSWER].realistic for ranks in group.ranks.values()], axis=0)
        for group in (reference, other)
    )
    change = 1.0 / after - 1.0 / before
    order = np.argsort(change, kind="stable")
    run = reference.tested[0]
    truth = Queries.of(run.graph.test).truth
    groups: TableGroups = []
    for title, found in (
        (f"Better in {other.name}", [q for q in order[::-1][:_CHANGES] if change[q] > 0]),
        (f"Worse in {other.name}", [q for q in order[:_CHANGES] if change[q] < 0]),
    ):
        rows: list[list[Cell]] = [
            [
                write_question(run, int(query)),
                fmt.name_entity(run.graph, int(truth[query])),
                fmt.rank(float(before[query])),
                fmt.rank(float(after[query])),
            ]
            for query in found
        ]
        if rows:
            groups.append((title, rows))
    return groups


def list_breakdown(units: Sequence[Group]) -> TableGroups:
    """MRR by head, side, cardinality and seen entities, one column per unit."""
    results = [run.result for unit in units for run in unit.tested]
    overall = ("by_tie_rule", "realistic")
    heads = fmt.name_heads(h for r in results for h in r["by_tie_rule"]["realistic"].value)
    heads[ANSWER] = fmt.strong(heads.pop(ANSWER))
    rows = [_compare(units, shown, *overall, head) for head, shown in heads.items()]
    groups = [("Decision head", rows)]
    for field, (title, words) in GROUPS.items():
        if field != "by_tie_rule":
            names = dict.fromkeys(group for result in results for group in result[field].value)
            rows = [_compare(units, words.get(n, n), field, n, ANSWER) for n in names]
            groups.append((title, [row for row in rows if row[1] is not fmt.NONE]))
    return groups


def list_relation_rows(units: Sequence[Group]) -> list[list[Cell]]:
    """The answer's MRR by relation, one column per unit, the most frequent first."""
    tested = [run for unit in units for run in unit.tested]
    if not tested:
        return []
    graph = tested[0].graph
    return [
        _compare(
            units,
            fmt.name_relation(graph, relation.place),
            "by_relation",
            graph.relations.labels[relation.place],
            ANSWER,
        )
        for relation in list_relations(tested[0])
    ]


def _compare(units: Sequence[Group], header: Cell, *path: str) -> list[Cell]:
    """The MRR at a path of the results of every unit; a dash where a unit does not have it."""
    queries, cells = fmt.NONE, []
    for unit in units:
        found = [m for run in unit.tested if (m := run.result.find(*path)) and m["count"].value]
        cells.append(fmt.spread([metrics["mrr"] for metrics in found], fmt.percent))
        if found and queries is fmt.NONE:
            queries = fmt.count(found[0]["count"])
    return [fmt.clean(header), queries, *cells]


def list_setting_rows(runs: Sequence[RunContents]) -> tuple[list[list[Cell]], list[list[Cell]]]:
    """The settings in which runs differ, and those that they share."""
    differing = list_differing_settings(runs)
    flat = [run.list_settings() for run in runs]
    unset = fmt.badge("unset")
    rows = [
        [fmt.code(key), *(fmt.show_setting(each[key]) if key in each else unset for each in flat)]
        for key in differing
    ]
    shared = [
        [fmt.code(key), fmt.show_setting(value)]
        for key, value in flat[0].items()
        if key not in differing
    ]
    return rows, shared


def list_circumstances(runs: Sequence[RunContents]) -> list[list[Cell]]:
    """Data, machine and time of every run."""
    columns: list[dict[str, Cell]] = []
    for run in runs:
        features = run.data.value.get("features", {})
        shapes = [f"{n} ({f['present']:,} × {f['width']})" for n, f in features.items()]
        about = {"features": ", ".join(shapes) or "none"}
        about["data fingerprint"] = run.data["fingerprint"].value[:12]
        columns.append(describe_environment(run) | {k: fmt.name(v) for k, v in about.items()})
    keys = dict.fromkeys(key for column in columns for key in column)
    return [[key, *(column.get(key, fmt.NONE) for column in columns)] for key in keys]


def list_notices(
    runs: Sequence[RunContents],
    groups: Sequence[Group],
    units: Sequence[Group],
    differences: Sequence[Difference],
) -> Iterator[Notice]:
    """The notices of several runs.

    Args:
        units: what is compared: the groups, or single runs where all have the same settings.
    """
    protocols = {run.published for run in runs}
    if protocols == {True, False}:
        names = fmt.list_in_words(run.name for run in runs if run.published)
        yield (
            f"Not comparable: {names} used the published protocol (selected on test, best of each "
            "metric apart), the others did not. No differences are given across the two.",
            "bad",
        )
    elif protocols == {True}:
        text = "Published protocol: all numbers were selected on test. For comparison only."
        yield text, "bad"
    for run in runs:
        for missing in run.missing:
            yield fmt.write("{}: {}.", fmt.name(run.name), missing), "warn"
    if len(groups) > 1 and any(len(group.tested) == 1 for group in groups):
        text = "Some settings have one run only: how far results spread over seeds is not known "
        yield f"{text}for them.", "warn"
    for group in groups:
        seeds = Counter(run.config.seed for run in group.runs)
        twice = [seed for seed, times in seeds.items() if times > 1]
        if twice:
            text = (
                f"Seed {fmt.list_in_words(twice)} is there more than once with the same settings: "
            )
            yield f"{text}the standard deviation is too small.", "warn"
    if len({run.data["fingerprint"].value for run in runs}) > 1:
        yield "The runs share all facts, but not the features of the entities.", "plain"
    if len(differences) < len(units) - 1 and len(protocols) == 1:
        yield "Runs without the ranks of single queries have no intervals.", "plain"
