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
READ = {  # by file, the damage, and the commands that read it
    "run.json": ("nested", ("predict", "share")),
    "config.json": ("swapped", ("predict", "share")),
    "graph/train.tsv": ("swapped", ("predict", "share")),
    "checkpoints/best.safetensors": ("bit", ("predict", "share")),
    "results/calibration.json": ("nested", ("predict", "share")),
    "results/test.json": ("swapped", ("share",)),
    "results/test-ranks.safetensors": ("bit", ("share",)),
    "metrics.jsonl": ("swapped", ("share",)),
    "environment.json": ("odd JSON", ("share",)),
}


@pytest.mark.parametrize("file", READ)
def test_what_is_damaged_is_refused_by_those_who_read_it(
    file: str, run: Path, invoke: Invoke, fail: Callable[..., str], tmp_path: Path
) -> None:
    how, readers = READ[file]
    content = (run / file).read_bytes()
    damaged = DAMAGES[how](content, random.Random(0), b"")
    assert damaged is not None
    assert damaged != content
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
