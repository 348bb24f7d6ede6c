"""Evaluation: filtered ranks, metrics by every grouping, honest protocols."""

from __future__ import annotations

from momok.evaluation.blocks import RankedQueries
from momok.evaluation.evaluator import evaluate
from momok.evaluation.metrics import (
    HITS_AT,
    Metrics,
    best_of_each_metric,
    compute_grouped_metrics,
    compute_metrics,
)
from momok.evaluation.ranking import AnswerRanker, rank_in_parts
from momok.evaluation.results import TIE_RULES, Candidates, Evaluation, QueryRanks, Ranks
from momok.evaluation.scoring import ANSWER, DEFAULT_MEMORY_BUDGET
from momok.evaluation.statistics import correct_holm, hierarchical_bootstrap
from momok.graph.triples import CARDINALITIES, classify_cardinality

__all__ = [
    "ANSWER",
    "CARDINALITIES",
    "DEFAULT_MEMORY_BUDGET",
    "HITS_AT",
    "TIE_RULES",
    "AnswerRanker",
    "Candidates",
    "Evaluation",
    "Metrics",
    "QueryRanks",
    "RankedQueries",
    "Ranks",
    "best_of_each_metric",
    "classify_cardinality",
    "compute_grouped_metrics",
    "compute_metrics",
    "correct_holm",
    "evaluate",
    "hierarchical_bootstrap",
    "rank_in_parts",
]
