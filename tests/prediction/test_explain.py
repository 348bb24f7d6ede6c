"""Explanations against arithmetic of their own: float64 models, plain loops over facts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from momok.errors import AmbiguousNameError, ConfigError, UnknownLabelError
from momok.graph import MultimodalGraph, load_graph
from momok.model import JOINT
from momok.prediction import Explanation, Predictor, explain_model
from momok.training import RunFolder
from tests.prediction.trained_run import train_small_run

FACTS = [
    ("France", "borders", "Spain"),  # held out
    ("country:FR", "capital", "city:FR/Paris"),  # in train; nobody else has this capital
    ("city:CA/Hamilton", "city in", "Germany"),  # wrong; a city has no flag
]


@pytest.fixture(scope="module")
def exact(predictor: Predictor) -> Any:
    """The same model in float64."""
    return copy.deepcopy(predictor.model).double()


@pytest.fixture(scope="module")
def world() -> MultimodalGraph:
    return load_graph("world")


@pytest.fixture(scope="module")
def plain_run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    """Structure alone, one expert, no joint head, of a graph in memory that has no folder."""
    graph = load_graph("world")
    bare = MultimodalGraph(
        name="bare",
        entities=graph.entities,
        relations=graph.relations,
        train=graph.train,
        valid=graph.valid,
        test=graph.test,
    )
    settings = {"model__heads": "modalities", "model__experts": 1, "training__epochs": 1}
    return train_small_run(tmp_path_factory.mktemp("runs") / "plain", bare, **settings)


def ids_of(predictor: Predictor, fact: tuple[str, str, str]) -> tuple[int, int, int]:
    graph = predictor.graph
    head, tail = graph.find_entity(fact[0]), graph.find_entity(fact[2])
    return head, graph.find_relation(fact[1]), tail


def ask(predictor: Predictor, fact: tuple[str, str, str], asked: str) -> tuple[int, int, int]:
    """(entity, relation up to 2R - 1, answer) of a fact."""
    head, relation, tail = ids_of(predictor, fact)
    if asked == "tail":
        return head, relation, tail
    return tail, relation + predictor.graph.num_relations, head


EVERY_FACT = pytest.mark.parametrize("fact", FACTS, ids=str)
BOTH_SIDES = pytest.mark.parametrize("asked", ["tail", "head"])


@EVERY_FACT
@BOTH_SIDES
@torch.no_grad()
def test_probabilities_and_shares(
    predictor: Predictor, exact: Any, fact: tuple[str, str, str], asked: Any
) -> None:
    explanation = predictor.explain(*fact, asked=asked)
    assert (explanation.rules, explanation.rule_count) == (None, 0)  # the run has none
    entity, relation, answer = ask(predictor, fact, asked)
    logits = exact.score(torch.tensor([entity]), torch.tensor([relation]))
    expected = {head: float(torch.sigmoid(x[0, answer])) for head, x in logits.items()}
    total = sum(expected.values())
    assert [part.name for part in explanation.heads] == list(predictor.heads)
    for part in explanation.heads:
        assert part.probability == pytest.approx(expected[part.name], abs=1e-6)
        assert part.share == pytest.approx(expected[part.name] / total, abs=1e-5)
        assert part.calibrated is None
    assert sum(part.share for part in explanation.heads) == pytest.approx(1.0, abs=1e-12)
    assert explanation.probability == pytest.approx(total / len(expected), abs=1e-6)

    asking = exact.queries(torch.tensor([entity]), torch.tensor([relation])).fusion_weights
    offering = exact.candidates().fusion_weights
    assert explanation.fusion is not None
    for place, part in enumerate(explanation.modalities):
        query = float(asking[:, 0, place].mean())
        candidate = float(offering[:, answer, place].mean())
        assert explanation.fusion.query[part.name] == pytest.approx(query, abs=1e-6)
        assert explanation.fusion.candidate[part.name] == pytest.approx(candidate, abs=1e-6)
        own = expected[part.name] + expected[JOINT] * (query + candidate) / 2
        assert part.share == pytest.approx(own / total, abs=1e-5)
    assert sum(part.share for part in explanation.modalities) == pytest.approx(1.0, abs=1e-12)
    assert sum(explanation.fusion.query.values()) == pytest.approx(1.0)


@EVERY_FACT
@BOTH_SIDES
def test_it_says_what_predictions_and_scores_say(
    predictor: Predictor, fact: tuple[str, str, str], asked: Any
) -> None:
    explanation = predictor.explain(*fact, asked=asked)
    given = {"head": fact[0]} if asked == "tail" else {"tail": fact[2]}
    k = predictor.graph.num_entities
    everything = predictor.predict(**given, relation=fact[1], k=k)  # type: ignore[arg-type]
    answer = explanation.tail if asked == "tail" else explanation.head
    place, found = next((i, p) for i, p in enumerate(everything) if p.label == answer.label)
    assert explanation.probability == pytest.approx(found.score, abs=1e-9)
    assert {p.name: p.share for p in explanation.modalities} == pytest.approx(found.shares)
    assert explanation.known == found.known
    before = [p for p in everything[:place] if p.known is None and p.score > found.score + 1e-7]
    ties = [p for p in everything if p.known is None and abs(p.score - found.score) <= 1e-7]
    assert len(before) < explanation.rank <= len(before) + len(ties) + 1
    others = sum(p.known is not None for p in everything) - (found.known is not None)
    assert explanation.candidates == len(everything) - others
    scored = predictor.score_facts([fact], asked=asked)
    assert explanation.probability == pytest.approx(float(scored.answer[0]), abs=1e-9)


@BOTH_SIDES
@torch.no_grad()
def test_experts_beside_the_average_of_the_relation(
    predictor: Predictor, exact: Any, asked: Any
) -> None:
    entity, relation, answer = ask(predictor, FACTS[0], asked)
    explanation = predictor.explain(*FACTS[0], asked=asked)
    column = 0 if asked == "tail" else 2
    facts = predictor.graph.train
    asking = np.unique(facts[facts[:, 1] == relation % predictor.graph.num_relations][:, column])
    assert explanation.relation_queries == len(asking)
    relations = torch.full((len(asking),), relation)
    average = exact.queries(torch.from_numpy(asking), relations).gates
    query = exact.queries(torch.tensor([entity]), torch.tensor([relation])).gates
    candidate = exact.candidates(torch.tensor([answer])).gates
    for modality, gates in explanation.experts.items():
        assert gates.relation_average is not None
        assert gates.query_gates == pytest.approx(query[modality][0].tolist(), abs=1e-5)
        expected = average[modality].mean(dim=0).tolist()
        assert gates.relation_average == pytest.approx(expected, abs=1e-5)
        assert gates.candidate_gates == pytest.approx(candidate[modality][0].tolist(), abs=1e-5)


@EVERY_FACT
def test_evidence_is_that_of_a_plain_loop(
    predictor: Predictor, world: MultimodalGraph, fact: tuple[str, str, str]
) -> None:
    head, relation, tail = ids_of(predictor, fact)
    train = world.train.tolist()
    holders = {h for h, r, t in train if r == relation and t == tail} - {head}
    held = {t for h, r, t in train if r == relation and h == head} - {tail}
    explanation = predictor.explain(*fact, limit=3)
    assert explanation.source.status == "found"
    for modality in ("image", "text"):
        features = world.features[modality]
        rows = features.matrix.astype(np.float64)
        evidence = explanation.evidence[modality]
        assert evidence.vectors == "features"
        assert evidence.compared == features.present.sum()
        for entity, others, similar in (
            (head, holders, evidence.like_head),
            (tail, held, evidence.like_tail),
        ):
            if not features.present[entity]:
                assert similar is None
                continue
            assert similar is not None
            cosines = rows @ rows[entity] / np.linalg.norm(rows[entity])
            cosines /= np.maximum(np.linalg.norm(rows, axis=1), 1e-30)
            rivals = [x for x in np.flatnonzero(features.present) if x != entity]
            nearest = sorted(rivals, key=lambda e: -cosines[e])[: max(10, evidence.compared // 20)]
            eligible = [e for e in nearest if e in others]
            labels = [world.entities.labels[e] for e in eligible[:3]]
            assert [each.entity.label for each in similar] == labels
            for each, e in zip(similar, eligible, strict=False):
                assert each.similarity == pytest.approx(cosines[e], abs=1e-5)
                better = sum(cosines[x] > cosines[e] + 1e-6 for x in rivals)
                assert better < each.rank <= better + 2
                assert each.entity.picture == world.pictures.get(e)


@torch.no_grad()
def test_structure_is_compared_by_its_trained_vectors(predictor: Predictor) -> None:
    graph = predictor.graph
    city_in = graph.find_relation("city in")
    facts = graph.train[graph.train[:, 1] == city_in][:20].tolist()
    explained = [
        predictor.explain(graph.entities.labels[h], "city in", graph.entities.labels[t])
        for h, _, t in facts
    ]
    explanation = next(each for each in explained if each.evidence["structure"].like_head)
    evidence = explanation.evidence["structure"]
    assert evidence.vectors == "trained"
    assert evidence.like_head
    vectors = predictor.model.entity_rows()["structure"].double()
    head = graph.find_entity(explanation.head.label)
    best = predictor.graph.find_entity(evidence.like_head[0].entity.label)
    cosine = torch.nn.functional.cosine_similarity(vectors[head], vectors[best], dim=0)
    assert evidence.like_head[0].similarity == pytest.approx(float(cosine), abs=1e-5)


def test_a_missing_modality_shows(predictor: Predictor) -> None:
    explanation = predictor.explain(*FACTS[2])
    present = {part.name: (part.present_head, part.present_tail) for part in explanation.modalities}
    assert present == {"structure": (True, True), "image": (False, True), "text": (True, True)}
    assert explanation.evidence["image"].like_head is None
    assert explanation.evidence["image"].like_tail is not None
    assert explanation.head.picture is None
    assert explanation.tail.picture is not None
    assert explanation.tail.picture.is_file()
    assert explanation.head.title == "Hamilton (city:CA/Hamilton)"


def test_train_facts_about_both_sides(predictor: Predictor) -> None:
    train = predictor.graph.train.tolist()
    labels = predictor.graph.entities.labels
    explanation = predictor.explain(*FACTS[1], limit=1000)
    assert explanation.known == "train"
    for side, facts, count in (
        (explanation.head, explanation.head_facts, explanation.head_fact_count),
        (explanation.tail, explanation.tail_facts, explanation.tail_fact_count),
    ):
        entity = labels.index(side.label)
        about = [f for f in train if entity in (f[0], f[2])]
        about.remove(list(ids_of(predictor, FACTS[1])))  # the fact itself is no support
        symmetric = [predictor.graph.find_relation(name) for name in ("borders", "near_city")]
        about = [
            f for i, f in enumerate(about) if f[1] not in symmetric or f[::-1] not in about[:i]
        ]
        found = {(f.head.label, f.relation.label, f.tail.label) for f in facts}
        assert found == {
            (labels[h], predictor.graph.relations.labels[r], labels[t]) for h, r, t in about
        }
        assert len(facts) == count == len(about)
    few = predictor.explain(*FACTS[1], limit=2)
    assert few.head_facts == explanation.head_facts[:2]
    assert few.head_fact_count == explanation.head_fact_count
    none = predictor.explain(*FACTS[1], limit=0)
    assert none.head_facts == ()
    assert none.evidence["text"].like_tail == ()


def test_the_plain_form_is_json(predictor: Predictor) -> None:
    explanation = predictor.explain(*FACTS[0])
    plain = explanation.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    assert plain["head"]["picture"] == str(explanation.head.picture)
    assert plain["experts"]["image"]["query_gates"] == list(
        explanation.experts["image"].query_gates
    )
    assert plain["source"] == {"status": "found", "location": "world", "remark": ""}
    assert str(explanation) == "France — borders → Spain"


def test_a_run_with_one_expert_no_joint_head_and_no_features(plain_run: RunFolder) -> None:
    explanation = Predictor(plain_run).explain("country:FR", "borders", "country:ES")
    assert explanation.fusion is None
    assert [part.share for part in explanation.modalities] == [1.0]
    assert [part.share for part in explanation.heads] == [1.0]
    assert explanation.experts["structure"].query_gates == (1.0,)
    assert explanation.experts["structure"].relation_average == (1.0,)
    assert explanation.evidence["structure"].vectors == "trained"
    assert explanation.source.status == "memory"
    assert "memory" in explanation.source.remark
    assert explanation.head.picture is None


@torch.no_grad()
def test_without_the_graph_the_trained_vectors_are_compared(
    small_run: RunFolder, predictor: Predictor, tmp_path: Path
) -> None:
    lost = Predictor(small_run, source=tmp_path / "gone").explain(*FACTS[0])
    assert lost.source.status == "missing"
    assert str(tmp_path / "gone") in lost.source.remark
    assert lost.evidence["text"].vectors == "trained"
    assert lost.head.picture is None
    whole = predictor.explain(*FACTS[0])
    assert lost.probability == whole.probability
    assert lost.experts == whole.experts
    text = predictor.model.entity_rows()["text"].double()
    assert lost.evidence["text"].like_tail
    best = lost.evidence["text"].like_tail[0]
    spain, other = (predictor.graph.find_entity(x) for x in ("Spain", best.entity.label))
    cosine = torch.nn.functional.cosine_similarity(text[spain], text[other], dim=0)
    assert best.similarity == pytest.approx(float(cosine), abs=1e-5)


def test_a_relation_that_train_does_not_have(tmp_path: Path) -> None:
    graph = load_graph("world")
    rare = graph.find_relation("script comes from")
    gone = graph.train[:, 1] == rare
    bare = MultimodalGraph(
        name="bare",
        entities=graph.entities,
        relations=graph.relations,
        train=graph.train[~gone],
        valid=graph.valid,
        test=graph.test,
    )
    run = train_small_run(tmp_path / "run", bare, training__epochs=1)
    explanation = Predictor(run).explain(0, rare, 1)
    assert explanation.relation_queries == 0
    assert explanation.experts["structure"].relation_average is None
    assert explanation.evidence["structure"].like_head == ()
    json.dumps(explanation.to_json(), allow_nan=False)


def test_facts_by_label_name_and_id_are_the_same(predictor: Predictor) -> None:
    by_name = predictor.explain(*FACTS[0])
    assert predictor.explain("country:FR", "borders", "country:ES") == by_name
    assert predictor.explain(*ids_of(predictor, FACTS[0])) == by_name
    assert isinstance(by_name, Explanation)


def test_what_is_refused(predictor: Predictor) -> None:
    with pytest.raises(UnknownLabelError, match="no entity 'Frnce'; did you mean France"):
        predictor.explain("Frnce", "borders", "Spain")
    with pytest.raises(UnknownLabelError, match="no relation 'border'; did you mean borders"):
        predictor.explain("France", "border", "Spain")
    with pytest.raises(AmbiguousNameError, match="city:CA/Hamilton"):
        predictor.explain("Hamilton", "city in", "Canada")
    with pytest.raises(ConfigError, match="asked = 'both': expected 'head' or 'tail'"):
        predictor.explain(*FACTS[0], asked="both")  # type: ignore[arg-type]
    with pytest.raises(ConfigError, match="limit = -1: expected at least 0"):
        predictor.explain(*FACTS[0], limit=-1)


def test_calibrated_numbers_are_those_of_the_run(
    predictor: Predictor, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Doubled:
        def apply(self, name: str, probability: list[float], rest: object) -> np.ndarray:
            assert rest == {}  # of sigmoids, which share nothing
            return 2 * np.array(probability) + (name == "answer")

    monkeypatch.setattr(predictor.scorer, "calibration", Doubled())
    explanation = predictor.explain(*FACTS[0])
    assert explanation.calibrated == pytest.approx(2 * explanation.probability + 1)
    for part in explanation.heads:
        assert part.calibrated == pytest.approx(2 * part.probability)


@pytest.mark.parametrize(
    ("settings", "heads", "attention"),
    [
        ({"model__heads": "joint"}, ["joint"], True),
        ({"model__experts": 0}, ["structure", "image", "text", "joint"], True),
        ({"model__fusion": "mean", "model__decoder": "distmult"}, None, False),
    ],
    ids=str,
)
def test_parts_of_the_model_that_are_off(
    tmp_path: Path, settings: dict[str, Any], heads: list[str] | None, attention: bool
) -> None:
    run = train_small_run(tmp_path / "run", training__epochs=1, **settings)
    predictor = Predictor(run)
    explanation = predictor.explain(*FACTS[0])
    assert heads in (None, [part.name for part in explanation.heads])
    assert explanation.probability == pytest.approx(
        np.mean([part.probability for part in explanation.heads])
    )
    assert sum(part.share for part in explanation.modalities) == pytest.approx(1)
    assert (explanation.fusion is not None) == attention
    answer = predictor.predict(head=FACTS[0][0], relation=FACTS[0][1], k=1)[0]
    assert sum(answer.shares.values()) == pytest.approx(1)
    whole = explain_model(predictor)
    assert whole.num_experts == len(explanation.experts["text"].query_gates)
    assert (whole.fusion is not None) == attention
    shares = whole.average_shares()[whole.list_relations()]
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    json.dumps([explanation.to_json(), whole.to_json()], allow_nan=False)
