"""Metrics on a terminal. Values are percentages without the sign, as the field prints them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from rich.table import Table
from rich.text import Text

from momok.cli.views.parts import build_table, format_percent
from momok.console import make_printable
from momok.evaluation import ANSWER, Evaluation, Metrics

_HEAD_COLUMN = 9  # columns of one more head's MRR, with its padding
_GROUP_COLUMNS = 72  # of what stands before them


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


def build_group_table(
    title: str, first: str, groups: Iterable[tuple[str, Mapping[str, Metrics]]], *, width: int
) -> Table:
    """One row per group: the answer's metrics, then the MRR of every head where there is room."""
    rows = [(name, heads) for name, heads in groups if heads[ANSWER].count]
    others = [head for head in (rows[0][1] if rows else ()) if head != ANSWER]
    if width < _GROUP_COLUMNS + _HEAD_COLUMN * len(others):
        others = []
    table = build_table(
        *(first, "queries", "MRR", "Hits@1", "Hits@3", "Hits@10", "mean rank"),
        *map(make_printable, others),
        title=title,
        caption=f"metrics of the answer, in %{'; then the MRR of each head' if others else ''}",
    )
    for name, heads in rows:
        table.add_row(
            make_printable(name),
            f"{heads[ANSWER].count:,}",
            *_format(heads[ANSWER], (1, 3, 10)),
            *(format_percent(heads[head].mrr, 2, "") for head in others),
        )
    return table


def _format(metrics: Metrics, hits: tuple[int, ...]) -> list[str]:
    shares = [metrics.mrr, *(metrics.hits[k] for k in hits)]
    mean_rank = "–" if metrics.mean_rank is None else f"{metrics.mean_rank:,.1f}"
    return [*(format_percent(share, 2, "") for share in shares), mean_rank]
