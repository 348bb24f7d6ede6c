"""The test questions on which two groups of runs differ most."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from momok.evaluation import ANSWER
from momok.reporting.report.blocks import (
    Cell,
    Column,
    Label,
    Row,
    Sentence,
    Table,
    name_entity,
    name_relation,
)
from momok.reporting.report.cases import list_queries
from momok.reporting.report.comparing import Group
from momok.reporting.report.numbers import rank

__all__ = ["changes_table"]

_SHOWN = 6  # questions of each kind


def changes_table(reference: Group, other: Group) -> Table | None:
    """The questions whose reciprocal rank rises or falls most from one group to another.

    Ranks are means over the runs of a group. None where one has no ranks of single queries.
    """
    before, after = _average_ranks(reference), _average_ranks(other)
    if before is None or after is None:
        return None
    change = 1.0 / after - 1.0 / before
    order = np.argsort(change, kind="stable")
    lost = [int(query) for query in order[:_SHOWN] if change[query] < 0]
    gained = [int(query) for query in order[::-1][:_SHOWN] if change[query] > 0]
    groups = [
        (title, _list_rows(reference, queries, before, after))
        for title, queries in (
            (f"Better in {other.name}", gained),
            (f"Worse in {other.name}", lost),
        )
        if queries
    ]
    if not groups:
        return None
    return Table(
        caption=f"Questions on which {other.name} differs most from {reference.name}",
        columns=[
            Column(title="question", number=False),
            Column(title="true answer", number=False),
            Column(title=("rank in ", Label(text=reference.name))),
            Column(title=("rank in ", Label(text=other.name))),
        ],
        groups=groups,
        note="By the change of 1/rank; ranks are means over the runs of a setting.",
    )


def _average_ranks(group: Group) -> NDArray[np.float64] | None:
    ranks = [run.ranks.ranks[ANSWER].realistic for run in group.tested if run.ranks is not None]
    if not ranks:
        return None
    mean: NDArray[np.float64] = np.mean(ranks, axis=0)
    return mean


def _list_rows(
    group: Group,
    queries: Sequence[int],
    before: NDArray[np.float64],
    after: NDArray[np.float64],
) -> list[Row]:
    graph = group.tested[0].graph
    given, relations, truth, asked = list_queries(graph.test)
    rows = []
    for query in queries:
        entity = name_entity(graph, int(given[query]))
        relation = name_relation(graph, int(relations[query]))
        question: Sentence = (
            (entity, " — ", relation, " → ?")
            if asked[query] == "tail"
            else ("? — ", relation, " → ", entity)
        )
        cells: list[Cell] = [
            name_entity(graph, int(truth[query])),
            rank(float(before[query])),
            rank(float(after[query])),
        ]
        rows.append(Row(header=question, cells=cells))
    return rows
