"""Relations between two entities, against the formula in plain loops."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from momok.errors import ConfigError, UnknownLabelError
from momok.prediction import Predictor
from momok.prediction.relations import evaluate_relations, predict_relations, score_relations
from tests.prediction.trained_run import train_small_run

PAIRS = [("France", "Germany"), ("city:FR/Lyon", "France"), ("France", "euro"), ("Peru", "Peru")]


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """Heads under a softmax, pooled with rules."""
    path = tmp_path_factory.mktemp("runs") / "pooled"
    run = train_small_run(
        path, preset="default", model__members=1, features__reduce="none", features__width=256
    )
    return Predictor(run)


def say(predictor: Predictor, entity: int, relation: int, answer: int) -> float:
    """The mean of what the heads say, by the model's own scores of all entities."""
    with torch.no_grad():
        logits = predictor.model.score(torch.tensor([entity]), torch.tensor([relation]))
    said = []
    for values in logits.values():
        row = values[0].double()
        row = row.softmax(0) if predictor.model.softmax else row.sigmoid()
        said.append(float(row[answer]))
    return sum(said) / len(said)


def share_of(predictor: Predictor, entity: int, place: int, relation: int) -> float:
    """p(r | entity) by the train facts that have it at a place, smoothed by one fact."""
    train = predictor.graph.train.tolist()
    R = predictor.graph.num_relations
    overall = (sum(f[1] == relation for f in train) + 1) / (len(train) + R)
    own = [f[1] for f in train if f[place] == entity]
    return (own.count(relation) + overall) / (len(own) + 1)


@pytest.mark.parametrize("kind", ["experts", "pooled"])
@pytest.mark.parametrize(("head", "tail"), PAIRS)
def test_scores_are_the_formula(
    predictor: Predictor, pooled: Predictor, kind: str, head: str, tail: str
) -> None:
    chosen = pooled if kind == "pooled" else predictor
    graph = chosen.graph
    h, t, R = graph.find_entity(head), graph.find_entity(tail), graph.num_relations
    joint = [
        share_of(chosen, h, 0, r) * say(chosen, h, r, t)
        + share_of(chosen, t, 2, r) * say(chosen, t, r + R, h)
        for r in range(R)
    ]
    expected = np.array(joint) / sum(joint)
    found = chosen.predict_relations(head, tail, k=R)
    assert len(found) == R
    assert [p.rank for p in found] == list(range(1, R + 1))
    by_label = {p.label: p for p in found}
    for r, label in enumerate(graph.relations.labels):
        assert by_label[label].score == pytest.approx(expected[r], rel=1e-4, abs=1e-9)
        assert by_label[label].tail_answer == pytest.approx(say(chosen, h, r, t), rel=1e-4)
    scores = [p.score for p in found]
    assert scores == sorted(scores, reverse=True)
    assert sum(scores) == pytest.approx(1.0)


def test_known_facts_are_marked_or_hidden(predictor: Predictor) -> None:
    graph = predictor.graph
    head, relation, tail = graph.test[0].tolist()
    label = graph.relations.labels[relation]
    marked = predictor.predict_relations(head, tail, k=graph.num_relations)
    assert {p.label: p.known for p in marked}[label] == "test"
    hidden = predictor.predict_relations(head, tail, k=graph.num_relations, known="hide")
    assert label not in {p.label for p in hidden}
    assert [p.score for p in hidden] == [p.score for p in marked if p.known is None]


def test_forms(predictor: Predictor) -> None:
    found = predictor.predict_relations("France", "Germany", k=3)
    assert str(found) == "France — ? → Germany"
    frame = found.to_frame()
    assert frame["label"].to_list() == [p.label for p in found]
    plain = found.to_json()
    assert plain["query"]["relation"] is None
    assert plain["predictions"][0]["score"] == found[0].score
    assert "borders" in found._repr_html_()


def test_bad_questions(predictor: Predictor) -> None:
    with pytest.raises(UnknownLabelError, match="Frence"):
        predictor.predict_relations("Frence", "Germany")
    with pytest.raises(ConfigError, match="k = 0"):
        predictor.predict_relations("France", "Germany", k=0)
    with pytest.raises(ConfigError, match="known"):
        predictor.predict_relations("France", "Germany", known="no")  # type: ignore[arg-type]


def test_evaluation_ranks_among_relations_that_do_not_hold(predictor: Predictor) -> None:
    scorer, graph = predictor.scorer, predictor.graph
    true = {tuple(f) for split in (graph.train, graph.valid, graph.test) for f in split.tolist()}
    ranks = []
    for h, r, t in graph.test.tolist():
        scores = score_relations(scorer, np.array([h]), np.array([t])).scores[0]
        others = [s for q, s in enumerate(scores) if q != r and (h, q, t) not in true]
        greater, ties = (sum(s > scores[r] for s in others), sum(s == scores[r] for s in others))
        ranks.append(1 + greater + ties / 2)
    found = evaluate_relations(scorer, limit=10**6)
    assert found.num_facts == found.overall.count == len(graph.test)
    assert found.overall.mrr == pytest.approx(np.mean(1 / np.array(ranks)), rel=1e-6)
    assert sum(m.count for m in found.by_relation.values()) == len(graph.test)
    few = evaluate_relations(scorer, limit=20)
    assert few.overall.count == 20
    assert few == evaluate_relations(scorer, limit=20)


def test_ties_go_to_the_lower_id(predictor: Predictor, monkeypatch: pytest.MonkeyPatch) -> None:
    from momok.prediction import relations

    def same(*_: object) -> relations.RelationScores:
        even = np.full((1, predictor.graph.num_relations), 0.5)
        return relations.RelationScores(even, even, even, even)

    monkeypatch.setattr(relations, "score_relations", same)
    found = predict_relations(predictor.scorer, 0, 1, 5, hide=False)
    assert [p.label for p in found] == list(predictor.graph.relations.labels[:5])
