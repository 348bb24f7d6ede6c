"""momok study and momok runs."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import html5lib
import polars as pl
import pytest
from click.testing import Result

from momok.graph import write_momok_folder
from momok.studies import load_study
from tests.training.small_training import build_graph

Invoke = Callable[..., Result]
Fail = Callable[..., str]

PLAN = """
seeds = [0]
about = "Two decoders."
[settings]
preset = "default"
training.epochs = 2
training.validate_every = 1
model.members = 1
model.structure_width = 8
model.modalities = "structure"
[variants.complex]
[variants."dist mult"]
model.decoder = "distmult"
[[scenarios]]
kind = "sparse"
levels = [0, 0.5]
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A graph and a plan."""
    folder = tmp_path_factory.mktemp("work")
    write_momok_folder(build_graph(), folder / "shifts")
    (folder / "plan.toml").write_text(PLAN, encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def finished(folder: Path, invoke: Invoke) -> Result:
    """What ``momok study`` says; the study is ``folder / "study"``."""
    result = invoke("study", folder / "shifts", folder / "plan.toml", "--out", folder / "study")
    assert result.exit_code == 0, result.output
    return result


def test_the_screen_has_the_summary(finished: Result, folder: Path) -> None:
    lines = finished.stdout.splitlines()
    assert re.split(r"\s{2,}", lines[0].strip()) == [
        "variant", "scenario", "level", "seeds", "valid_mrr", "mrr", "hits@1", "hits@10", "minutes",
    ]  # fmt: skip
    assert [line.split()[0] for line in lines[1:5]] == ["complex", "complex", "dist", "dist"]
    assert str(folder / "study" / "results" / "report.html") in finished.stdout
    assert "4 of 4 runs to train" in finished.stderr


@pytest.mark.usefixtures("finished")
def test_tables_and_figures_are_files(folder: Path) -> None:
    results = folder / "study" / "results"
    names = {path.name for path in results.iterdir()}
    tables = ("runs", "summary", "differences", "groups")
    assert names == {
        *(f"{t}.{suffix}" for t in tables for suffix in ("csv", "parquet", "md", "tex")),
        *(f"{f}.{suffix}" for f in ("sparse", "differences-complex") for suffix in ("png", "svg")),
        "report.html",
    }
    frame = load_study(folder / "study").to_frame()
    assert pl.read_parquet(results / "runs.parquet").equals(frame)
    assert (results / "summary.md").read_text().count("\n") == 6
    assert (results / "sparse.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.usefixtures("finished")
def test_the_page_is_valid_and_says_that_one_seed_is_few(folder: Path) -> None:
    page = (folder / "study" / "results" / "report.html").read_text(encoding="utf-8")
    html5lib.HTMLParser(strict=True).parse(page)
    for words in ("Study plan", "Two decoders.", "1 seed: too few", "too few seeds to tell",
                  "Train facts taken away: 50%", "The graph as it is", "dist mult"):  # fmt: skip
        assert words in page
    assert page.count("<svg") == 2


@pytest.mark.usefixtures("finished")
def test_runs_are_found(folder: Path, invoke: Invoke, tmp_path: Path) -> None:
    study = shutil.copytree(folder / "study", tmp_path / "study")
    (study / "runs" / "complex-seed0" / "run.json").write_text("{}")
    result = invoke("runs", study, "--json")
    assert result.exit_code == 0, result.output
    found = {Path(run["run"]).name: run for run in map(json.loads, result.stdout.splitlines())}
    assert set(found) == {
        "complex-seed0", "complex-sparse-50-seed0", "dist-mult-seed0", "dist-mult-sparse-50-seed0",
    }  # fmt: skip
    run = found["dist-mult-seed0"]
    assert run | {"created": ""} == {
        "run": str(study / "runs" / "dist-mult-seed0"), "graph": "shifts", "preset": "default",
        "seed": 0, "state": "finished", "epoch": 2, "epochs": 2, "created": "",
        "valid_mrr": load_study(folder / "study").to_frame()["valid_mrr"][2],
    }  # fmt: skip
    assert found["complex-seed0"]["state"] == "damaged"
    assert "2 of 2" in invoke("runs", study).stdout


def test_no_runs(invoke: Invoke, fail: Fail, tmp_path: Path) -> None:
    assert "no run folders" in invoke("runs", tmp_path).stdout
    assert "no such folder; momok train makes" in fail("runs", tmp_path / "none")


def test_a_dry_run_trains_nothing_that_stays(
    folder: Path, invoke: Invoke, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    result = invoke("study", folder / "shifts", folder / "plan.toml", "--dry-run", "--seeds", "4,5",
                    "--variant", "complex")  # fmt: skip
    assert result.stdout.splitlines() == [
        "complex-seed4", "complex-sparse-50-seed4", "complex-seed5", "complex-sparse-50-seed5",
        "4 runs, about 1 minute on this machine",
    ]  # fmt: skip
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("nope",), "nope: no such plan: expected scenarios, ablation, baselines, seeds"),
        (("seeds", "--seeds", "1,x"), "--seeds '1,x': expected whole numbers"),
        (("seeds", "--variant", "b"), "plan seeds: there is no variant 'b'; there are default"),
        (("seeds", "--set", "model.widht=3"), "model.widht"),
        (("seeds", "--jobs", "0"), "--jobs"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path, fail: Fail, tmp_path: Path, arguments: tuple[str, ...], words: str
) -> None:
    out = tmp_path / "study"
    assert words in fail("study", folder / "shifts", *arguments, "--out", out)
    assert not out.exists()


@pytest.mark.usefixtures("finished")
def test_a_study_of_another_graph_is_refused(folder: Path, fail: Fail, tmp_path: Path) -> None:
    write_momok_folder(build_graph(seed=1), tmp_path / "other")
    line = fail("study", tmp_path / "other", folder / "plan.toml", "--out", folder / "study")
    assert "is a study of graph 'shifts'" in line


@pytest.mark.usefixtures("finished")
def test_what_failed_is_said_at_the_end(folder: Path, invoke: Invoke, tmp_path: Path) -> None:
    plan = tmp_path / "plan.toml"
    plan.write_text(PLAN + '[variants.sound]\nmodel.modalities = "structure,sound"\n')
    shutil.copytree(folder / "study", tmp_path / "study")
    result = invoke("study", folder / "shifts", plan, "--out", tmp_path / "study")
    assert result.exit_code == 2
    assert "complex" in result.stdout
    last = result.stderr.splitlines()[-1]
    assert last.startswith("momok: sound-seed0 failed, and 1 other: ")
    assert last.endswith("; the same command tries again")
    page = (tmp_path / "study" / "results" / "report.html").read_text(encoding="utf-8")
    assert "sound-seed0 failed and is missing here" in page


def test_a_search_prints_the_best_and_how_to_train_with_it(
    folder: Path, invoke: Invoke, tmp_path: Path
) -> None:
    plan = tmp_path / "rates.toml"
    settings = PLAN[PLAN.index("[settings]") : PLAN.index("[variants")]
    plan.write_text(settings + "[search.space]\ntraining.batch_size = [16, 32]\n")
    out = tmp_path / "search"
    result = invoke("study", folder / "shifts", plan, "--trials", 2, "--out", out)
    assert result.exit_code == 0, result.output
    assert "training.batch_size = " in result.stdout
    assert f"--config {out / 'best.toml'}" in result.stdout
    assert "the best so far" in result.stderr
    assert (out / "results" / "report.html").is_file()
    dry = invoke("study", folder / "shifts", plan, "--trials", 3, "--dry-run").stdout
    assert dry.splitlines()[:3] == ["trial-0000", "trial-0001", "trial-0002"]


def test_trials_are_of_a_search(folder: Path, fail: Fail) -> None:
    line = fail("study", folder / "shifts", "seeds", "--trials", 3)
    assert "--trials is for a search, and plan seeds is none" in line
