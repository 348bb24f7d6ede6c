"""Damaged files of a run: a line and exit 2, or the same answer; never another one."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path

import pytest
from benchmarks.damage import DAMAGES

from momok.storage import parse_json, seal, unseal, write_json
from momok.training import RunFolder
from tests.cli.conftest import Invoke

QUESTION = ("--head", "France", "--relation", "borders")
READ = [  # a file, its damage, and the commands that refuse it
    ("run.json", "nested", ("predict", "share")),
    ("config.json", "swapped", ("predict", "share")),
    ("graph/train.tsv", "swapped", ("predict", "share")),
    ("checkpoints/best.safetensors", "bit", ("predict", "share")),
    ("results/calibration.json", "nested", ("predict", "share")),
    ("results/calibration.json", "odd JSON", ("predict", "share")),
    ("results/test.json", "swapped", ("share",)),
    ("results/test-ranks.safetensors", "bit", ("share",)),
    ("results/test-ranks.safetensors", "deleted", ("share",)),
    ("results/valid-ranks.safetensors", "deleted", ("share",)),
    ("metrics.jsonl", "swapped", ("share",)),
    ("environment.json", "odd JSON", ("share",)),
]


@pytest.mark.parametrize("damage", READ)
def test_what_is_damaged_is_refused_by_those_who_read_it(
    damage: tuple[str, str, tuple[str, ...]],
    run: Path,
    invoke: Invoke,
    fail: Callable[..., str],
    tmp_path: Path,
) -> None:
    file, how, readers = damage
    content = (run / file).read_bytes()
    damaged = DAMAGES[how](content, random.Random(0), b"")
    assert damaged != content
    (run / file).unlink()
    if damaged is not None:
        (run / file).write_bytes(damaged)
    for name, given in (("predict", QUESTION), ("share", (tmp_path / "shared",))):
        if name in readers:
            assert Path(file).name in fail(name, run, *given)
        else:
            assert invoke(name, run, *given).exit_code == 0


def test_a_result_of_another_run_is_not_shown(run: Path, invoke: Invoke) -> None:
    result = RunFolder(run).result_path("valid")
    assert "damaged" not in invoke("runs", run.parent).stdout
    write_json(result, seal(unseal(parse_json(result.read_bytes())) | {"run": "another"}))
    assert "damaged" in invoke("runs", run.parent).stdout


def test_lost_probabilities_are_said(run: Path, invoke: Invoke) -> None:
    (run / "results" / "calibration.json").unlink()
    result = invoke("predict", run, *QUESTION)
    assert result.exit_code == 0
    assert f"momok calibrate {run}" in result.stderr


@pytest.mark.parametrize(
    "lost",
    [
        ("results/valid.json", "momok evaluate", ""),
        ("results/test.json", "momok evaluate", "results/test.json is not there"),
        ("checkpoints/best.safetensors", "best.safetensors", "best.safetensors is not there"),
    ],
)
def test_what_is_not_there_is_said(
    lost: tuple[str, str, str],
    run: Path,
    invoke: Invoke,
    fail: Callable[..., str],
    tmp_path: Path,
) -> None:
    file, shared, reported = lost
    (run / file).unlink()
    assert shared in fail("share", run, tmp_path / "shared")
    assert invoke("report", run, "--out", tmp_path / "report.html").exit_code == 0
    assert reported in (tmp_path / "report.html").read_text()


def test_a_run_that_lost_its_record_is_listed(run: Path, invoke: Invoke) -> None:
    (run / "run.json").unlink()
    assert "damaged" in invoke("runs", run.parent).stdout


def test_a_shared_run_without_probabilities_says_so(
    run: Path, invoke: Invoke, tmp_path: Path
) -> None:
    (run / "results" / "calibration.json").unlink()
    result = invoke("share", run, tmp_path / "shared")
    assert result.exit_code == 0
    assert f"momok calibrate {run}" in result.stderr


def test_a_changed_table_of_a_graph_is_said(invoke: Invoke, tmp_path: Path) -> None:
    graph = tmp_path / "graph"
    facts = "".join(f"a{i}\tr\ta{(i * 7) % 20}\n" for i in range(60))
    (tmp_path / "f.tsv").write_text(facts)
    assert invoke("data", "build", tmp_path / "f.tsv", "--out", graph).exit_code == 0
    assert "as momok wrote it" not in invoke("features", "list", graph).stdout
    text = (graph / "entities.tsv").read_text()
    (graph / "entities.tsv").write_text(text.replace("a3\t", "b3\t"))
    assert "entities.tsv is not as momok wrote it" in invoke("features", "list", graph).stdout
    assert "changed: 1 files are not as momok wrote them" in invoke("data", "info", graph).stdout
