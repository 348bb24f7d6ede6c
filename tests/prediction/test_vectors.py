"""Vectors for other programs: what the model scores with, and files that read back."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open

from momok.errors import ConfigError, UnknownLabelError
from momok.graph import SPLIT_NAMES
from momok.prediction import (
    Predictor,
    Vectors,
    find_candidate_vectors,
    find_query_vectors,
    find_vectors,
)
from tests.prediction.trained_run import train_small_run


def test_they_are_what_the_model_scores_with(predictor: Predictor) -> None:
    model = predictor.model
    for head in predictor.heads:
        found = find_vectors(predictor.scorer, head)
        assert found.labels == predictor.graph.entities.labels
        scored = predictor.scorer.candidates.vectors[head].numpy()  # with the prior in one column
        np.testing.assert_allclose(found.matrix, scored[:, : found.matrix.shape[1]], atol=1e-6)
    relations = find_vectors(predictor.scorer, "text", relations=True)
    table = model.relations[predictor.modalities.index("text")]
    torch.testing.assert_close(torch.from_numpy(relations.matrix), table.detach())
    assert relations.labels[0] + "^-1" == relations.labels[predictor.graph.num_relations]


def test_joined_is_all_heads_of_length_one(predictor: Predictor) -> None:
    joined = find_vectors(predictor.scorer).matrix
    alone = [find_vectors(predictor.scorer, head).matrix for head in predictor.heads]
    cosines = sum(
        float(v[3] @ v[8]) / float(np.linalg.norm(v[3]) * np.linalg.norm(v[8])) for v in alone
    )
    assert float(joined[3] @ joined[8]) == pytest.approx(cosines, abs=1e-5)


def test_an_unknown_head(predictor: Predictor) -> None:
    with pytest.raises(ConfigError, match="no head 'sound'; there are joined, structure, image"):
        find_vectors(predictor.scorer, "sound")


@pytest.fixture
def few() -> Vectors:
    matrix = np.array([[1.5, -2.0], [0.1, 3e-8], [7.0, 0.0]], dtype=np.float32)
    return Vectors(labels=("a", "New York", "ü\u2028x"), names=("A", "NY", "U"), matrix=matrix)


def test_files_read_back(few: Vectors, tmp_path: Path) -> None:
    assert repr(few) == "<Vectors of 3, 2 numbers each: A, NY, U>"
    for ending in ("parquet", "npz", "safetensors", "txt"):
        few.save(tmp_path / f"v.{ending}")
    frame = pl.read_parquet(tmp_path / "v.parquet")
    assert frame.columns == ["label", "name", "vector"]
    assert frame["label"].to_list() == list(few.labels)
    np.testing.assert_array_equal(frame["vector"].to_numpy(), few.matrix)
    with np.load(tmp_path / "v.npz", allow_pickle=False) as arrays:
        assert arrays["labels"].tolist() == list(few.labels)
        np.testing.assert_array_equal(arrays["vectors"], few.matrix)
    with safe_open(tmp_path / "v.safetensors", "np") as file:
        assert json.loads(file.metadata()["labels"]) == list(few.labels)
        np.testing.assert_array_equal(file.get_tensor("vectors"), few.matrix)
    first, *lines = (tmp_path / "v.txt").read_text().split("\n")[:-1]
    assert first == "3 2"
    words, *rows = zip(*(line.split(" ") for line in lines), strict=True)
    assert words == ("a", "New_York", "ü_x")
    np.testing.assert_allclose(np.array(rows, dtype=np.float32).T, few.matrix, rtol=1e-6)


def test_what_cannot_be_written(few: Vectors, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"v.csv: vectors are written as .parquet, .npz"):
        few.save(tmp_path / "v.csv")
    same = Vectors(labels=("a b", "a_b", "c"), names=("", "", ""), matrix=few.matrix)
    with pytest.raises(ConfigError, match="two labels are one"):
        same.save(tmp_path / "v.txt")
    assert not list(tmp_path.iterdir())


def read_code(title: str, word: str = "") -> str:
    """The Python block of a section of the page that has a word."""
    page = (Path(__file__).parents[2] / "docs" / "prediction.md").read_text(encoding="utf-8")
    section = page.split(f"### {title}\n")[1].split("\n##")[0]
    (code,) = (x for x in re.findall(r"```python\n(.*?)```", section, re.S) if word in x)
    return str(code)


@pytest.mark.parametrize("library", ["usearch", "faiss"])
@pytest.mark.filterwarnings("ignore")
def test_the_page_on_other_stores(library: str, predictor: Predictor) -> None:
    pytest.importorskip(library)
    vectors = find_vectors(predictor.scorer)
    names: dict[str, Any] = {"vectors": vectors}
    exec(read_code("In other stores", library), names)
    exact = (vectors.matrix @ vectors.matrix[vectors.names.index("France")]).argsort()[::-1][:5]
    assert names["near"] == [vectors.names[row] for row in exact]


@pytest.fixture(scope="module")
def pooled(tmp_path_factory: pytest.TempPathFactory) -> Predictor:
    """A run whose heads are weighed, without rules."""
    path = tmp_path_factory.mktemp("pooled") / "run"
    settings: dict[str, Any] = {
        "features__reduce": "none",
        "evaluation__pool": "heads",
        "model__members": 1,
    }
    settings |= {"training__learning_rate": 0.1, "training__epochs": 3}
    return Predictor(train_small_run(path, preset="default", **settings))


QUESTIONS = [
    ("France", "borders", None), (None, "capital", "Europe/Paris"), ("Japan", "currency", None),
    (None, "borders", "Peru"), ("Berlin", "city in", None),
]  # fmt: skip


@pytest.mark.filterwarnings("ignore")
def test_a_search_gives_the_answers_of_the_predictor(pooled: Predictor) -> None:
    pytest.importorskip("faiss")
    names: dict[str, Any] = {"predictor": pooled}
    exec(read_code("Answers by a search"), names)
    found = zip(names["found"], np.exp(names["scores"][0]), strict=True)
    of_others = [(name, score) for name, score in found if name != "France"]
    expected = pooled.predict(head="France", relation="borders", k=len(of_others))
    assert [name for name, _ in of_others] == [p.name for p in expected]
    np.testing.assert_allclose(
        [score for _, score in of_others], [p.score for p in expected], rtol=1e-4
    )


def test_products_of_questions_and_answers_are_scores(pooled: Predictor) -> None:
    answers = find_candidate_vectors(pooled.scorer)
    products = find_query_vectors(pooled.scorer, QUESTIONS) @ answers.matrix.T
    for row, found in zip(products, pooled.predict_many(QUESTIONS, 10), strict=True):
        places = [pooled.graph.entities.ids[p.label] for p in found]
        np.testing.assert_allclose(np.exp(row[places]), [p.score for p in found], rtol=1e-4)
        own = pooled.graph.entities.ids[found.question.entity.label]
        best = [i for i in (-row).argsort(kind="stable")[: len(found) + 1] if i != own]
        assert best[: len(found)] == places
    with pytest.raises(UnknownLabelError, match="Frnace"):
        find_query_vectors(pooled.scorer, [("Frnace", "borders", None)])


def test_a_mean_of_probabilities_is_no_product(predictor: Predictor) -> None:
    for find in (
        find_candidate_vectors,
        lambda scorer: find_query_vectors(scorer, QUESTIONS),
    ):
        with pytest.raises(ConfigError, match="which no product of two vectors ranks like"):
            find(predictor.scorer)


def test_the_files_for_neo4j_read_back(
    predictor: Predictor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    vectors, graph = find_vectors(predictor.scorer), predictor.graph
    exec(read_code("In Neo4j"), {"predictor": predictor, "vectors": vectors})
    nodes = pl.read_csv("entities.csv", infer_schema=False)
    assert nodes.columns == ["label:ID", "name", ":LABEL", "vector:float[]"]
    assert nodes["label:ID"].to_list() == list(graph.entities.labels)
    assert nodes["label:ID"].is_unique().all()
    assert nodes[":LABEL"].to_list() == [f"Entity;{kind}" for kind in graph.entity_types]
    numbers = [row.split(";") for row in nodes["vector:float[]"]]
    np.testing.assert_array_equal(np.array(numbers, dtype=np.float32), vectors.matrix)
    edges = pl.read_csv("facts.csv", infer_schema=False)
    assert edges.columns == [":START_ID", ":TYPE", ":END_ID", "split"]
    ids, relations = graph.entities.ids, graph.relations.ids
    for split in SPLIT_NAMES:
        rows = edges.filter(pl.col("split") == split).drop("split").iter_rows()
        facts = [[ids[h], relations[r], ids[t]] for h, r, t in rows]
        np.testing.assert_array_equal(facts, graph.facts(split))
