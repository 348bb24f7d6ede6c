"""Vectors for other programs: what the model scores with, and files that read back."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import polars as pl
import pytest
import torch
from safetensors import safe_open

from momok.errors import ConfigError
from momok.prediction import Predictor, Vectors, find_vectors


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


@pytest.mark.parametrize("library", ["usearch", "faiss"])
@pytest.mark.filterwarnings("ignore")
def test_the_page_on_other_stores(library: str, predictor: Predictor) -> None:
    pytest.importorskip(library)
    page = (Path(__file__).parents[2] / "docs" / "prediction.md").read_text(encoding="utf-8")
    section = page.split("### In other stores\n")[1]
    (code,) = (x for x in re.findall(r"```python\n(.*?)```", section, re.S) if library in x)
    vectors = find_vectors(predictor.scorer)
    names = {"vectors": vectors}
    exec(code, names)
    exact = (vectors.matrix @ vectors.matrix[vectors.names.index("France")]).argsort()[::-1][:5]
    assert names["near"] == [vectors.names[row] for row in exact]
