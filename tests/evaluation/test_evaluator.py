"""A whole evaluation: against brute force, by hand, and its effects on the model."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from momok.errors import ConfigError, DataError, RunError
from momok.evaluation import (
    CARDINALITIES,
    Evaluation,
    evaluate,
)
from momok.evaluation import evaluator as evaluator_module
from momok.evaluation.grouping import SIDES
from momok.evaluation.ranking import _BLOCK_ROWS, _BYTES_PER_SCORE
from momok.graph import MultimodalGraph
from tests.evaluation.two_towers import TableModel, build_graph, build_model, build_triples
from tests.oracle import ranking_oracle

N, R = 7, 3
facts = st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1))


@st.composite
def graphs(draw: st.DrawFn) -> MultimodalGraph:
    splits = [
        draw(st.lists(facts, unique=True, min_size=least, max_size=20)) for least in (0, 1, 1)
    ]
    return build_graph(*map(build_triples, splits), num_entities=N, num_relations=R)


def walk(value: dict[str, Any], path: tuple[str, ...] = ()) -> dict[tuple[str, ...], Any]:
    """Every metrics object in the JSON under the path that leads to it."""
    if "mrr" in value:
        return {path: value}
    inner = (walk(v, (*path, key)) for key, v in value.items() if isinstance(v, dict))
    return {path: metrics for found in inner for path, metrics in found.items()}


def assert_equal_metrics(found: dict[str, Any], expected: dict[str, Any]) -> None:
    assert found["count"] == expected["count"]
    for key in ("mrr", "mean_rank", "hits"):
        assert found[key] == pytest.approx(expected[key], abs=1e-12)


@settings(deadline=None)
@given(graph=graphs(), seed=st.integers(0, 1000), split=st.sampled_from(["valid", "test"]))
def test_every_group_equals_brute_force(graph: MultimodalGraph, seed: int, split: Any) -> None:
    model = build_model(N, R, seed=seed)
    found = walk(evaluate(model, graph, split).to_json())
    splits = {name: getattr(graph, name).tolist() for name in ("train", "valid", "test")}
    expected = ranking_oracle.evaluate(
        model.score_all,
        splits,
        split,
        graph.relations.labels,
        {modality: mask.tolist() for modality, mask in model.present.items()},
    )
    assert set(expected) <= set(found)
    for path, metrics in found.items():
        assert_equal_metrics(metrics, expected.get(path, ranking_oracle.measure([])))


@pytest.mark.parametrize("kept", [1 << 17, 3], ids=["at once", "in parts"])
@settings(
    deadline=None, max_examples=50, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    graph=graphs(),
    seed=st.integers(0, 1000),
    among=st.dictionaries(
        st.sampled_from(["head", "tail"]), st.sets(st.integers(0, N - 1), min_size=1), min_size=1
    ),
)
def test_answers_among_some_entities_equal_brute_force(
    monkeypatch: pytest.MonkeyPatch, graph: MultimodalGraph, seed: int, among: Any, kept: int
) -> None:
    monkeypatch.setattr(evaluator_module, "_MOST_KEPT", kept)
    model = build_model(N, R, seed=seed)
    given_by_name = {
        side: [f"e{i}" if i % 2 else i for i in sorted(ids)] for side, ids in among.items()
    }
    expected = ranking_oracle.evaluate(
        model.score_all,
        {name: getattr(graph, name).tolist() for name in ("train", "valid", "test")},
        "test",
        graph.relations.labels,
        {modality: mask.tolist() for modality, mask in model.present.items()},
        among=among,
    )
    if not expected:
        with pytest.raises(DataError, match="has its answer among the entities that are given"):
            evaluate(model, graph, "test", among=given_by_name)
        return
    evaluation = evaluate(model, graph, "test", among=given_by_name)
    found = walk(evaluation.to_json())
    assert set(expected) <= set(found)
    for path, metrics in found.items():
        assert_equal_metrics(metrics, expected.get(path, ranking_oracle.measure([])))
    columns = {"head": graph.test[:, 0], "tail": graph.test[:, 2]}
    left_out = {side: ~np.isin(columns[side], sorted(ids)) for side, ids in among.items()}
    assert {side: (c.entities, c.left_out) for side, c in evaluation.candidates.items()} == {
        side: (len(among[side]), left_out[side].sum()) for side in among
    }
    assert evaluation.num_queries == 2 * len(graph.test) - sum(m.sum() for m in left_out.values())
    assert evaluation.query_ranks is not None
    kept_out = np.concatenate([left_out.get(s, np.zeros(len(graph.test), bool)) for s in SIDES])
    reciprocal = evaluation.query_ranks.reciprocal()
    assert (np.isnan(reciprocal) == kept_out).all()
    assert np.nanmean(reciprocal) == pytest.approx(evaluation.overall["answer"].mrr)
    either = kept_out.reshape(2, -1).any(axis=0)
    assert (np.isnan(evaluation.query_ranks.per_fact("hits@3")) == either).all()


def test_another_split_is_refused() -> None:
    model, graph = build_hand_example()
    with pytest.raises(ConfigError, match="split = 'train': expected 'valid' or 'test'"):
        evaluate(model, graph, "train")  # type: ignore[arg-type]
    with pytest.raises(DataError, match="'x': expected 'train', 'valid' or 'test'"):
        graph.facts("x")  # type: ignore[arg-type]


def test_an_evaluation_among_some_entities_says_so() -> None:
    model, graph = build_hand_example()
    typed = replace(graph, entity_types=("a", "a", "b", "b", "a"))
    evaluation = evaluate(model, typed, "test", among={"tail": "b"})
    # Of 3 and 8, entity 3 is better; the head query is as before.
    assert evaluation.by_side["tail"]["answer"].mean_rank == 2.0
    assert evaluation.by_side["head"]["answer"].mean_rank == 3.0
    assert evaluation.describe_candidates() == [
        "tails were ranked among the 2 entities of the type 'b' alone"
    ]
    assert "not among all entities" in repr(evaluation)
    assert "2 entities of the type" in evaluation._repr_html_()
    assert Evaluation.from_json(json.loads(json.dumps(evaluation.to_json()))) == evaluation
    both = evaluate(model, typed, "test", among="b")
    assert [c.left_out for c in both.candidates.values()] == [0, 1]
    assert "1 of 1 questions were left out" in both.describe_candidates()[1]
    with pytest.raises(ConfigError, match="'heads': expected 'head', 'tail' or both"):
        evaluate(model, typed, "test", among={"heads": "b"})  # type: ignore[dict-item]


def build_hand_example() -> tuple[TableModel, MultimodalGraph]:
    """Five entities, one relation, one head; the score of (entity, relation, x) is set by hand."""
    scores = torch.zeros(2, 5, 5)
    scores[0, 0] = torch.tensor([0.0, 9.0, 3.0, 8.0, 3.0])  # (0, r, ?): 1 in train, 3 unknown
    scores[1, 2] = torch.tensor([4.0, 1.0, 5.0, 6.0, 6.0])  # (2, reverse of r, ?)
    graph = build_graph(
        train=build_triples([(0, 0, 1), (3, 0, 1)]),
        valid=build_triples([(4, 0, 2)]),
        test=build_triples([(0, 0, 2)]),
        num_entities=5,
        num_relations=1,
    )
    present = {"structure": torch.ones(5, dtype=torch.bool)}
    return TableModel({"structure": scores}, {"structure": torch.eye(5)}, present), graph


def test_an_example_by_hand() -> None:
    model, graph = build_hand_example()
    evaluation = evaluate(model, graph, "test")
    # Tail: of 9, 8, 3, 3, 0 the 9 is known; 8 is better, one tie: ranks 2 to 3.
    # Head: 4 in the filter (valid); 6 (entity 3) and 5 better than 4: rank 3.
    by_side = evaluation.by_side
    assert by_side["tail"]["structure"].mean_rank == by_side["tail"]["answer"].mean_rank == 2.5
    assert by_side["head"]["structure"].mean_rank == 3.0
    assert evaluation.by_tie_rule["optimistic"]["answer"].mean_rank == 2.5
    assert evaluation.by_tie_rule["pessimistic"]["answer"].mean_rank == 3.0
    assert evaluation.overall["answer"].mrr == pytest.approx((1 / 2.5 + 1 / 3) / 2)
    assert evaluation.overall["answer"].hits == {1: 0.0, 3: 1.0, 10: 1.0, 100: 1.0}
    assert (evaluation.num_facts, evaluation.num_queries) == (1, 2)
    # Entity 2 occurs in no train fact.
    assert evaluation.num_unseen_facts == 1
    assert evaluation.by_seen["unseen"]["answer"].count == 2
    # Two heads share their tail, each head has one tail.
    assert evaluation.by_cardinality["N-1"]["answer"].count == 2
    assert evaluation.heads == ("structure", "answer")
    assert evaluation.query_ranks is not None
    assert evaluation.query_ranks.ranks["answer"].realistic.tolist() == [2.5, 3.0]
    assert evaluation.query_ranks.reciprocal().tolist() == [1 / 2.5, 1 / 3]


def test_a_group_without_queries_is_there_with_null_values() -> None:
    model, graph = build_hand_example()
    value = evaluate(model, graph, "test").to_json()
    nothing = {"1": None, "3": None, "10": None, "100": None}
    assert value["by_seen"]["seen"]["answer"] == {
        "count": 0,
        "mrr": None,
        "mean_rank": None,
        "hits": nothing,
    }
    assert set(value["by_cardinality"]) == set(CARDINALITIES)
    assert value["by_presence"]["structure"]["answer_absent"]["answer"]["count"] == 0


def test_json_round_trip() -> None:
    model, graph = build_hand_example()
    evaluation = evaluate(model, graph, "test", protocol="published")
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    again = Evaluation.from_json(json.loads(text))
    assert again == evaluation
    assert again.protocol == "published"
    assert again.query_ranks is None
    assert json.dumps(again.to_json()) == text


@pytest.mark.parametrize("damage", ["format", "by_side", "num_facts"])
def test_json_of_something_else_is_refused(damage: str) -> None:
    model, graph = build_hand_example()
    value = evaluate(model, graph, "test").to_json()
    del value[damage]
    with pytest.raises(RunError, match="evaluate the run again"):
        Evaluation.from_json(value)


def build_random_graph(num_entities: int, num_relations: int, num_facts: int) -> MultimodalGraph:
    generator = np.random.default_rng(5)
    sizes = (num_entities, num_relations, num_entities)
    drawn = np.stack([generator.integers(size, size=num_facts) for size in sizes], axis=1)
    drawn = generator.permutation(np.unique(drawn, axis=0))
    train, valid, test = np.split(drawn, [len(drawn) // 2, len(drawn) * 3 // 4])
    return build_graph(train, valid, test, num_entities, num_relations)


def test_everything_is_encoded_once_and_the_mode_restored() -> None:
    graph, model = build_random_graph(40, 4, 1200), build_model(40, 4)
    calls: list[tuple[int, int]] = []
    evaluate(model, graph, "test", progress=lambda _, *done: calls.append(done))
    assert model.training
    assert model.candidate_calls == 1
    h, r, t = graph.test.T
    asked = [*zip(h, r, strict=True), *zip(t, r + 4, strict=True)]
    assert len(model.encoded) == len(set(model.encoded))
    assert set(model.encoded) == set(asked)
    everything = len(set(asked))
    steps = [*range(_BLOCK_ROWS, everything, _BLOCK_ROWS), everything]
    assert len(steps) > 2
    assert calls == [(done, everything) for done in steps]


def test_a_model_in_evaluation_mode_stays_there() -> None:
    model, graph = build_hand_example()
    model.train(False)
    evaluate(model, graph, "test")
    assert not model.training


def test_the_memory_budget_does_not_change_the_result() -> None:
    graph, model = build_random_graph(40, 4, 1200), build_model(40, 4)
    usual = evaluate(model, graph, "test")
    for rows in (4, 5, 100):
        assert evaluate(model, graph, "test", memory_budget=rows * 40 * _BYTES_PER_SCORE) == usual


def test_more_candidates_than_are_kept_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    graph, model = build_random_graph(40, 4, 1200), build_model(40, 4)
    usual = evaluate(model, graph, "test")
    model.encoded.clear()
    model.candidate_calls = 0
    calls: list[tuple[int, int]] = []
    monkeypatch.setattr(evaluator_module, "_MOST_KEPT", 15)
    parts = evaluate(model, graph, "test", progress=lambda _, *done: calls.append(done))
    assert parts == usual
    assert model.candidate_calls == 2 * 3
    everything = len(model.encoded)
    assert len(set(model.encoded)) == everything
    assert calls == [(everything * taken // 6, everything) for taken in range(1, 7)]


def test_ranks_to_save_and_to_compare() -> None:
    graph = build_random_graph(40, 4, 400)
    first, second = (evaluate(build_model(40, 4, seed=s), graph, "test") for s in (0, 1))
    assert first.query_ranks is not None
    assert second.query_ranks is not None
    arrays = first.query_ranks.to_arrays()
    assert set(arrays) == {
        "facts",
        *(f"{rule}/{head}" for rule in ("optimistic", "pessimistic") for head in first.heads),
    }
    np.testing.assert_array_equal(arrays["facts"], graph.test)
    assert len(arrays["optimistic/answer"]) == 2 * len(graph.test)
    for ranked in (first, second):
        assert ranked.query_ranks is not None
        metrics = ranked.overall["answer"]
        for metric, value in (("mrr", metrics.mrr), ("hits@3", metrics.hits[3])):
            per_fact = ranked.query_ranks.per_fact(metric)
            assert per_fact.shape == (len(graph.test),)
            assert per_fact.mean() == pytest.approx(value)


def test_an_empty_split_is_refused() -> None:
    graph = build_graph(
        build_triples([(0, 0, 1)]), build_triples([]), build_triples([(1, 0, 0)]), 2, 1
    )
    with pytest.raises(DataError, match="valid split of graph 'small' has no facts"):
        evaluate(build_model(2, 1), graph, "valid")


def test_a_head_named_answer_is_refused() -> None:
    model, graph = build_hand_example()
    model.query_tables["answer"] = model.query_tables["structure"]
    with pytest.raises(ConfigError, match="rename the modality"):
        evaluate(model, graph, "test")
