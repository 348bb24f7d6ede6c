"""docs/encoding.md: its Python runs, and it names what there is."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from momok.encoders import DEFAULT_SPECS, ENCODERS, EncoderContext, EncoderSpec
from momok.encoders.encoder import ENTRY_POINTS
from momok.encoders.inputs import MOST_ATTRIBUTES, MOST_CHARACTERS
from momok.graph import load_graph
from momok.graph.feature_import.files import SUFFIXES
from momok.graph.feature_import.matching import PUBLISHED_FILES, recognise
from momok.graph.pictures import MAX_PIXELS

PAGE = (Path(__file__).parents[2] / "docs" / "encoding.md").read_text(encoding="utf-8")
OWN, CALL = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def test_the_example_of_an_encoder_works():
    names: dict = {}
    exec(OWN, names)
    encoder = names["build"](EncoderSpec("letters", "letters"), EncoderContext())
    vectors = encoder.encode(["Abba", ""])
    assert vectors.dtype == np.float32
    assert vectors[0, :3].tolist() == [2, 2, 0]
    assert not vectors[1].any()
    upper = names["build"](EncoderSpec("", "letters", "", {"case": "as-is"}), EncoderContext())
    assert upper.encode(["Abba"])[0, 0] == 1


def test_the_example_in_python_works(tmp_path, monkeypatch, capsys):
    pytest.importorskip("skimage", reason="the extra 'image' is not installed")
    monkeypatch.chdir(tmp_path)
    exec(CALL, {})
    assert "'encoded': 50" in capsys.readouterr().out
    assert load_graph("my-world").features["flags"].present.sum() == 50


def test_the_page_names_every_encoder():
    for kind, names in ENCODERS.items():
        for name in names:
            model = ":MODEL" if "transformers" in name else ""
            default = " (default)" if DEFAULT_SPECS[kind] == name else ""
            assert f"| `{name}{model}`{default} | {kind} |" in PAGE
    for extra in ("use", "text", "image", "efficientnet", "vision"):
        assert f"`momok[{extra}]`" in PAGE
    assert f'entry-points."{ENTRY_POINTS}"' in PAGE


def test_the_page_names_every_format_and_archive():
    for suffix in SUFFIXES:
        assert f"`{suffix}`" in PAGE
    table = PAGE[PAGE.index("### The authors' feature files") :]
    named = {
        found[0]
        for name in re.findall(r"`([\w.-]+\.(?:pth|h5))`", table)
        if (found := recognise(name))
    }
    assert set(PUBLISHED_FILES) == named
    for published in PUBLISHED_FILES:
        assert published.origin.split(",")[0] in table


def test_the_numbers_of_the_page():
    assert f"{MOST_CHARACTERS:,} characters" in PAGE
    assert f"The {MOST_ATTRIBUTES} most common" in PAGE
    assert f"{MAX_PIXELS // 10**6} million pixels" in PAGE
