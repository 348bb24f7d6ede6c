"""momok data check."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.cli import data
from momok.graph.doctor import CHECKS
from momok.graph.doctor.labels import _FORMS
from momok.graph.doctor.leakage import KINDS

Invoke = Callable[..., Result]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A small graph in the published format whose only fault is a leaked validation fact."""
    path = tmp_path / "mine"
    path.mkdir()
    (path / "entity2id.txt").write_text("".join(f"e\x1b[2J{i}\t{i}\n" for i in range(4)))
    (path / "relation2id.txt").write_text("r\t0\n")
    name = "e\x1b[2J"
    facts = [(0, 1), (1, 2), (2, 3), (3, 0)]
    (path / "train.txt").write_text("".join(f"{name}{a}\tr\t{name}{b}\n" for a, b in facts))
    (path / "valid.txt").write_text(f"{name}0\tr\t{name}1\n")
    (path / "test.txt").write_text(f"{name}0\tr\t{name}2\n")
    return path


def test_the_world_is_clean(invoke: Invoke) -> None:
    result = invoke("data", "check", "world")
    assert result.exit_code == 0, result.output
    for words in (
        "2,172 entities",
        "N-N",
        "128-255",
        "near-identical-pictures",
        "fix  ",
        "0 errors",
    ):
        assert words in result.stdout


def test_exit_status_follows_the_level(invoke: Invoke, folder: Path) -> None:
    assert invoke("data", "check", folder).exit_code == 1
    assert invoke("data", "check", folder, "--fail-on", "never").exit_code == 0
    assert invoke("data", "check", folder, "--skip", "splits").exit_code == 0
    strict = invoke("data", "check", folder, "--skip", "splits", "--fail-on", "warning")
    assert strict.exit_code == 1  # invisible characters in labels
    assert invoke("data", "check", "world", "--fail-on", "warning").exit_code == 0


def test_labels_cannot_reach_the_terminal(invoke: Invoke, folder: Path) -> None:
    for options in ((), ("--json",)):
        result = invoke("data", "check", folder, *options)
        assert "overlap" in result.stdout
        assert "\x1b" not in result.output


def test_json(invoke: Invoke, folder: Path) -> None:
    result = invoke("data", "check", folder, "--json")
    value = json.loads(result.stdout)
    assert value["worst"] == "error"
    assert value["problems"][0]["kind"] == "overlap"
    assert value["problems"][0]["examples"] == ["e\x1b[2J0 | r | e\x1b[2J1"]
    assert set(value["checks"]) == set(CHECKS)


def test_unusable_input_exits_with_2(fail: Callable[..., str], folder: Path) -> None:
    (folder / "test.txt").unlink()
    assert "the file is missing" in fail("data", "check", folder)
    shutil.rmtree(folder)
    assert "there is no such folder" in fail("data", "check", folder)


def test_the_choices_of_skip_are_the_checks() -> None:
    assert data._CHECKS == CHECKS


def test_the_page_explains_every_kind() -> None:
    page = (Path(__file__).parents[2] / "docs" / "data-check.md").read_text(encoding="utf-8")
    sources = Path(data.__file__).parents[1] / "graph" / "doctor"
    text = "".join(path.read_text(encoding="utf-8") for path in sources.glob("*.py"))
    kinds = set(re.findall(r'kind="([a-z-]+)"', text))
    families = "|".join(CHECKS)
    kinds |= set(re.findall(rf'\("(?:{families})", "([a-z-]+)"', text))
    kinds |= set(re.findall(r'^    "([a-z-]+)": \(', text, re.M))
    kinds |= {"picture-outside", "missing-picture"}
    kinds |= {f"{kind}-leak" for kind in KINDS} | {f"{kind}-collision" for kind, _, _ in _FORMS}
    kinds |= {"unseen-entity", "unseen-relation", "undecodable-picture", "too-large-picture"}
    kinds -= {"stable", "leakage"}  # a way to sort, a family
    assert len(kinds) > 25
    assert {kind for kind in kinds if f"`{kind}`" not in page} == set()
