"""Evaluations that are made up."""

from __future__ import annotations

from momok.evaluation import HITS_AT, Evaluation, Metrics

HEADS = ("structure", "image", "joint", "answer")


def make_metrics(value: float | None, count: int = 10) -> Metrics:
    rank = None if value is None else 1 / value
    return Metrics(count=count, mrr=value, mean_rank=rank, hits=dict.fromkeys(HITS_AT, value))


def make_evaluation(labels: tuple[str, ...], protocol: str = "clean") -> Evaluation:
    overall = {head: make_metrics(0.1 + 0.1 * place) for place, head in enumerate(HEADS)}
    by_relation = {
        label: {head: make_metrics(0.01 + 0.9 * place / len(labels), 5 + place) for head in HEADS}
        for place, label in enumerate(labels)
    }
    return Evaluation(
        split="test",
        protocol=protocol,  # type: ignore[arg-type]
        num_facts=5,
        num_queries=10,
        num_unseen_facts=0,
        by_tie_rule={"realistic": overall},
        by_side={},
        by_relation=by_relation,
        by_relation_and_side={},
        by_cardinality={},
        by_cardinality_and_side={},
        by_presence={},
        by_seen={},
    )
