"""The metrics of a run as tables: by head, by group, by relation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from momok.evaluation import ANSWER, CARDINALITIES, Metrics, classify_cardinality
from momok.reporting.report.blocks import (
    Cell,
    Column,
    Label,
    Row,
    Swatch,
    Table,
    name_relation,
)
from momok.reporting.report.contents import RunContents
from momok.reporting.report.numbers import Number, clean_text, count, percent, point_to, rank
from momok.reporting.report.theme import name_head_colours

__all__ = [
    "MOST_RELATIONS",
    "group_table",
    "head_cells",
    "heads_table",
    "list_groups",
    "relations_table",
]

Group = tuple[str, Mapping[str, Metrics], tuple[str, ...]]
"""A group of queries: its name in words, metrics by head, path in the result file."""

MOST_RELATIONS = 100
GROUP_NAMES = {
    "by_side": (
        "Side asked for",
        {"tail": "the tail: (head, relation, ?)", "head": "the head: (?, relation, tail)"},
    ),
    "by_cardinality": (
        "Cardinality of the relation",
        {
            "1-1": "1-1",
            "1-N": "1-N",
            "N-1": "N-1",
            "N-N": "N-N",
            "undefined": "no fact of the relation in train",
        },
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
_PRESENCE = {
    "query_present": "the entity asked about has it",
    "query_absent": "the entity asked about lacks it",
    "answer_present": "the answer has it",
    "answer_absent": "the answer lacks it",
}
_METRICS = (
    Column(title="MRR", note="mean reciprocal rank, in percent"),
    Column(title="Hits@1", note="percent of queries whose answer comes first"),
    Column(title="Hits@3"),
    Column(title="Hits@10"),
)
_MEAN_RANK = Column(title="mean rank")


def heads_table(contents: RunContents) -> Table:
    """One row per decision head, the model's answer last."""
    evaluation = contents.evaluation
    assert evaluation is not None
    rows = []
    for head, cell in head_cells(evaluation.heads).items():
        path = ("by_tie_rule", "realistic", head)
        values = metric_cells(contents, evaluation.overall[head], path, (1, 3, 10, 100))
        rows.append(Row(header=cell, cells=values, strong=head == ANSWER))
    return Table(
        caption="Decision heads on test",
        columns=[
            Column(title="head", number=False),
            *_METRICS,
            Column(title="Hits@100"),
            _MEAN_RANK,
        ],
        groups=[("", rows)],
        note=f"{evaluation.num_queries:,} queries, filtered, ties by the mean rank; in percent.",
    )


def group_table(contents: RunContents) -> Table:
    """The answer's metrics and every head's MRR, by side, cardinality, presence, seen and ties."""
    evaluation = contents.evaluation
    assert evaluation is not None
    groups = [
        (title, [_group_row(contents, name, heads, path) for name, heads, path in members])
        for title, members in list_groups(contents)
    ]
    return Table(
        caption="Where the answer is right, and where not",
        columns=[
            Column(title="group", number=False),
            Column(title="queries"),
            *_METRICS,
            *_other_heads(contents),
        ],
        groups=groups,
        note="Metrics of the answer in percent; then the MRR of every head.",
    )


def relations_table(contents: RunContents) -> Table:
    """One row per relation, the most frequent first, at most ``MOST_RELATIONS``."""
    evaluation, graph = contents.evaluation, contents.graph
    assert evaluation is not None
    kinds = classify_cardinality(graph.train, graph.num_entities, graph.num_relations)
    learned = np.bincount(graph.train[:, 1], minlength=graph.num_relations)
    present = [
        (place, label, evaluation.by_relation[label])
        for place, label in enumerate(graph.relations.labels)
        if label in evaluation.by_relation and evaluation.by_relation[label][ANSWER].count
    ]
    present.sort(key=lambda item: -item[2][ANSWER].count)
    rows = []
    for place, label, heads in present[:MOST_RELATIONS]:
        cells: list[Cell] = [CARDINALITIES[kinds[place]], count(int(learned[place]))]
        sides = [
            percent(
                by_side[label][ANSWER].mrr,
                _point(contents, "by_relation_and_side", side, label, ANSWER, "mrr"),
            )
            for side, by_side in evaluation.by_relation_and_side.items()
        ]
        row = _group_row(contents, name_relation(graph, place), heads, ("by_relation", label))
        first, *rest = row.cells
        metrics, others = rest[: len(_METRICS)], rest[len(_METRICS) :]
        del metrics[2]  # Hits@3: the table is wide as it is
        rows.append(Row(header=row.header, cells=[*cells, first, *metrics, *sides, *others]))
    note = "Most frequent first. Tails and heads: the MRR of the answer by the side asked for."
    if len(rows) < len(present):
        note += f" The {len(rows)} most frequent of {len(present)} relations; "
        note += f"all are in {contents.result_file}."
    empty = graph.num_relations - len(present)
    if empty:
        note += f" {empty} {'relation has' if empty == 1 else 'relations have'} no test fact."
    return Table(
        caption="Every relation",
        columns=[
            Column(title="relation", number=False),
            Column(title="kind", number=False, note="cardinality in train"),
            Column(title="train facts"),
            Column(title="queries"),
            *(column for column in _METRICS if column.title != "Hits@3"),
            *(Column(title=f"{side}s") for side in evaluation.by_relation_and_side),
            *_other_heads(contents),
        ],
        groups=[("", rows)],
        note=note,
    )


def list_groups(
    contents: RunContents, fields: Sequence[str] = (*GROUP_NAMES, "by_presence")
) -> list[tuple[str, list[Group]]]:
    """The groupings of an evaluation that have queries: (title, groups).

    A modality that every entity has is left out: there is nothing to compare.
    """
    assert contents.evaluation is not None
    groupings: list[tuple[str, list[Group]]] = []
    for field in fields:
        if field == "by_presence":
            for modality, by_group in contents.evaluation.by_presence.items():
                path = (field, modality)
                groups = _list_nonempty(by_group, path, _PRESENCE)
                if any(name.endswith("_absent") for *_, (*_, name) in groups):
                    groupings.append((f"Features: {clean_text(modality)}", groups))
        else:
            title, words = GROUP_NAMES[field]
            by_group = getattr(contents.evaluation, field)
            groupings.append((title, _list_nonempty(by_group, (field,), words)))
    return [(title, groups) for title, groups in groupings if groups]


def _list_nonempty(
    by_group: Mapping[str, Mapping[str, Metrics]], path: tuple[str, ...], words: Mapping[str, str]
) -> list[Group]:
    return [
        (words.get(name, clean_text(name)), heads, (*path, name))
        for name, heads in by_group.items()
        if heads[ANSWER].count
    ]


def head_cells(heads: tuple[str, ...]) -> dict[str, Swatch]:
    """Every head with its colour."""
    colours = name_head_colours(heads)
    return {head: Swatch(text=clean_text(head), variable=colours[head]) for head in heads}


def metric_cells(
    contents: RunContents, metrics: Metrics, path: tuple[str, ...], hits: tuple[int, ...]
) -> list[Number]:
    """MRR with a bar, Hits and the mean rank."""
    return [
        percent(metrics.mrr, _point(contents, *path, "mrr"), bar=True),
        *(percent(metrics.hits[k], _point(contents, *path, "hits", k)) for k in hits),
        rank(metrics.mean_rank, _point(contents, *path, "mean_rank")),
    ]


def _group_row(
    contents: RunContents, header: Label | str, heads: Mapping[str, Metrics], path: tuple[str, ...]
) -> Row:
    answer = heads[ANSWER]
    cells: list[Cell] = [count(answer.count, _point(contents, *path, ANSWER, "count"))]
    cells += metric_cells(contents, answer, (*path, ANSWER), (1, 3, 10))[:-1]
    cells += [
        percent(metrics.mrr, _point(contents, *path, head, "mrr"))
        for head, metrics in heads.items()
        if head != ANSWER
    ]
    return Row(header=header, cells=cells)


def _other_heads(contents: RunContents) -> list[Column]:
    assert contents.evaluation is not None
    cells = head_cells(contents.evaluation.heads)
    return [Column(title=cell) for head, cell in cells.items() if head != ANSWER]


def _point(contents: RunContents, *path: str | int) -> str:
    return point_to(contents.result_file, *path)
