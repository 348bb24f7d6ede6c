"""An evaluation as a frame and as it shows itself."""

from __future__ import annotations

import re
from dataclasses import replace

import polars as pl

from momok.evaluation import Evaluation
from tests.reporting.small_evaluation import HEADS, make_evaluation, make_metrics


def build_evaluation() -> Evaluation:
    answers = {head: make_metrics(0.25, 4) for head in HEADS}
    return replace(
        make_evaluation(("borders", "capital")),
        by_side={"tail": answers, "head": answers},
        by_relation_and_side={"tail": {"borders": answers}},
        by_presence={"image": {"query_present": {"answer": make_metrics(None, 0)}}},
    )


def test_a_frame_has_a_row_for_every_group_side_and_head() -> None:
    evaluation = build_evaluation()
    frame = evaluation.to_frame()
    assert frame.columns == [
        *("group", "value", "side", "head", "queries", "mrr", "mean_rank"),
        *("hits@1", "hits@3", "hits@10", "hits@100"),
    ]
    keys = frame.filter(pl.col("head") == "answer").select("group", "value", "side").rows()
    assert keys == [
        ("all", "all", "both"),
        ("all", "all", "tail"),
        ("all", "all", "head"),
        ("ties", "realistic", "both"),
        ("relation", "borders", "both"),
        ("relation", "capital", "both"),
        ("relation", "borders", "tail"),
        ("presence", "image: query_present", "both"),
    ]
    metrics = evaluation.by_relation["capital"]["joint"]
    row = frame.row(by_predicate=(pl.col("value") == "capital") & (pl.col("head") == "joint"))
    assert row[4:] == (metrics.count, metrics.mrr, metrics.mean_rank, *metrics.hits.values())
    assert frame.row(-1)[4:] == (0, *[None] * 6)


def test_how_it_shows_itself() -> None:
    evaluation = build_evaluation()
    assert repr(evaluation) == (
        "<Evaluation of test (clean protocol): 5 facts, MRR 0.4000, Hits@1 0.4000, Hits@3 0.4000, "
        "Hits@10 0.4000>"
    )
    shown = evaluation._repr_html_()
    assert all(f">{head}<" in shown for head in HEADS)
    assert "10 queries, filtered, realistic ranks" in shown
    assert "border-left" not in shown  # no warning
    shown = replace(evaluation, protocol="published", num_unseen_facts=2)._repr_html_()
    assert re.findall(r"border-left.*>(.*?)<", shown) == [
        "PUBLISHED PROTOCOL: chosen on test, the best of each metric kept apart over epochs. "
        "For comparison with published numbers only; no single model reaches it."
    ]
    assert "2 facts have an entity that train never shows" in shown
