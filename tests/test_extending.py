"""docs/extending.md: every example runs, and what it adds is chosen by its name."""

from __future__ import annotations

import inspect
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

import momok
from momok.cli import main
from momok.config import resolve_config
from momok.encoders import encode_modality, encoder
from momok.errors import CheckpointError
from momok.graph import load_graph, write_momok_folder
from momok.graph.sources.formats import FOLDER_FORMATS
from momok.model import DECODERS, FUSIONS
from momok.model.decoders import RotatE
from momok.training import LOSSES, REGULARISERS

PAGE = (Path(__file__).parents[1] / "docs" / "extending.md").read_text(encoding="utf-8")
SECTIONS = dict(re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", PAGE, re.M | re.S))
DICTS: tuple[dict[str, Any], ...] = (DECODERS, FUSIONS, LOSSES, REGULARISERS, FOLDER_FORMATS)
QUICK = {  # what a reader waits for
    "training.epochs": 1,
    "training.validate_every": 1,
    "model.structure_width": 8,
    "model.relation_width": 8,
    "model.joint_width": 8,
    "features.width": 8,
    "runtime.threads": 1,
    "runtime.compile": "off",
}


@pytest.fixture(autouse=True)
def _apart(tmp_path: Path, monkeypatch) -> Iterator[None]:
    """A folder of its own, training that is short, and the dicts as they were afterwards."""
    monkeypatch.chdir(tmp_path)
    before = [(known, dict(known)) for known in DICTS]

    def resolve_quickly(preset: str | None = None, *, overrides: dict[str, Any]) -> Any:
        return resolve_config(preset, overrides={**overrides, **QUICK})

    monkeypatch.setattr(momok, "resolve_config", resolve_quickly, raising=False)
    yield
    for known, entries in before:
        known.clear()
        known.update(entries)


def run_section(title: str) -> dict[str, Any]:
    """Run the Python of a section, block by block; give its names."""
    names: dict[str, Any] = {}
    for code in re.findall(r"^```python\n(.*?)^```", SECTIONS[title], re.M | re.S):
        exec(code, names)
    return names


def mean_reciprocal_rank(names: dict[str, Any]) -> float:
    overall = names["run"].load_evaluation("test").overall
    return float(overall["answer"].mrr or 0.0)


def test_a_decoder() -> None:
    assert inspect.getsource(RotatE) in PAGE  # the worked example is the decoder as it is
    names = run_section("A decoder")
    assert mean_reciprocal_rank(names) > 0.0
    decoder = names["TransE"](4, 4, dropouts=(0.0, 0.0, 0.0))
    x, r, c = torch.randn(3, 4), torch.randn(3, 4), torch.randn(5, 4)
    distances = torch.cdist(x + r, c).square()
    torch.testing.assert_close(decoder.multiply(x, r) @ decoder.candidates(c).T, -distances)
    momok.Predictor("runs/transe").predict(head="France", relation="borders")
    del DECODERS["transe"]
    with pytest.raises(CheckpointError, match=r"decoder 'transe'.*import the module that adds it"):
        momok.Predictor("runs/transe")


def test_a_decoder_on_the_command_line(tmp_path: Path) -> None:
    """The class in a module of its own, and the command that is shown, with quick settings."""
    code = "".join(re.findall(r"^```python\n(.*?)^```", SECTIONS["A decoder"], re.M | re.S))
    (shown,) = re.findall(r"^(python -c .*)$", SECTIONS["A decoder"], re.M)
    (tmp_path / "my_decoders.py").write_text(code.split("config = ")[0], encoding="utf-8")
    _, *arguments = shlex.split(shown)
    quick = [part for name, value in QUICK.items() for part in ("--set", f"{name}={value}")]
    command = [sys.executable, *arguments, *quick, "--run", "mine", "--quiet"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert momok.RunFolder("mine").config.model.decoder == "transe"


def test_a_fusion() -> None:
    names = run_section("A fusion")
    assert mean_reciprocal_rank(names) > 0.0
    fusion = names["WeightedMean"]([3, 2], 4)
    fused, attention = fusion([torch.randn(5, 3), None], None)
    assert fused.shape == (5, 4)
    assert attention[0].tolist() == [[1.0, 0.0]] * 5


def test_a_loss() -> None:
    names = run_section("A loss")
    assert mean_reciprocal_rank(names) > 0.0
    normaliser = torch.tensor([2.0, 3.0], dtype=torch.float64, requires_grad=True)
    answers = torch.tensor([1.5, -1.0], dtype=torch.float64, requires_grad=True)
    cost, by_normaliser, by_answer = names["FocalSoftmax"].cost(normaliser, answers)
    found = torch.autograd.grad(cost.sum(), [normaliser, answers])
    torch.testing.assert_close(found, (by_normaliser.detach(), by_answer.detach()))


def test_a_regulariser() -> None:
    names = run_section("A regulariser")
    assert mean_reciprocal_rank(names) > 0.0
    penalty = names["l1"](None, torch.tensor([[1.0, -2.0]]), torch.tensor([[4.0]]))
    assert penalty.tolist() == [5.0]


def test_a_modality() -> None:
    names = run_section("A modality")
    assert mean_reciprocal_rank(names) > 0.0
    assert momok.Predictor(names["run"]).modalities == ("structure", "audio")
    assert Path("my-graph/features/audio.safetensors").is_file()


def test_an_encoder(tmp_path: Path, monkeypatch) -> None:
    (code,) = re.findall(r"^```python\n(.*?)^```", SECTIONS["An encoder"], re.M | re.S)
    (entry,) = re.findall(r'^words = "(.*)"$', SECTIONS["An encoder"], re.M)
    (spec,) = re.findall(r'--encoder "(.*)"', SECTIONS["An encoder"])
    (tmp_path / "my_encoders.py").write_text(code, encoding="utf-8")
    monkeypatch.syspath_prepend(tmp_path)
    point = EntryPoint("words", entry, encoder.ENTRY_POINTS)
    monkeypatch.setattr(encoder, "entry_points", lambda group: [point])  # noqa: ARG005
    write_momok_folder(load_graph("world"), Path("my-graph"), with_features=False)
    encoding = encode_modality(Path("my-graph"), "text", encoder=spec)
    assert encoding.features.matrix.shape[1] == 128
    assert encoding.features.present.all()
    del sys.modules["my_encoders"]


def test_a_format(capsys) -> None:
    run_section("A format")
    assert int(capsys.readouterr().out) > 40
    done = CliRunner().invoke(main, ["data", "build", "friends", "--out", "again"])
    assert done.exit_code == 0, done.output
    assert "adjacency.json is there" in done.output
    assert load_graph("again").fingerprint() == load_graph("my-friends").fingerprint()


def test_the_table_names_what_there_is() -> None:
    source = Path(momok.__file__).parent
    places = re.findall(r"\| `([\w/]+(?:\.py|/))` \|", PAGE.split("## ")[0])
    assert len(places) == 6
    assert all((source / place).exists() for place in places)
