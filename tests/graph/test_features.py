"""Features on disk: matched by label, and refused with a reason where they do not fit."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors.numpy import save_file

from momok import storage
from momok.errors import FeatureError, StorageError
from momok.graph import (
    Vocabulary,
    load_features,
    load_graph,
    save_features,
    write_momok_folder,
)
from tests.graph.small_graph import as_features

ENTITIES = Vocabulary(("A", "B", "C", "D"))


def write(folder, vectors, labels, present=None, **manifest):
    """Write a modality by hand, without the checksum that save_features adds."""
    folder.mkdir(exist_ok=True)
    present = np.ones(len(vectors), dtype=np.uint8) if present is None else np.array(present)
    save_file({"vectors": vectors, "present": present}, folder / "image.safetensors")
    described = {
        "format": "momok-features", "version": 1, "modality": "image", "encoder": "by hand",
        "width": vectors.shape[1], "labels": labels,
    }  # fmt: skip
    (folder / "image.json").write_text(json.dumps(described | manifest))
    return folder


@pytest.fixture
def three(tmp_path):
    vectors = np.array([[3, 4], [1, 2], [np.nan, 9]], dtype=np.float16)
    return write(tmp_path / "features", vectors, ["C", "A", "D"], present=np.uint8([1, 1, 0]))


def test_rows_are_matched_by_label(three):
    features = load_features(three, "image", ENTITIES)
    assert features.matrix.tolist() == [[1, 2], [0, 0], [3, 4], [0, 0]]
    assert features.matrix.dtype == np.float32
    assert features.present.tolist() == [True, False, True, False]
    assert features.manifest.encoder == "by hand"
    assert features.unmatched == ()


def test_rows_of_other_entities_are_told(three):
    features = load_features(three, "image", Vocabulary(("X", "A")))
    assert features.matrix.tolist() == [[0, 0], [1, 2]]
    assert features.unmatched == ("C", "D")


@given(seed=st.integers(0, 1000), half=st.booleans())
@settings(max_examples=25, deadline=None)
def test_saved_features_read_back(tmp_path_factory, seed, half):
    rng = np.random.default_rng(seed)
    present = np.array([True, *(rng.random(3) < 0.5)])
    matrix = np.where(present[:, None], rng.normal(size=(4, 3)), 0)
    features = as_features("text_en", matrix, present)
    folder = tmp_path_factory.mktemp("features")
    save_features(folder, features, ENTITIES, half=half)
    read = load_features(folder, "text_en", ENTITIES)
    expected = features.matrix.astype(np.float16).astype(np.float32) if half else features.matrix
    assert (read.matrix == expected).all()
    assert (read.present == present).all()
    assert read.manifest == features.manifest


ONES = np.ones((2, 2), dtype=np.float32)
NAN, INFINITE = ONES.copy(), ONES.copy()
NAN[1, 0], INFINITE[0, 1] = np.nan, -np.inf
UNFIT = [
    ({"vectors": ONES, "labels": ["X", "Y"]}, "none of its 2 rows .*'X'.* names an entity .*'A'"),
    ({"vectors": ONES[:0], "labels": []}, "none of its 0 rows names an entity"),
    ({"vectors": ONES, "labels": ["A", "A"]}, "the row 'A' appears twice"),
    ({"vectors": ONES, "labels": ["A"]}, "2 vectors of width 2, but image.json says 1 rows"),
    ({"vectors": ONES, "labels": ["A", "B"], "width": 3}, "of width 2, but .* rows of width 3"),
    ({"vectors": NAN, "labels": ["A", "B"]}, "the vector of 'B' .* holds NaN or infinity"),
    ({"vectors": INFINITE, "labels": ["C", "B"]}, "the vector of 'C' .* holds NaN or infinity"),
    ({"vectors": ONES.astype(int), "labels": ["A", "B"]}, "'vectors' is int64 .* expected float16"),
    ({"vectors": ONES[None], "labels": ["A", "B"]}, r"'vectors' is float32 \[1, 2, 2\], expected"),
    ({"vectors": ONES, "labels": ["A", "B"], "present": np.uint8([1])}, "2 vectors, 1 presence"),
    ({"vectors": ONES, "labels": ["A", 1]}, "'labels' holds 1, expected texts"),
    ({"vectors": ONES, "labels": "AB"}, "'labels' must be given as list"),
    ({"vectors": ONES, "labels": ["A", "B"], "modality": "text"}, "is of modality 'text'"),
    ({"vectors": ONES, "labels": ["A", "B"], "version": 2}, "is no manifest with format"),
    ({"vectors": ONES, "labels": ["A", "B"], "sha256": "00"}, "corrupt or truncated: its sha256"),
]  # fmt: skip


@pytest.mark.parametrize(("given_", "message"), UNFIT)
def test_features_that_do_not_fit(tmp_path, given_, message):
    with pytest.raises(FeatureError, match=message) as caught:
        load_features(write(tmp_path / "features", **given_), "image", ENTITIES)
    assert str(tmp_path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kept", [0, 4, 20, -1])
def test_truncated_file(three, kept):
    path = three / "image.safetensors"
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(FeatureError, match=r"image.safetensors: is corrupt, truncated or no safe"):
        load_features(three, "image", ENTITIES)


@given(flip=st.integers(0, 10_000), bit=st.integers(0, 7))
@settings(max_examples=40, deadline=None)
def test_no_flipped_bit_goes_unseen(tmp_path_factory, flip, bit):
    folder = tmp_path_factory.mktemp("features")
    save_features(folder, as_features("image", np.eye(4), np.ones(4, dtype=bool)), ENTITIES)
    path = folder / "image.safetensors"
    content = bytearray(path.read_bytes())
    content[flip % len(content)] ^= 1 << bit
    path.write_bytes(content)
    with pytest.raises(FeatureError, match="corrupt"):
        load_features(folder, "image", ENTITIES)


@pytest.mark.parametrize("legacy", [False, True])
@pytest.mark.parametrize("suffix", ["safetensors", "pth"])
def test_a_torch_file_is_refused(three, legacy, suffix):
    (three / "image.safetensors").unlink()
    path = three / f"image.{suffix}"
    torch.save(torch.ones(2, 2), path, _use_new_zipfile_serialization=not legacy)
    with pytest.raises(
        FeatureError, match=rf"image.{suffix}: is a pickle .* never does; .* convert"
    ):
        load_features(three, "image", ENTITIES)


def test_a_pickle_is_refused_unopened(three):
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("the pickle was opened",))

    (three / "image.safetensors").write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(FeatureError, match="is a pickle"):
        load_features(three, "image", ENTITIES)


@pytest.mark.parametrize(
    ("missing", "message"),
    [("image.json", "the manifest is missing"), ("image.safetensors", "the vectors are missing")],
)
def test_a_missing_file(three, missing, message):
    (three / missing).unlink()
    with pytest.raises(FeatureError, match=message):
        load_features(three, "image", ENTITIES)


def test_a_missing_tensor(three):
    save_file({"vectors": ONES}, three / "image.safetensors")
    with pytest.raises(FeatureError, match="has no tensor 'present'; it has vectors"):
        load_features(three, "image", ENTITIES)


def test_a_manifest_that_is_no_json(three):
    (three / "image.json").write_text("{")
    with pytest.raises(FeatureError, match=r"image.json: the manifest cannot be read as JSON"):
        load_features(three, "image", ENTITIES)


@pytest.mark.parametrize("modality", ["structure", "joint", "answer", "", "a/b", "..", "a.b"])
def test_names_a_modality_cannot_have(three, modality):
    with pytest.raises(FeatureError, match="modality"):
        load_features(three, modality, ENTITIES)


@pytest.mark.parametrize(
    ("matrix", "present", "half", "message"),
    [
        (np.zeros((4, 2)), np.zeros(4, dtype=bool), False, "no entity has a vector"),
        (np.full((4, 2), 1e5), np.ones(4, dtype=bool), True, "beyond the reach of float16"),
        (np.ones((3, 2)), np.ones(3, dtype=bool), False, "3 rows for 4 entities"),
    ],
)
def test_features_that_cannot_be_saved(tmp_path, matrix, present, half, message):
    with pytest.raises(FeatureError, match=message):
        save_features(tmp_path, as_features("image", matrix, present), ENTITIES, half=half)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("matrix", "present", "message"),
    [
        (np.full((2, 2), np.nan), [True, True], "row 0 holds NaN"),
        (np.ones((2, 2)), [True], "present must be 2 booleans"),
    ],
)
def test_features_in_memory_are_checked(matrix, present, message):
    with pytest.raises(FeatureError, match=message):
        as_features("image", matrix, np.array(present))


def test_a_full_disk_keeps_the_old_features(three, monkeypatch):
    def refuse(path, content):
        path.write_bytes(content[:10])
        raise OSError(28, "No space left on device")

    before = sorted((p.name, p.read_bytes()) for p in three.iterdir())
    monkeypatch.setattr(storage, "write_through", refuse)
    features = as_features("image", np.ones((4, 2)), np.ones(4, dtype=bool))
    with pytest.raises(StorageError, match="No space left on device"):
        save_features(three, features, ENTITIES)
    assert sorted((p.name, p.read_bytes()) for p in three.iterdir()) == before


def test_a_graph_reports_rows_of_unknown_entities(small, tmp_path):
    write_momok_folder(small, tmp_path / "graph")
    write(tmp_path / "graph" / "features", ONES, ["France", "Atlantis"])
    graph = load_graph(tmp_path / "graph")
    assert graph.features["image"].present.tolist() == [True] + [False] * 6
    finding = next(f for f in graph.findings if f.kind == "feature-rows")
    assert (finding.count, finding.examples) == (1, ("features/image.json: 'Atlantis'",))
    with pytest.raises(FeatureError, match=r"1 rows name no entity.*Atlantis"):
        load_graph(tmp_path / "graph", strict=True)
