"""Predictions against brute force in float64 over the model's own scores."""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from momok.errors import AmbiguousNameError, ConfigError, MomokError, UnknownLabelError
from momok.evaluation import ANSWER, evaluate
from momok.prediction import Predictor
from momok.training import RunFolder

QUERIES: list[dict[str, str]] = [
    {"head": "France", "relation": "borders"},
    {"tail": "France", "relation": "borders"},
    {"tail": "city:FR/Paris", "relation": "capital"},
    {"head": "city:CA/Hamilton", "relation": "city in"},
]


@pytest.fixture(scope="module")
def exact(predictor: Predictor) -> torch.nn.Module:
    """The same model in float64."""
    return copy.deepcopy(predictor.model).double()


def as_ids(predictor: Predictor, query: Mapping[str, str]) -> tuple[int, int]:
    graph = predictor.graph
    relation = graph.find_relation(query["relation"])
    if "head" in query:
        return graph.find_entity(query["head"]), relation
    return graph.find_entity(query["tail"]), relation + graph.num_relations


def brute_force(model: Any, entity: int, relation: int) -> dict[str, NDArray[np.float64]]:
    """Probabilities of every head, and the answer, for all entities."""
    with torch.no_grad():
        logits = model.score(torch.tensor([entity]), torch.tensor([relation]))
    found = {head: torch.sigmoid(values[0]).numpy() for head, values in logits.items()}
    return found | {"answer": np.mean(list(found.values()), axis=0)}


def known_answers(predictor: Predictor, entity: int, relation: int) -> dict[int, str]:
    """Answer to the first split that has the fact, by a plain loop."""
    graph, found = predictor.graph, {}
    for split in ("test", "valid", "train"):
        for head, r, tail in graph.facts(split).tolist():
            if (head, r) == (entity, relation):
                found[tail] = split
            if (tail, r + graph.num_relations) == (entity, relation):
                found[head] = split
    return found


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_answers_are_the_best_by_brute_force(
    predictor: Predictor, exact: torch.nn.Module, query: dict[str, str]
) -> None:
    entity, relation = as_ids(predictor, query)
    expected = brute_force(exact, entity, relation)
    expected["answer"][entity] = -1.0  # nothing has the relation to itself
    order = np.argsort(-expected["answer"], kind="stable")
    predictions = predictor.predict(**query, k=25)
    assert [p.rank for p in predictions] == list(range(1, 26))
    for prediction, entity in zip(predictions, order, strict=False):
        found = predictor.graph.entities.index(prediction.label)
        assert prediction.score == pytest.approx(expected["answer"][entity], abs=1e-6)
        assert prediction.score == pytest.approx(expected["answer"][found], abs=1e-6)
        assert prediction.score == pytest.approx(np.mean(list(prediction.heads.values())))
        for head in predictor.heads:
            assert prediction.heads[head] == pytest.approx(expected[head][found], abs=1e-6)


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_known_facts_are_marked_or_hidden(predictor: Predictor, query: dict[str, str]) -> None:
    known = known_answers(predictor, *as_ids(predictor, query))
    assert known
    N = predictor.graph.num_entities
    marked = predictor.predict(**query, k=N, known="mark")
    found = {predictor.graph.entities.index(p.label): p.known for p in marked if p.known}
    assert found == known
    hidden = predictor.predict(**query, k=N, known="hide")
    assert [p.label for p in hidden] == [p.label for p in marked if p.known is None]
    assert all(p.known is None for p in hidden)


def is_plausible(predictor: Predictor, entity: int, relation: int) -> set[int]:
    """By a plain loop: what such questions have as answers in train, itself only with loops."""
    R, train = predictor.graph.num_relations, predictor.graph.train.tolist()
    answers = {t if relation < R else h for h, r, t in train if r == relation % R}
    loops = any(h == t and r == relation % R for h, r, t in train)
    return answers if loops else answers - {entity}


@pytest.mark.parametrize("known", ["mark", "hide"])
def test_plausible_answers_are_those_of_the_relation_in_train(
    predictor: Predictor, known: Any
) -> None:
    N = predictor.graph.num_entities
    queries = [(q.get("head"), q["relation"], q.get("tail")) for q in QUERIES]
    everything = predictor.predict_many(queries, N, known=known)
    plausible = predictor.predict_many(queries, N, known=known, plausible=True)
    some = predictor.predict_many(queries, 3, known=known, plausible=True)
    for query, every, found, first in zip(QUERIES, everything, plausible, some, strict=True):
        fitting = is_plausible(predictor, *as_ids(predictor, query))
        index = predictor.graph.entities.index
        expected = [p for p in every if index(p.label) in fitting]
        assert [p.label for p in found] == [p.label for p in expected]
        assert [p.score for p in found] == pytest.approx([p.score for p in expected])
        assert [p.shares for p in first] == [pytest.approx(p.shares) for p in expected[:3]]
        assert [p.known for p in found] == [p.known for p in expected]
        assert 0 < len(found) < len(every)
    [alone] = predictor.predict_many(queries[:1], 5, known=known, plausible=True)
    assert [p.label for p in alone] == [p.label for p in plausible[0][:5]]


def test_ranks_agree_with_the_evaluator_on_both_sides(predictor: Predictor) -> None:
    """Only if both sides ask in the directions that training and evaluation use."""
    graph = predictor.graph
    evaluation = evaluate(predictor.model, graph, "test")
    assert evaluation.query_ranks is not None
    ranks = evaluation.query_ranks.ranks[ANSWER].optimistic.reshape(2, -1)
    for i in range(0, len(graph.test), 60):
        head, relation, tail = map(int, graph.test[i])
        questions = [(head, relation, None), (None, relation, tail)]
        for side, answer in enumerate((tail, head)):
            everything = predictor.predict_many([questions[side]], graph.num_entities)[0]
            label = graph.entities.labels[answer]
            before = [p.label for p in everything if p.known is None or p.label == label]
            # Scores that are equal in float32 need not be in float64.
            assert abs(before.index(label) + 1 - int(ranks[side, i])) <= 1


@pytest.mark.parametrize("query", QUERIES, ids=str)
def test_shares_cut_the_score_into_modalities(
    predictor: Predictor, exact: Any, query: dict[str, str]
) -> None:
    entity, relation = as_ids(predictor, query)
    expected = brute_force(exact, entity, relation)
    with torch.no_grad():
        asked = exact.queries(torch.tensor([entity]), torch.tensor([relation])).fusion_weights
        offered = exact.candidates().fusion_weights
    for prediction in predictor.predict(**query, k=5):
        assert sum(prediction.shares.values()) == pytest.approx(1.0, abs=1e-12)
        answer = predictor.graph.entities.index(prediction.label)
        total = sum(expected[head][answer] for head in predictor.heads)
        for m, modality in enumerate(predictor.modalities):
            attention = (asked[:, 0, m].mean() + offered[:, answer, m].mean()) / 2
            part = expected[modality][answer] + expected["joint"][answer] * float(attention)
            assert prediction.shares[modality] == pytest.approx(part / total, abs=1e-6)
            here = predictor.model.present[modality][answer]
            assert prediction.present[modality] == bool(here)


def test_experts_are_the_gates_of_the_query(predictor: Predictor) -> None:
    entity, relation = as_ids(predictor, QUERIES[0])
    predictions = predictor.predict(**QUERIES[0])
    with torch.no_grad():
        queries = predictor.model.queries(torch.tensor([entity]), torch.tensor([relation]))
    for modality, gate in queries.gates.items():
        assert predictions.experts[modality] == pytest.approx(gate[0].tolist(), abs=1e-6)
        assert sum(predictions.experts[modality]) == pytest.approx(1.0, abs=1e-6)
    assert predictions.query_present == {"structure": True, "image": True, "text": True}


def test_labels_names_and_ids_ask_the_same(predictor: Predictor) -> None:
    entity, relation = as_ids(predictor, QUERIES[0])
    expected = predictor.predict(**QUERIES[0]).to_json()
    by_label = predictor.predict(head="country:FR", relation="borders").to_json()
    by_id = predictor.predict(head=np.int64(entity), relation=relation).to_json()  # type: ignore[arg-type]
    assert expected == by_label == by_id
    assert str(predictor.predict(**QUERIES[0]).question) == "France — borders → ?"
    assert str(predictor.predict(**QUERIES[2]).question) == "? — capital → Paris"


def test_many_questions_are_answered_as_one_by_one(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("momok.prediction.predictor.QUERY_BATCH", 100)
    triples = [(q.get("head"), q["relation"], q.get("tail")) for q in QUERIES] * 80
    told: list[tuple[int, int]] = []
    many = predictor.predict_many(
        triples, 7, progress=lambda _what, done, of: told.append((done, of))
    )
    assert told == [(100, 320), (160, 320), (260, 320), (320, 320)]  # tails, then heads
    for i, query in enumerate(QUERIES):
        alone = predictor.predict(**query, k=7)
        for predictions in many[i :: len(QUERIES)]:
            assert predictions.question == alone.question
            assert [p.label for p in predictions] == [p.label for p in alone]
            scores = [p.score for p in alone]
            assert [p.score for p in predictions] == pytest.approx(scores, abs=1e-6)
    assert predictor.predict_many([]) == []


def test_answers_do_not_depend_on_the_memory(small_run: RunFolder, predictor: Predictor) -> None:
    frugal = Predictor(small_run, memory_budget=1)
    for query in QUERIES:
        for known in ("mark", "hide"):
            found = frugal.predict(**query, k=1500, known=known)  # type: ignore[arg-type]
            expected = predictor.predict(**query, k=1500, known=known)  # type: ignore[arg-type]
            assert [p.label for p in found] == [p.label for p in expected]


def test_k_beyond_the_graph_gives_every_other_entity_once(predictor: Predictor) -> None:
    predictions = predictor.predict(**QUERIES[0], k=10**6)
    assert len(predictions) == predictor.graph.num_entities - 1
    assert {p.label for p in predictions} == set(predictor.graph.entities.labels) - {"country:FR"}
    scores = [p.score for p in predictions]
    assert scores == sorted(scores, reverse=True)


def test_predictions_are_a_sequence(predictor: Predictor) -> None:
    predictions = predictor.predict(**QUERIES[0], k=4)
    assert [p.label for p in predictions[1:3]] == [predictions[1].label, predictions[-2].label]
    assert list(predictions) == predictions[:]
    with pytest.raises(IndexError):
        predictions[4]
    assert repr(predictions).startswith("<Predictions France — borders → ?: ")


def test_a_name_that_several_share_shows_its_label(predictor: Predictor) -> None:
    everything = predictor.predict(head="France", relation="borders", k=10**6)
    titles = {p.label: p.title for p in everything}
    assert titles["city:BM/Hamilton"] == "Hamilton (city:BM/Hamilton)"
    assert titles["country:DE"] == "Germany"


@pytest.mark.parametrize("asked", ["tail", "head"])
def test_fact_scores_are_those_of_the_predictions(predictor: Predictor, asked: Any) -> None:
    graph = predictor.graph
    facts = graph.test[:300]
    scores = predictor.score_facts(facts, asked=asked)
    assert len(scores) == 300
    assert np.allclose(scores.answer, np.mean(list(scores.heads.values()), axis=0), atol=1e-12)
    for i in (0, 17, 299):
        head, relation, tail = map(int, facts[i])
        query = {"head": head} if asked == "tail" else {"tail": tail}
        answer = graph.entities.labels[tail if asked == "tail" else head]
        everything = predictor.predict(**query, relation=relation, k=10**6)  # type: ignore[arg-type]
        found = next(p for p in everything if p.label == answer)
        assert scores.answer[i] == pytest.approx(found.score, abs=1e-6)
        for name, values in scores.heads.items():
            assert values[i] == pytest.approx(found.heads[name], abs=1e-6)


def test_facts_can_be_given_by_name(predictor: Predictor) -> None:
    by_name = predictor.score_facts([("France", "borders", "Belgium"), (3, 0, "country:DE")])
    ids = [(*as_ids(predictor, QUERIES[0]), predictor.graph.find_entity("Belgium"))]
    ids.append((3, 0, predictor.graph.find_entity("country:DE")))
    assert np.array_equal(by_name.answer, predictor.score_facts(np.array(ids)).answer)
    assert len(predictor.score_facts([])) == 0


def test_wrong_questions_say_what_is_wrong(predictor: Predictor) -> None:
    predict = predictor.predict
    with pytest.raises(UnknownLabelError, match=r"no entity 'Frnace'; did you mean .*France"):
        predict(head="Frnace", relation="borders")
    with pytest.raises(UnknownLabelError, match=r"no relation 'bordering'; did you mean borders"):
        predict(head="France", relation="bordering")
    with pytest.raises(AmbiguousNameError, match="city:BM/Hamilton, city:CA/Hamilton"):
        predict(head="Hamilton", relation="city in")
    with pytest.raises(ConfigError, match="exactly one of head and tail"):
        predict(head="France", tail="Belgium", relation="borders")
    with pytest.raises(ConfigError, match="exactly one of head and tail"):
        predict(relation="borders")
    with pytest.raises(ConfigError, match="k = 0: expected at least 1"):
        predict(head="France", relation="borders", k=0)
    with pytest.raises(ConfigError, match="known = 'show': expected 'mark' or 'hide'"):
        predict(head="France", relation="borders", known="show")  # type: ignore[arg-type]
    with pytest.raises(UnknownLabelError, match=r"there is no id -1: world has \d+ entities"):
        predict(head=-1, relation="borders")
    with pytest.raises(UnknownLabelError, match="there is no id 21: world has 21 relations"):
        predict(head="France", relation=21)


def test_wrong_facts_say_what_is_wrong(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match=r"float64 \(1, 3\): expected ids \[n, 3\]"):
        predictor.score_facts(np.zeros((1, 3)))  # type: ignore[arg-type]
    with pytest.raises(UnknownLabelError, match="outside the vocabulary of world"):
        predictor.score_facts(np.array([[0, 21, 0]]))
    with pytest.raises(ConfigError, match="asked = 'both': expected 'head' or 'tail'"):
        predictor.score_facts([(0, 0, 0)], asked="both")  # type: ignore[arg-type]


@pytest.mark.parametrize("query", QUERIES, ids=str)
@pytest.mark.parametrize("plausible", [False, True])
def test_only_entities_that_are_asked_for(
    predictor: Predictor, query: dict[str, str], plausible: bool
) -> None:
    count = predictor.graph.num_entities
    everything = predictor.predict(**query, k=count, plausible=plausible)
    types = dict(zip(predictor.graph.entities.labels, predictor.graph.entity_types, strict=True))
    countries = predictor.predict(**query, k=count, plausible=plausible, among="country")
    expected = [p for p in everything if types[p.label] == "country"]
    assert [(p.label, p.score) for p in countries] == [(p.label, p.score) for p in expected]
    few = predictor.predict(**query, k=10, plausible=plausible, among=["Japan", "Peru", "Japan"])
    wanted = [p.label for p in everything if p.name in {"Japan", "Peru"}]
    assert [p.label for p in few] == wanted


def test_heads_and_tails_among_different_entities(predictor: Predictor) -> None:
    questions = [("France", "borders", None), (None, "capital", "Europe/Paris"),
                 ("Spain", "capital", None)]  # fmt: skip
    apart = predictor.predict_many(
        questions, 5, among={"head": ["France", "Spain"], "tail": "country"}
    )
    for found, question in zip(apart, questions, strict=True):
        among: Any = ["France", "Spain"] if question[0] is None else "country"
        alone = predictor.predict_many([question], 5, among=among)[0]
        assert [p.label for p in found] == [p.label for p in alone]
        np.testing.assert_allclose([p.score for p in found], [p.score for p in alone])
    one_side = predictor.predict_many(questions, 5, among={"head": ["France"]})
    assert [len(found) for found in one_side] == [5, 1, 5]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"head": True}, "True: expected a label, a name or an id"),
        ({"head": 1.5}, "1.5: expected a label, a name or an id"),
        ({"k": 1.5}, "k = 1.5: expected a whole number"),
        ({"k": "3"}, "k = '3': expected a whole number"),
        ({"k": True}, "k = True: expected a whole number"),
        ({"plausible": "no"}, "plausible = 'no': expected True or False"),
        ({"known": ["mark"]}, "expected 'mark' or 'hide'"),
        ({"among": {}}, "among: '': expected 'head', 'tail' or both"),
    ],
)
def test_arguments_of_another_type(
    predictor: Predictor, change: dict[str, Any], message: str
) -> None:
    with pytest.raises(MomokError, match=re.escape(message)):
        predictor.predict(**{"head": "France", "relation": "borders"} | change)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("France", "str 'France': expected"),
        (None, "NoneType None: expected"),
        (5, "int 5: expected"),
        ({"head": ["France"], "relation": ["borders"]}, "dict {'head': ['France']"),
        (["France", "borders", "Spain"], "row 1: 'France': expected"),
        ([("France", "borders", "Spain"), ("France", "borders")], "row 2: ('France', 'borders'):"),
        ([{"France", "borders", "Spain"}], "row 1: {"),
        (np.array([1, 2, 3]), "row 1: "),
    ],
)
def test_rows_of_another_shape(predictor: Predictor, given: Any, message: str) -> None:
    wanted = "as (head, relation, tail), or a frame of them"
    for ask, what in ((predictor.score_facts, "facts"), (predictor.predict_many, "questions")):
        with pytest.raises(ConfigError, match=re.escape(message)) as raised:
            ask(given)
        assert f"expected {what} {wanted}" in str(raised.value)


def test_a_generator_of_questions(predictor: Predictor) -> None:
    asked = [("France", "borders", None), (None, "borders", "Peru")]
    found = predictor.predict_many((question for question in asked), 3)
    assert [str(f.question) for f in found] == ["France — borders → ?", "? — borders → Peru"]


def test_entities_that_cannot_be_chosen(predictor: Predictor) -> None:
    question = {"head": "France", "relation": "borders"}
    with pytest.raises(
        UnknownLabelError, match="no entities of the type 'citty'; did you mean city"
    ):
        predictor.predict(**question, among="citty")
    with pytest.raises(UnknownLabelError, match="Jpan"):
        predictor.predict(**question, among=["Jpan"])
    with pytest.raises(ConfigError, match="5: expected a type of entities, or a list of them"):
        predictor.predict(**question, among=5)  # type: ignore[arg-type]
    with pytest.raises(UnknownLabelError, match="None: expected a label"):
        predictor.predict(**question, among=[None])  # type: ignore[list-item]
    with pytest.raises(ConfigError, match="no entities are given"):
        predictor.predict(**question, among=[])
