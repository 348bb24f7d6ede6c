"""The guide for owners of the authors' feature files: its commands run, on files of their form."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from momok.config import resolve_config
from momok.graph import l2_normalise, load_graph
from momok.training.build import find_preparation

PAGE = Path(__file__).resolve().parent.parent / "docs" / "your-own-graph.md"
SECTION = "## The authors' feature files"
COUNT = 40
RNG = np.random.default_rng(0)
IMAGES = RNG.normal(size=(COUNT, 4096)).astype(np.float32)
TEXTS = RNG.normal(size=(COUNT, 768)).astype(np.float32)


def find_blocks() -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    section = text[text.index(SECTION) :]
    end = section.find("\n## ", 1)
    return re.findall(r"^```sh\n(.*?)^```", section[: end if end > 0 else None], re.M | re.S)


def run(block: str, folder: Path) -> str:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    done = subprocess.run(
        ["bash", "-e", "-c", block],
        cwd=folder,
        env=os.environ | {"PATH": path, "COLUMNS": "120", "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=200,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small graph in the benchmarks' format, and vectors as the authors save them."""
    folder = tmp_path_factory.mktemp("authors")
    graph = folder / "DB15K"
    graph.mkdir()
    labels = [f"<http://dbpedia.org/resource/E{i}>" for i in range(COUNT)]
    (graph / "entity2id.txt").write_text("".join(f"{x} {i}\n" for i, x in enumerate(labels)))
    (graph / "relation2id.txt").write_text("<r> 0\n<s> 1\n")
    facts = [f"{labels[i]} <{'rs'[i % 2]}> {labels[(3 * i + 1) % COUNT]} .\n" for i in range(COUNT)]
    for split, some in (("train", facts), ("valid", facts[:0]), ("test", facts[:0])):
        extra = {"valid": 5, "test": 7}.get(split)
        step = (
            [f"{labels[i]} <r> {labels[(i + extra) % COUNT]} .\n" for i in range(9)]
            if extra
            else []
        )
        (graph / f"{split}.txt").write_text("".join([*some, *step]))
    torch.save(torch.from_numpy(IMAGES), folder / "img_features.pth")
    torch.save(
        torch.from_numpy(TEXTS), folder / "text_features.pth", _use_new_zipfile_serialization=False
    )
    backwards = "".join(f"{x}\t{i}\n" for i, x in enumerate(reversed(labels)))
    (folder / "other").mkdir()
    (folder / "other" / "entity2id.txt").write_text(backwards)
    torch.save(torch.from_numpy(IMAGES[::-1].copy()), folder / "vectors.pth")
    return folder


def test_the_files_become_features(folder: Path) -> None:
    said = run(find_blocks()[0], folder)
    assert "assumed: a file of MoMoK" in said
    assert f"row 1 is 'http://dbpedia.org/resource/E0', row {COUNT} is" in said
    graph = load_graph(folder / "DB15K")
    assert np.array_equal(graph.features["image"].matrix, IMAGES)
    assert np.array_equal(graph.features["text"].matrix, TEXTS)
    run(find_blocks()[1].replace("--modality image", "--modality again"), folder)
    assert np.array_equal(load_graph(folder / "DB15K").features["again"].matrix, IMAGES)


def test_the_settings_of_the_paper_fit_them(folder: Path) -> None:
    assert "--preset paper" in find_blocks()[2]
    config, graph = resolve_config("paper", graph="DB15K"), load_graph(folder / "DB15K")
    for modality, grid, target in (
        ("image", (64, 64), (16, 16)),
        ("text", (12, 64), (4, 64)),
    ):
        features = graph.features[modality]
        prepared = find_preparation(modality, features, config.features_of(modality))
        rows = torch.from_numpy(l2_normalise(features.matrix)).view(COUNT, *grid)
        expected = torch.nn.functional.adaptive_avg_pool2d(rows, target).reshape(COUNT, 256)
        np.testing.assert_allclose(
            prepared.apply(features.matrix), expected.numpy(), rtol=1e-5, atol=1e-7
        )
