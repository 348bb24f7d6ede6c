"""Metrics as tables on a terminal. Values are percentages, as the field prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from momok.console import make_printable
from momok.evaluation import ANSWER, Evaluation, Metrics

__all__ = ["build_table", "describe_protocol", "group_table", "heads_table"]

_HEAD_COLUMN = 9  # columns of one more head's MRR, with its padding
_GROUP_COLUMNS = 72  # of what stands before them


def build_table(title: str | Text, *columns: str, caption: str | None = None) -> Table:
    """A table in the house's layout: the first column is text, the others are numbers."""
    table = Table(title=title, title_justify="left", caption=caption, caption_justify="left")
    table.title_style = "bold"
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", no_wrap=number > 0)
    return table


def describe_protocol(evaluation: Evaluation) -> Text:
    """Under which protocol the numbers came about; the published one is loud."""
    if evaluation.protocol == "published":
        return Text(
            "PUBLISHED PROTOCOL: chosen on test, the best of each metric kept apart over epochs. "
            "For comparison with published numbers only; no single model reaches it.",
            style="bold red",
        )
    chosen = "tested once" if evaluation.split == "test" else "which these facts chose"
    return Text(f"clean protocol: one checkpoint, chosen on validation, {chosen}", style="dim")


def heads_table(evaluation: Evaluation, graph_name: str) -> Table:
    """The headline: one row per decision head, the model's answer last."""
    table = build_table(
        Text(f"{make_printable(graph_name)}: {evaluation.split}, {evaluation.num_facts:,} facts"),
        *("head", "MRR", "Hits@1", "Hits@3", "Hits@10", "Hits@100", "mean rank"),
        caption=f"{evaluation.num_queries:,} queries, filtered, realistic ranks, in %",
    )
    for head, metrics in evaluation.overall.items():
        last = head == ANSWER
        if last:
            table.add_section()
        table.add_row(
            Text(make_printable(head)),
            *_values(metrics, (1, 3, 10, 100)),
            "–" if metrics.mean_rank is None else f"{metrics.mean_rank:,.1f}",
            style="bold" if last else "",
        )
    return table


def group_table(
    title: str,
    first: str,
    groups: Iterable[tuple[str, Mapping[str, Metrics]]],
    *,
    width: int,
) -> Table:
    """One row per group: the answer's metrics, then the MRR of every head where there is room."""
    rows = [(name, heads) for name, heads in groups if heads[ANSWER].count]
    others = [head for head in (rows[0][1] if rows else ()) if head != ANSWER]
    if width < _GROUP_COLUMNS + _HEAD_COLUMN * len(others):
        others = []
    table = build_table(
        Text(title),
        first,
        *("queries", "MRR", "Hits@1", "Hits@3", "Hits@10", "mean rank"),
        *(f"{make_printable(head)}" for head in others),
        caption=f"metrics of the answer, in %{'; then the MRR of each head' if others else ''}",
    )
    for name, heads in rows:
        answer = heads[ANSWER]
        table.add_row(
            Text(make_printable(name)),
            f"{answer.count:,}",
            *_values(answer, (1, 3, 10)),
            f"{answer.mean_rank:,.1f}",
            *(percent(heads[head].mrr) for head in others),
        )
    return table


def percent(value: float | None) -> str:
    """A share in percent, or a dash where there is none."""
    return "–" if value is None else f"{100 * value:.2f}"


def _values(metrics: Metrics, hits: tuple[int, ...]) -> list[str]:
    return [percent(metrics.mrr), *(percent(metrics.hits[k]) for k in hits)]
