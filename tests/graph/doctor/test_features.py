"""Vectors and numbers that do not fit, from files that loading refuses and from memory."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from safetensors.numpy import save_file

from momok.graph.doctor import features as doctor_features
from momok.graph.doctor.features import (
    check_numbers,
    check_rows,
    group_equal_rows,
    mark_covered,
    read_rows,
)
from momok.graph.doctor.report import Problem
from tests.graph.small_graph import ENTITIES, as_features


def write(folder, vectors, labels=ENTITIES, present=None, **changes):
    """Write a modality ``image`` without any check."""
    folder.mkdir(exist_ok=True)
    present = np.ones(len(vectors), np.uint8) if present is None else np.array(present, np.uint8)
    save_file({"vectors": vectors, "present": present}, folder / "image.safetensors")
    about = {
        "format": "momok-features", "version": 1, "modality": "image", "width": vectors.shape[1],
        "labels": list(labels), "encoder": "by hand",
    }  # fmt: skip
    (folder / "image.json").write_text(json.dumps(about | changes))
    return folder


def examine(folder, graph) -> dict[str, Problem]:
    found = []
    for table in read_rows(folder, graph):
        found += (
            [table]
            if isinstance(table, Problem)
            else check_rows(table, graph, mark_covered(table, graph))
        )
    kinds = [a.kind for a in found]
    assert len(set(kinds)) == len(kinds)
    return {a.kind: a for a in found}


@pytest.fixture
def vectors() -> np.ndarray:
    return np.random.default_rng(3).normal(size=(7, 5)).astype(np.float32)


def test_sound_features_have_nothing(tmp_path, small, vectors):
    assert examine(write(tmp_path / "features", vectors), small) == {}


def test_no_folder_of_features_is_nothing(tmp_path, small):
    assert examine(tmp_path / "features", small) == {}


@pytest.mark.parametrize("dtype", [np.float16, np.float32])
def test_each_fault_of_values_is_counted(tmp_path, small, vectors, dtype):
    vectors = vectors.astype(dtype)
    vectors[0, 1], vectors[1, 2] = np.nan, np.inf
    vectors[2] = 0
    vectors[4] = vectors[5]
    vectors[:, 3] = 1
    vectors[2, 3] = 0
    found = examine(write(tmp_path / "features", vectors), small)
    assert {kind: a.count for kind, a in found.items()} == {
        "not-finite": 2, "zero-vector": 1, "duplicate-vector": 2,
    }  # fmt: skip
    assert found["not-finite"].severity == "error"
    assert found["not-finite"].examples == ("France", "Spain")
    assert found["zero-vector"].examples == ("Germany",)
    assert found["duplicate-vector"].examples == ("Madrid = Berlin",)


def test_constant_columns(tmp_path, small, vectors):
    vectors[:, 1], vectors[:, 4] = 0.25, 0
    found = examine(write(tmp_path / "features", vectors), small)
    assert found["constant-column"].count == 2
    assert found["constant-column"].examples == ("column 1 is 0.25", "column 4 is 0")


def test_absent_rows_are_not_looked_at(tmp_path, small, vectors):
    vectors[1] = np.nan
    present = [1, 0, 1, 1, 1, 1, 1]
    found = examine(write(tmp_path / "features", vectors, present=present), small)
    assert set(found) == {"missing-vectors"}
    assert found["missing-vectors"].examples == ("Spain",)


def test_rows_that_name_nobody(tmp_path, small, vectors):
    labels = (*ENTITIES[:5], "Atlantis", "Lemuria")
    found = examine(write(tmp_path / "features", vectors, labels), small)
    assert (found["unknown-rows"].count, found["unknown-rows"].severity) == (2, "warning")
    assert found["unknown-rows"].examples == ("Atlantis", "Lemuria")
    assert found["missing-vectors"].count == 2
    nobody = [f"x{i}" for i in range(7)]
    assert examine(write(tmp_path / "features", vectors, nobody), small)[
        "unknown-rows"
    ].severity == ("error")


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"width": 9}, "of width 9"),
        ({"labels": ["France"]}, "1 rows"),
        ({"labels": ["France"] * 7}, "twice"),
        ({"sha256": "0" * 64}, "sha256"),
        ({"format": "other"}, "no manifest"),
    ],
)
def test_what_cannot_be_read_is_an_error_not_a_crash(tmp_path, small, vectors, changes, said):
    found = examine(write(tmp_path / "features", vectors, **changes), small)
    assert set(found) == {"unreadable-features"}
    assert found["unreadable-features"].severity == "error"
    assert said in found["unreadable-features"].message


def test_pickles_are_told_and_not_opened(tmp_path, small):
    folder = tmp_path / "features"
    folder.mkdir()
    (folder / "image.pth").write_bytes(pickle.dumps({"a": 1}))
    assert "pickle" in examine(folder, small)["unreadable-features"].message


def test_missing_by_type(tmp_path, small, vectors):
    types = ("country",) * 3 + ("city",) * 3 + ("continent",)
    typed = replace(small, entity_types=types)
    found = examine(write(tmp_path / "features", vectors[:2], ENTITIES[:2]), typed)
    missing = found["missing-vectors"]
    assert (missing.count, missing.severity, missing.examples) == (5, "note", ("Germany",))
    assert missing.impact == pytest.approx(1 / 3)
    assert "1 of them of a type of which others have one" in missing.message


def test_features_in_memory_are_examined_too(small, vectors):
    vectors[6] = 0
    present = np.array([True] * 6 + [False])
    graph = replace(small, features={"image": as_features("image", vectors, present)})
    assert set(examine(None, graph)) == {"missing-vectors"}
    lost = replace(graph.features["image"], unmatched=("Atlantis",))
    assert examine(None, replace(graph, features={"image": lost}))["unknown-rows"].count == 1


@given(
    arrays(
        np.float32, st.tuples(st.integers(1, 12), st.integers(1, 4)),
        elements=st.sampled_from([0.0, -0.0, 1.0, -1.0, 2.0**-140]),
    ),
    st.sampled_from([1, 7, 1 << 22]),
)  # fmt: skip
def test_duplicate_groups_are_those_of_equality(vectors, block):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(doctor_features, "_BLOCK", block)
        groups = group_equal_rows(vectors, np.arange(len(vectors)))
    equal = (vectors[:, None] == vectors[None]).all(axis=2)
    assert ((groups[:, None] == groups[None]) == equal).all()
    assert set(groups.tolist()) == set(range(groups.max() + 1))


NUMBERS_HEADER = "entity\tattribute\tvalue\n"


def test_no_numbers_are_nothing(tmp_path, small):
    assert check_numbers(tmp_path, small) == ([], None)


def test_sound_numbers_are_covered(tmp_path, small):
    (tmp_path / "numbers.tsv").write_text(NUMBERS_HEADER + "France\tarea\t5\nEurope\tarea\t7\n")
    found, has = check_numbers(tmp_path, small)
    assert (found, has.tolist()) == ([], [True] + [False] * 5 + [True])


@pytest.mark.parametrize("line", ["France\tarea\tnan\n", "France\tarea\n", "France\tarea\tx\n"])
def test_numbers_that_cannot_be_read_are_an_error(tmp_path, small, line):
    (tmp_path / "numbers.tsv").write_text(NUMBERS_HEADER + line)
    [told], has = check_numbers(tmp_path, small)
    assert (told.kind, told.severity, has) == ("unreadable-numbers", "error", None)
    assert "numbers.tsv:2" in told.message


def test_strangers_and_constants(tmp_path, small):
    lines = "France\tarea\t5\nSpain\tarea\t5\nAtlantis\tdepth\t1\nFrance\tyear\t843\n"
    (tmp_path / "numbers.tsv").write_text(NUMBERS_HEADER + lines)
    found, has = check_numbers(tmp_path, small)
    told = {a.kind: a for a in found}
    assert told["unknown-numbers"].examples == ("Atlantis",)
    assert (told["unknown-numbers"].count, told["unknown-numbers"].total) == (1, 3)
    assert told["constant-number"].examples == ("area is 5",)
    assert has.sum() == 2
