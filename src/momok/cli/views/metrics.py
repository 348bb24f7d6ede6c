"""Metrics on a terminal. Values are percentages without the sign, as the field prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.console import Console
from rich.table import Table
from rich.text import Text

from momok.cli.views import build_table, format_percent
from momok.console import make_printable
from momok.evaluation import ANSWER, Evaluation, Metrics
from momok.graph import MultimodalGraph
from momok.prediction.calibration_record import Calibration

_HEAD_COLUMN = 9  # columns of one more head's MRR, with its padding
_GROUP_COLUMNS = 72  # of what stands before them


def show_evaluation(
    out: Console, evaluation: Evaluation, graph: MultimodalGraph, groupings: Iterable[str]
) -> None:
    """Print the chosen tables of an evaluation, and under which protocol it was made."""
    published = evaluation.protocol == "published"
    for grouping in groupings:
        if grouping == "ties" and published:  # epochs were ranked by one rule
            continue
        if grouping == "head":
            out.print(build_heads_table(evaluation, graph.name))
        else:
            title, groups = _group(evaluation, graph, grouping)
            out.print(_build_group_table(title, grouping, groups, width=out.width))
        out.print()
    if evaluation.num_unseen_facts:
        out.print(
            f"{evaluation.num_unseen_facts:,} of the {evaluation.num_facts:,} facts have an entity "
            "that train never shows (unseen)."
        )
    for text in evaluation.describe_candidates():
        out.print(Text(f"NOT AMONG ALL: {text}.", style="bold red"))
    out.print(describe_protocol(evaluation))
    if published and set(groupings) - {"head"}:
        out.print("Groupings show the model chosen on test; only the table by head is the best of.")


def describe_protocol(evaluation: Evaluation) -> Text:
    """Under which protocol the numbers came about; the published one is loud."""
    style = "bold red" if evaluation.protocol == "published" else "dim"
    return Text(evaluation.describe_protocol(), style=style)


def build_heads_table(evaluation: Evaluation, graph_name: str) -> Table:
    """The headline: one row per decision head, the model's answer last."""
    table = build_table(
        *("head", "MRR", "Hits@1", "Hits@3", "Hits@10", "Hits@100", "mean rank"),
        title=f"{graph_name}: {evaluation.split}, {evaluation.num_facts:,} facts",
        caption=f"{evaluation.num_queries:,} queries, filtered, realistic ranks, in %",
    )
    for head, metrics in evaluation.overall.items():
        if head == ANSWER:
            table.add_section()
        table.add_row(
            make_printable(head),
            *_format(metrics, (1, 3, 10, 100)),
            style="bold" if head == ANSWER else "",
        )
    return table


def _group(
    evaluation: Evaluation, graph: MultimodalGraph, grouping: str
) -> tuple[str, list[tuple[str, Mapping[str, Metrics]]]]:
    """The title of a grouping and its rows."""
    if grouping == "relation":
        names = dict(zip(graph.relations.labels, graph.relation_names, strict=True))
        rows = [(names[label], heads) for label, heads in evaluation.by_relation.items()]
        rows.sort(key=lambda row: -row[1][ANSWER].count)
        return "By relation, most frequent first", rows
    if grouping == "presence":
        rows = [
            (f"{modality}: {group.replace('_', ' ')}", heads)
            for modality, groups in evaluation.by_presence.items()
            for group, heads in groups.items()
            if modality != "structure"  # which every entity has
        ]
        return "By presence of a modality, at the query's entity and at the answer", rows
    title, groups = {
        "ties": ("By tie rule: how equal scores are ranked", evaluation.by_tie_rule),
        "side": ("By side", evaluation.by_side),
        "cardinality": ("By cardinality of the relation", evaluation.by_cardinality),
        "seen": ("By whether train shows both entities", evaluation.by_seen),
    }[grouping]
    words = {"tail": "tail (h, r, ?)", "head": "head (?, r, t)"}
    return title, [(words.get(group, group), heads) for group, heads in groups.items()]


def _build_group_table(
    title: str, first: str, groups: list[tuple[str, Mapping[str, Metrics]]], *, width: int
) -> Table:
    """One row per group: the answer's metrics, then the MRR of every head where there is room."""
    rows = [(name, heads) for name, heads in groups if heads[ANSWER].count]
    others = [head for head in (rows[0][1] if rows else ()) if head != ANSWER]
    if width < _GROUP_COLUMNS + _HEAD_COLUMN * len(others):
        others = []
    return build_table(
        *(first, "queries", "MRR", "Hits@1", "Hits@3", "Hits@10", "mean rank"),
        *map(make_printable, others),
        rows=(
            [
                name,
                f"{heads[ANSWER].count:,}",
                *_format(heads[ANSWER], (1, 3, 10)),
                *(format_percent(heads[head].mrr, 2, "") for head in others),
            ]
            for name, heads in rows
        ),
        title=title,
        caption=f"metrics of the answer, in %{'; then the MRR of each head' if others else ''}",
    )


def _format(metrics: Metrics, hits: tuple[int, ...]) -> list[str]:
    shares = [metrics.mrr, *(metrics.hits[k] for k in hits)]
    mean_rank = "–" if metrics.mean_rank is None else f"{metrics.mean_rank:,.1f}"
    return [*(format_percent(share, 2, "") for share in shares), mean_rank]


def describe_best_answers(calibration: Calibration) -> str:
    """How sure the best answers to test questions were and how often right."""
    judged = calibration.outputs[ANSWER].calibrated
    if judged is None or judged.top is None or judged.ece_top is None:
        return ""
    top = judged.top
    right, ece = (
        f"{100 * value:.1f}% ({100 * low:.1f} to {100 * high:.1f})"
        for value, (low, high) in (
            (top.observed, top.observed_interval),
            (judged.ece_top, top.ece_interval),
        )
    )
    return (
        f"best answers of {top.count:,.0f} test questions: right {right}, said "
        f"{100 * top.predicted:.1f}%, ECE {ece}; 95% intervals"
    )


def build_calibration_table(calibration: Calibration) -> Table:
    """One row per calibrated output: its method, and how good it was before and after."""
    rows = []
    for name, output in calibration.outputs.items():
        values: list[float | None] = [None] * 6
        if output.raw is not None and output.calibrated is not None:
            raw, new = output.raw, output.calibrated
            values = [raw.log_loss, new.log_loss, raw.ece_shown, new.ece_shown]
            values += [raw.ece_top, new.ece_top]
        cells = ("–" if value is None else f"{value:.4f}" for value in values)
        rows.append([name, output.map.method, *cells])
    return build_table(
        *("output", "method", "log-loss\nbefore", "\nafter", "ECE\nbefore", "\nafter"),
        *("ECE, best\nbefore", "\nafter"),
        rows=rows,
        text=2,
        title="Calibration: fitted on validation, judged on test",
        caption=describe_best_answers(calibration),
    )
