"""The tables of several runs side by side."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from momok.evaluation import ANSWER, Metrics
from momok.reporting.report.blocks import (
    Badge,
    Cell,
    Code,
    Column,
    Label,
    Row,
    Spread,
    Table,
    name_relation,
)
from momok.reporting.report.circumstances import describe_time
from momok.reporting.report.comparing import (
    METRICS,
    Difference,
    Group,
    list_differing_settings,
    read_metric,
    summarise,
)
from momok.reporting.report.contents import RunContents
from momok.reporting.report.metric_tables import GROUP_NAMES, MOST_RELATIONS, head_cells
from momok.reporting.report.numbers import (
    NONE,
    Number,
    clean_text,
    count,
    percent,
    point_to,
    rank,
    shorten,
    signed,
)
from momok.reporting.report.settings import flatten_config, show_value

__all__ = [
    "breakdown_table",
    "circumstances_table",
    "differences_table",
    "relations_table",
    "results_table",
    "settings_tables",
]

_HITS = (1, 3, 10)
_TELLING = {True: "good", False: "bad"}


def results_table(groups: Sequence[Group]) -> Table:
    """Every run, and mean ± standard deviation of every group with several."""
    parts = []
    for group in groups:
        rows = [_result_row(run) for run in group.runs]
        if len(group.tested) > 1:
            rows.append(_mean_row(group))
        parts.append((group.name if len(groups) > 1 else "", rows))
    return Table(
        caption="The answer on test, run by run",
        columns=[
            Column(title="run", number=False),
            Column(title="seed"),
            Column(title="epoch", note="whose checkpoint was chosen"),
            Column(title="MRR"),
            *(Column(title=f"Hits@{k}") for k in _HITS),
            Column(title="mean rank"),
        ],
        groups=parts,
        note="In percent; ± is the standard deviation over the runs of a group (n − 1).",
    )


def differences_table(units: Sequence[Group], differences: Sequence[Difference]) -> Table:
    """Differences to the first unit with their intervals, in percentage points."""
    rows = []
    for each in differences:
        cells: list[Cell] = []
        for metric in METRICS:
            value, low, high = each.metrics[metric]
            cells.append((signed(value), " [", signed(low), ", ", signed(high), "]"))
            telling = low > 0 or high < 0
            if metric == METRICS[0]:
                tone = _TELLING[value > 0] if telling else "plain"
                words = ("better" if value > 0 else "worse") if telling else "undecided"
                verdict = Badge(text=words, tone=tone)
        cells += [verdict, count(each.better), count(each.worse), count(each.equal)]
        rows.append(Row(header=Label(text=each.name), cells=cells))
    return Table(
        caption=f"Compared with {units[0].name}",
        columns=[
            Column(title="run or settings", number=False),
            *(Column(title=f"{metric} [95% interval]") for metric in METRICS),
            Column(title="by MRR", number=False, note="whether the interval excludes 0"),
            Column(title="queries better"),
            Column(title="worse"),
            Column(title="equal"),
        ],
        groups=[("", rows)],
        note="Percentage points. Values of a query are averaged over the runs of a setting.",
    )


def breakdown_table(units: Sequence[Group]) -> Table:
    """MRR by head, side, cardinality and seen entities, one column per unit."""
    evaluations = [run.evaluation for unit in units for run in unit.tested]
    heads = tuple(dict.fromkeys(h for e in evaluations if e is not None for h in e.heads))
    swatches = head_cells(heads)
    groups: list[tuple[str, list[Row]]] = [
        (
            "Decision head",
            [
                _unit_row(units, swatches[head], ("by_tie_rule", "realistic"), head, counted=False)
                for head in heads
            ],
        )
    ]
    for field, (title, words) in GROUP_NAMES.items():
        if field == "by_tie_rule":
            continue
        names = dict.fromkeys(n for e in evaluations if e is not None for n in getattr(e, field))
        rows = [_unit_row(units, words.get(name, name), (field, name), ANSWER) for name in names]
        groups.append((title, [row for row in rows if row.cells[0] is not NONE]))
    return Table(
        caption="MRR of every head, then of the answer by group",
        columns=[
            Column(title="group", number=False),
            Column(title="queries"),
            *(Column(title=Label(text=unit.name)) for unit in units),
        ],
        groups=[(title, rows) for title, rows in groups if rows],
        note=_SPREAD_NOTE,
    )


def relations_table(units: Sequence[Group]) -> Table:
    """The answer's MRR by relation, one column per unit, the most frequent first."""
    first = next(run for unit in units for run in unit.tested)
    evaluation, graph = first.evaluation, first.graph
    assert evaluation is not None
    places = {label: place for place, label in enumerate(graph.relations.labels)}
    present = [
        (label, heads[ANSWER].count)
        for label, heads in evaluation.by_relation.items()
        if heads[ANSWER].count and label in places
    ]
    present.sort(key=lambda item: -item[1])
    rows = [
        _unit_row(units, name_relation(graph, places[label]), ("by_relation", label), ANSWER)
        for label, _ in present[:MOST_RELATIONS]
    ]
    note = f"Most frequent first. {_SPREAD_NOTE}"
    if len(rows) < len(present):
        note += f" The {len(rows)} most frequent of {len(present)} relations."
    return Table(
        caption="MRR of the answer by relation",
        columns=[
            Column(title="relation", number=False),
            Column(title="queries"),
            *(Column(title=Label(text=unit.name)) for unit in units),
        ],
        groups=[("", rows)],
        note=note,
    )


def settings_tables(runs: Sequence[RunContents]) -> list[Any]:
    """The settings in which runs differ, then those that they share, folded."""
    differing = list_differing_settings(runs)
    flat = [flatten_config(run.config) for run in runs]

    def show(run: RunContents, settings: Mapping[str, Any], name: str) -> Cell:
        if name not in settings:
            return Badge(text="unset")
        return show_value(settings[name], _locate(run, "config.json", *name.split(".")))

    rows = [
        Row(
            header=Code(text=clean_text(name)),
            cells=[show(run, settings, name) for run, settings in zip(runs, flat, strict=True)],
            marked=True,
        )
        for name in differing
    ]
    shared = [
        Row(header=Code(text=clean_text(name)), cells=[show(runs[0], flat[0], name)])
        for name in flat[0]
        if name not in differing
    ]
    setting = Column(title="setting", number=False)
    columns = [setting, *(Column(title=Label(text=run.name), number=False) for run in runs)]
    return [
        Table(caption="Settings in which the runs differ", columns=columns, groups=[("", rows)]),
        Table(
            caption=f"Settings that all runs share ({len(shared)})",
            columns=[setting, Column(title="value", number=False)],
            groups=[("", shared)],
            folded=True,
        ),
    ]


def circumstances_table(runs: Sequence[RunContents]) -> Table:
    """Data, machine and time of every run."""

    def text(value: Any) -> Cell:
        return Label(text=shorten(str(value), 60))

    def describe_features(run: RunContents) -> str:
        features = run.data.get("features", {})
        return (
            ", ".join(f"{n} ({f['present']:,} × {f['width']})" for n, f in features.items())
            or "none"
        )

    about: list[tuple[str, Callable[[RunContents], Cell]]] = [
        ("state", lambda run: run.state),
        ("run made", lambda run: text(str(run.about.get("created", "?"))[:16].replace("T", " "))),
        ("momok", lambda run: text(run.about.get("momok", "?"))),
        ("features", lambda run: text(describe_features(run))),
        ("data fingerprint", lambda run: Code(text=clean_text(str(run.data["fingerprint"]))[:12])),
    ]
    keys = dict.fromkeys(key for run in runs for key in run.environment)
    environment = [
        Row(
            header=clean_text(key),
            cells=[text(run.environment[key]) if key in run.environment else "–" for run in runs],
        )
        for key in keys
    ]
    times = [dict(describe_time(run)) for run in runs]
    labels = dict.fromkeys(label for each in times for label in each)
    return Table(
        caption="Where the runs come from",
        columns=[
            Column(title="what", number=False),
            *(Column(title=Label(text=run.name), number=False) for run in runs),
        ],
        groups=[
            ("Run and data", [Row(header=n, cells=[f(run) for run in runs]) for n, f in about]),
            ("Environment", environment),
            ("Time", [Row(header=n, cells=[t.get(n, "–") for t in times]) for n in labels]),
        ],
    )


_SPREAD_NOTE = "MRR in percent; ± is the standard deviation over the runs of a setting."


def _result_row(run: RunContents) -> Row:
    epoch = run.chosen_epoch
    seed = run.config.seed
    cells: list[Cell] = [
        Number(value=seed, text=str(seed), source=_locate(run, "config.json", "seed")),
        count(epoch) if epoch is not None else NONE,
    ]
    if run.evaluation is None:
        cells += [NONE] * (len(_HITS) + 2)
    else:
        path = ("by_tie_rule", "realistic", ANSWER)
        metrics = run.evaluation.overall[ANSWER]
        cells.append(percent(metrics.mrr, _locate(run, run.result_file, *path, "mrr")))
        cells += [
            percent(metrics.hits[k], _locate(run, run.result_file, *path, "hits", k)) for k in _HITS
        ]
        cells.append(rank(metrics.mean_rank, _locate(run, run.result_file, *path, "mean_rank")))
    return Row(header=Label(text=run.name), cells=cells)


def _mean_row(group: Group) -> Row:
    metrics = [run.evaluation.overall[ANSWER] for run in group.tested if run.evaluation is not None]
    spreads: list[Cell] = [
        _spread([read_metric(each, name) for each in metrics])
        for name in ("MRR", *(f"Hits@{k}" for k in _HITS))
    ]
    mean, deviation = summarise([each.mean_rank or 0.0 for each in metrics])
    spreads.append(
        Spread(mean=rank(mean), deviation=None if deviation is None else rank(deviation))
    )
    return Row(header="mean ± standard deviation", cells=[NONE, NONE, *spreads], strong=True)


def _unit_row(
    units: Sequence[Group],
    header: Cell,
    path: tuple[str, ...],
    head: str,
    *,
    counted: bool = True,
) -> Row:
    """The MRR of one group of queries in every unit; a dash where a unit does not have it."""
    cells: list[Cell] = []
    queries: Number = NONE
    for unit in units:
        found = [(run, metrics) for run in unit.tested if (metrics := _find(run, path, head))]
        values = [metrics.mrr or 0.0 for _, metrics in found]
        if len(found) == 1:
            run, metrics = found[0]
            cells.append(percent(metrics.mrr, _locate(run, run.result_file, *path, head, "mrr")))
        else:
            cells.append(_spread(values) if values else NONE)
        if found and queries is NONE:
            run, metrics = found[0]
            source = _locate(run, run.result_file, *path, head, "count")
            queries = count(metrics.count, source)
    return Row(header=header, cells=[queries, *cells], strong=not counted and head == ANSWER)


def _find(run: RunContents, path: tuple[str, ...], head: str) -> Metrics | None:
    field, *steps = path
    value: Any = getattr(run.evaluation, field)
    for step in (*steps, head):
        value = value.get(step)
        if value is None:
            return None
    assert isinstance(value, Metrics)
    return value if value.count else None


def _spread(values: Sequence[float]) -> Spread:
    mean, deviation = summarise(values)
    return Spread(mean=percent(mean), deviation=None if deviation is None else percent(deviation))


def _locate(run: RunContents, file: str, *path: str | int) -> str:
    """The place of a value, with the run before the file."""
    return f"{run.name}:{point_to(file, *path)}"
