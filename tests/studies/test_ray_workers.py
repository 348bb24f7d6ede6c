"""A study on a Ray cluster of this machine."""

from __future__ import annotations

from pathlib import Path

import pytest

from momok.errors import RunError
from momok.studies import Study, study
from tests.studies.small_study import STRUCTURE, make_plan
from tests.training.small_training import build_graph, expect_line, read_outcome

ray = pytest.importorskip("ray", reason="an extra")


@pytest.mark.usefixtures("ray_cluster")
def test_runs_are_those_of_local_workers(
    whole: Study, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    variants = {
        "complex": {"settings": STRUCTURE | {"model.decoder": "complex"}},
        "bad": {"settings": STRUCTURE | {"model.modalities": "structure,sound"}},
    }
    plan = make_plan(variants=variants, seeds=[0])
    done = study(build_graph(), plan, out="study", ray="local", progress=False)
    assert set(done.failures) == {"bad-seed0"}
    assert "sound" in done.failures["bad-seed0"]
    assert done.is_tested
    name = "complex-seed0"
    assert read_outcome(done.runs / name) == read_outcome(whole.runs / name)


def test_there_is_no_cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def find_none(**_options: object) -> None:  # those of other tests would be found
        raise ConnectionError("Could not find any running Ray instance")

    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    monkeypatch.setattr(ray, "init", find_none)
    with expect_line(RunError, "--ray auto: no Ray cluster there"):
        study(build_graph(), make_plan(), out=tmp_path / "study", ray="auto", progress=False)
    assert not (tmp_path / "study").exists()
