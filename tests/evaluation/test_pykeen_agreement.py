"""Agreement with PyKEEN's evaluator, filter included, on the same scores."""

from __future__ import annotations

import pytest
import torch

from momok.evaluation import evaluate
from momok.graph import MultimodalGraph
from tests.evaluation.test_evaluator import build_random_graph
from tests.evaluation.two_towers import TableModel, build_model

RULES = ("realistic", "optimistic", "pessimistic")


def rank_with_pykeen(model: TableModel, graph: MultimodalGraph, head: str):
    from pykeen.evaluation import RankBasedEvaluator
    from pykeen.evaluation.evaluator import create_sparse_positive_filter_, filter_scores_

    evaluator = RankBasedEvaluator(
        metrics=["hits@k"] * 4, metrics_kwargs=[{"k": k} for k in (1, 3, 10, 100)]
    )
    facts = torch.from_numpy(graph.test)
    known = torch.cat([torch.from_numpy(s) for s in (graph.train, graph.valid, graph.test)])
    heads, relations, tails = facts.T
    sides = (
        ("tail", heads, relations, tails, 2),
        ("head", tails, relations + graph.num_relations, heads, 0),
    )
    for side, entities, of_query, answers, column in sides:
        queries = model.query_tables[head][of_query, entities]
        scores = queries @ model.candidate_tables[head].T
        true_scores = scores.gather(1, answers[:, None]).clone()
        pairs, _ = create_sparse_positive_filter_(facts, known, filter_col=column)
        scores = filter_scores_(scores, pairs).scatter(1, answers[:, None], true_scores)
        evaluator.process_scores_(facts, side, scores, true_scores)
    return evaluator.finalize()


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # PyG, which PyKEEN imports
@pytest.mark.parametrize("random_scores", [False, True])
def test_agreement_with_pykeen(random_scores: bool) -> None:
    graph = build_random_graph(200, 3, 4000)
    model = build_model(200, 3, heads=("joint",), width=5)
    if random_scores:
        generator = torch.Generator().manual_seed(7)
        for tables in (model.query_tables, model.candidate_tables):
            tables["joint"] = torch.randn(tables["joint"].shape, generator=generator)
    evaluation = evaluate(model, graph, "test")
    expected = rank_with_pykeen(model, graph, "joint")
    for rule in RULES:
        metrics = evaluation.by_tie_rule[rule]["joint"]
        found = {
            "inverse_harmonic_mean_rank": metrics.mrr,
            "arithmetic_mean_rank": metrics.mean_rank,
            **{f"hits_at_{k}": share for k, share in metrics.hits.items()},
        }
        for name, value in found.items():
            theirs = expected.get_metric(f"both.{rule}.{name}")
            assert value == pytest.approx(theirs, abs=1e-6, rel=1e-6), (rule, name)
    for side, by_head in evaluation.by_side.items():
        theirs = expected.get_metric(f"{side}.realistic.inverse_harmonic_mean_rank")
        assert by_head["joint"].mrr == pytest.approx(theirs, abs=1e-6)
