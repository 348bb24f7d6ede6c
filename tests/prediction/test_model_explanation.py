"""What is said of a model, against plain loops over its train facts."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from momok.model import JOINT
from momok.prediction import ModelExplanation, Predictor, explain_model
from momok.prediction.model_explanation import SIDES
from momok.training import RunFolder
from tests.prediction.test_expert_statistics import gram_cka
from tests.training.small_training import build_graph, train_small


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_small(tmp_path_factory.mktemp("runs") / "run", build_graph())


@pytest.fixture(scope="module")
def explained(run: RunFolder) -> ModelExplanation:
    return explain_model(run)


@pytest.fixture(scope="module")
def exact(run: RunFolder) -> Any:
    return copy.deepcopy(Predictor(run).model).double()


def list_queries(run: RunFolder, side: str, relation: int) -> list[tuple[int, list[int]]]:
    """(entity, answers) of the train queries of a relation."""
    answers: dict[int, list[int]] = {}
    for head, r, tail in run.load_graph().train.tolist():
        if r == relation:
            entity, answer = (head, tail) if side == "tail" else (tail, head)
            answers.setdefault(entity, []).append(answer)
    return sorted(answers.items())


@pytest.mark.parametrize("side", SIDES)
@torch.no_grad()
def test_averages_are_those_of_a_plain_loop(
    run: RunFolder, explained: ModelExplanation, exact: Any, side: Any
) -> None:
    candidates = exact.candidates()
    assert explained.fusion is not None
    for relation in range(4):
        asked = relation + (4 if side == "head" else 0)
        queries = list_queries(run, side, relation)
        gates: dict[str, list[Any]] = {modality: [] for modality in explained.modalities}
        attention, shares = [], []
        for entity, answers in queries:
            query = exact.queries(torch.tensor([entity]), torch.tensor([asked]))
            weights = query.fusion_weights[:, 0].mean(dim=0)
            attention.append(weights.numpy())
            for modality in explained.modalities:
                gates[modality].append(query.gates[modality][0].numpy())
            for answer in answers:
                p = {
                    head: float(torch.sigmoid(x[0] @ candidates.vectors[head][answer]))
                    for head, x in query.vectors.items()
                }
                both = (weights + candidates.fusion_weights[:, answer].mean(dim=0)) / 2
                parts = [
                    p[m] + p[JOINT] * float(both[i]) for i, m in enumerate(explained.modalities)
                ]
                shares.append(np.array(parts) / sum(p.values()))
        assert explained.queries[side][relation] == len(queries)
        for modality in explained.modalities:
            found = explained.experts[modality][side][relation]
            assert found == pytest.approx(np.mean(gates[modality], axis=0), abs=1e-5)
        assert explained.fusion[side][relation] == pytest.approx(
            np.mean(attention, axis=0), abs=1e-5
        )
        assert explained.shares[side][relation] == pytest.approx(np.mean(shares, axis=0), abs=1e-5)


def test_rows_sum_to_one(explained: ModelExplanation) -> None:
    assert explained.fusion is not None
    tables = [*explained.shares.values(), *explained.fusion.values()]
    tables += [table for sides in explained.experts.values() for table in sides.values()]
    for table in tables:
        assert table.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-6)


def test_both_questions_together(explained: ModelExplanation) -> None:
    assert explained.fusion is not None
    shares, fusion = explained.average_shares(), explained.average_fusion()
    assert fusion is not None
    for row in range(4):
        counts = {side: explained.queries[side][row] for side in SIDES}
        weighted = sum(explained.fusion[side][row] * counts[side] for side in SIDES)
        assert fusion[row] == pytest.approx(weighted / sum(counts.values()))
        mean = np.mean([explained.shares[side][row] for side in SIDES], axis=0)
        assert shares[row] == pytest.approx(mean)
    totals = [sum(explained.queries[side][row] for side in SIDES) for row in range(4)]
    assert [totals[row] for row in explained.list_relations()] == sorted(totals, reverse=True)


@torch.no_grad()
def test_cka_is_that_of_the_outputs_over_all_entities(
    explained: ModelExplanation, exact: Any
) -> None:
    ids = torch.arange(exact.num_entities)
    outputs = exact.expert_outputs(exact.entity_rows(ids), ids)
    for modality, cka in explained.cka.items():
        x = outputs[modality].numpy()
        for i in range(3):
            for j in range(3):
                assert cka[i, j] == pytest.approx(gram_cka(x[:, i], x[:, j]), abs=1e-4)
        assert 0 < explained.random_cka[modality] < 1


def test_the_estimates_are_those_of_the_log(run: RunFolder, explained: ModelExplanation) -> None:
    logged = [json.loads(line) for line in (run.path / "metrics.jsonl").read_text().splitlines()]
    epochs = [record for record in logged if record["kind"] == "epoch"]
    assert explained.mutual_information == tuple(
        (record["epoch"], record["mutual_information"]) for record in epochs
    )
    assert len(epochs) == 6


def test_a_predictor_serves_as_well(run: RunFolder, explained: ModelExplanation) -> None:
    told: list[tuple[int, int]] = []
    again = explain_model(Predictor(run), progress=lambda _what, *done: told.append(done))
    assert again.to_json() == explained.to_json()
    total = sum(int(counts.sum()) for counts in explained.queries.values())
    assert told[-1] == (total, total)


def test_the_plain_form(explained: ModelExplanation) -> None:
    plain = explained.to_json()
    assert json.loads(json.dumps(plain, allow_nan=False)) == plain
    relation = plain["relations"][2]
    assert relation["label"] == "r2"
    assert relation["queries"] == {side: explained.queries[side][2] for side in SIDES}
    assert relation["experts"]["text"]["head"] == explained.experts["text"]["head"][2].tolist()
    assert sum(relation["shares"]["tail"].values()) == pytest.approx(1.0)
    assert set(relation["fusion"]["tail"]) == {"structure", "image", "text"}
    assert plain["mutual_information"][0]["epoch"] == 1


def test_one_expert_no_joint_head_no_disentanglement(tmp_path: Path) -> None:
    settings = {"model__experts": 1, "model__heads": "modalities", "training__epochs": 1}
    run = train_small(tmp_path / "run", build_graph(), **settings)
    explained = explain_model(run)
    assert explained.num_experts == 1
    assert explained.fusion is None
    assert explained.average_fusion() is None
    assert explained.mutual_information == ()
    assert (explained.experts["image"]["tail"] == 1.0).all()
    assert explained.cka["image"].tolist() == [[1.0]]
    assert explained.shares["tail"].sum(axis=1) == pytest.approx(np.ones(4))
    assert explained.to_json()["relations"][0]["fusion"] is None


def test_a_relation_that_train_does_not_have(tmp_path: Path) -> None:
    graph = build_graph(relations=5)
    keep = graph.train[:, 1] != 3
    object.__setattr__(graph, "train", graph.train[keep])
    explained = explain_model(train_small(tmp_path / "run", graph, training__epochs=1))
    assert explained.queries["tail"][3] == 0
    assert np.isnan(explained.shares["tail"][3]).all()
    assert 3 not in explained.list_relations()
    plain = explained.to_json()["relations"][3]
    assert plain["shares"] == {"tail": None, "head": None}
    assert plain["experts"]["image"] == {"tail": None, "head": None}
    json.dumps(explained.to_json(), allow_nan=False)
