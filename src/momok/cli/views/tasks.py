"""How well relations are told, and true facts from false ones, on a terminal."""

from __future__ import annotations

from collections.abc import Mapping

from rich.console import Group
from rich.table import Table
from rich.text import Text

from momok.cli.views import build_table, format_percent
from momok.evaluation import Metrics
from momok.graph import MultimodalGraph
from momok.prediction.classification import Classification, Decisions
from momok.prediction.relations import RelationEvaluation

_KINDS = {
    "any": "against false facts of any entities",
    "typed": "against false facts of entities that the relation has on that side",
}


def show_relation_evaluation(found: RelationEvaluation, graph: MultimodalGraph) -> Group:
    """Overall, beside what counts alone give, and by relation."""
    count, total = found.overall.count, found.num_facts
    which = f"{count:,} facts" if count == total else f"{count:,} of {total:,} facts, drawn once"
    overall = build_table(
        *("(head, ?, tail)", "MRR", "Hits@1", "Hits@3", "Hits@10"),
        rows=(
            ["model", *_format_ranks(found.overall)],
            ["counts alone", *_format_ranks(found.counts_alone)],
        ),
        title=f"{graph.name}: relations, {found.split}, {which}",
        caption=f"among {graph.num_relations:,} relations, filtered, in %",
    )
    names = _name_relations(graph)
    rows = sorted(found.by_relation.items(), key=lambda row: -row[1].count)
    groups = build_table(
        *("relation", "facts", "MRR", "Hits@1", "Hits@3", "Hits@10"),
        rows=([names[label], f"{m.count:,}", *_format_ranks(m)] for label, m in rows),
        title="By relation, most frequent first",
    )
    remark = Text(
        "counts alone: which relations the two entities have in train, without the model",
        style="dim",
    )
    return Group(overall, remark, groups)


def _format_ranks(metrics: Metrics) -> list[str]:
    return [
        format_percent(value, 2, "")
        for value in (metrics.mrr, *(metrics.hits[k] for k in (1, 3, 10)))
    ]


def show_classification(found: Mapping[str, Classification], graph: MultimodalGraph) -> Group:
    """Overall for each kind of false facts, and by relation for the harder one."""
    first = next(iter(found.values()))
    columns = ("accuracy", "precision", "recall", "F1", "AUC-PR")
    overall = build_table(
        *("false facts", "facts", *columns),
        rows=([kind, *_format_decisions(c.overall)] for kind, c in found.items()),
        title=f"{graph.name}: true or false, {first.split}",
        caption="as many false facts as true ones; thresholds chosen on validation; in %",
    )
    names = _name_relations(graph)
    hardest = found["typed"]
    rows = sorted(hardest.by_relation.items(), key=lambda row: -row[1].count)
    groups: Table = build_table(
        *("relation", "facts", *columns),
        rows=([names[label], *_format_decisions(d)] for label, d in rows),
        title="By relation, most frequent first, typed",
    )
    lines = [f"{kind}: {_KINDS[kind]}" for kind in found]
    return Group(overall, *(Text(line, style="dim") for line in lines), groups)


def _format_decisions(made: Decisions) -> list[str]:
    values = (made.accuracy, made.precision, made.recall, made.f1, made.auc_pr)
    return [f"{made.count:,}", *(format_percent(value, 1, "") for value in values)]


def _name_relations(graph: MultimodalGraph) -> dict[str, str]:
    return dict(zip(graph.relations.labels, graph.relation_names, strict=True))
