"""Searching settings: trials are runs, their history survives, test is never looked at."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from momok.config import resolve_config
from momok.errors import ConfigError, RunError
from momok.evaluation import ANSWER
from momok.progress import Reporter
from momok.reporting.study.search import write_search
from momok.studies import Plan, Search, load_plan, search, study
from momok.studies.plan import build_plan
from momok.training import RunFolder
from tests.studies.small_study import STRUCTURE, make_plan
from tests.studies.test_study import Stopper
from tests.training.small_training import build_graph, expect_line

SPACE = {
    "training.learning_rate": {"low": 0.001, "high": 0.3, "log": True},
    "training.batch_size": {"low": 16, "high": 64, "step": 16},
    "model.decoder": ["complex", "distmult"],
}
VALIDATED = {"training.epochs": 4, "training.validate_every": 1, "evaluation.pool": "equal"}


def make_search(trials: int = 7, **changes: Any) -> Plan:
    """Two decoders, a rate and a batch size."""
    plan = make_plan(variants={"trial": {"settings": STRUCTURE | VALIDATED}}, seeds=[3])
    space = {"trials": trials, "space": SPACE} | changes
    return build_plan(plan.model_dump() | {"search": space})


def run_search(folder: Path, trials: int = 7, **changes: Any) -> Search:
    """One trial after the other."""
    progress: bool | Reporter = changes.pop("progress", False)
    return search(build_graph(), make_search(trials, **changes), out=folder, jobs=1,
                  progress=progress)  # fmt: skip


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Search:
    """A finished search."""
    return run_search(tmp_path_factory.mktemp("searches") / "search")


def test_trials_are_runs_within_the_space(found: Search) -> None:
    frame = found.to_frame()
    assert frame["trial"].to_list() == list(range(7))
    assert set(frame["state"]) <= {"complete", "pruned"}
    assert frame.filter(frame["state"] == "complete").height >= 5
    for row in frame.iter_rows(named=True):
        assert 0.001 <= row["training.learning_rate"] <= 0.3
        assert row["training.batch_size"] in (16, 32, 48, 64)
        run = found.path / "runs" / f"trial-{row['trial']:04}"
        if row["state"] == "pruned":  # given up, and gone
            assert not run.exists()
            continue
        config = RunFolder(run).config
        assert config.seed == 3
        assert config.training.learning_rate == row["training.learning_rate"]
        assert config.training.batch_size == row["training.batch_size"]
        assert config.model.decoder == row["model.decoder"]
        assert row["valid_mrr"] == RunFolder(run).load_evaluation("valid").overall[ANSWER].mrr
        assert not list(run.glob("results/test*"))


def test_the_best_trial_is_a_file_to_train_with(found: Search) -> None:
    page = write_search(found)
    frame = found.to_frame()
    complete = frame.filter(frame["state"] == "complete").sort("valid_mrr")
    best = complete.row(-1, named=True)
    assert found.best.items() >= {name: best[name] for name in SPACE}.items()
    assert f"best MRR on validation {best['valid_mrr']:.4f}" in repr(found)
    assert all(f">{name}<" in found._repr_html_() for name in SPACE)
    config = resolve_config(file=found.path / "best.toml")
    assert config.training.learning_rate == best["training.learning_rate"]
    assert config.training.epochs == 4
    assert config.model.modalities == ("structure",)
    names = {path.name for path in page.parent.iterdir()}
    assert names >= {"report.html", "trials.csv", "trials.parquet", "history.png", "history.svg"}
    text = page.read_text(encoding="utf-8")
    for words in ("Search small", "shifts", "trials<", "Nothing was looked at on test"):
        assert words in text
    shares = found.importances()
    assert set(shares) <= set(SPACE)
    assert sum(shares.values()) == pytest.approx(1)


def test_stopped_and_gone_on_with_is_the_same(found: Search, tmp_path: Path) -> None:
    stopper = Stopper()
    with pytest.raises(KeyboardInterrupt):
        run_search(tmp_path / "search", progress=stopper)
    assert "the same call goes on" in stopper.said[-1]
    again = run_search(tmp_path / "search")
    assert again.to_frame().equals(found.to_frame())
    assert not again.to_frame()["state"].is_in(["running"]).any()


def test_more_trials_only_add(tmp_path: Path) -> None:
    first = run_search(tmp_path / "search", trials=1).to_frame()
    more = run_search(tmp_path / "search", trials=2, sampler="random").to_frame()
    assert more.head(1).equals(first)
    assert more.height == 2


def test_trials_of_other_settings_are_not_mixed(found: Search) -> None:
    with expect_line(RunError, "its trials are of a plan with other search;"):
        run_search(found.path, space={"training.batch_size": [8, 16]})
    changed = make_search().select(settings={"training.epochs": 3})
    with expect_line(RunError, "its trials are of a plan with other settings;"):
        search(build_graph(), changed, out=found.path, progress=False)


def test_a_trial_that_fails_is_one_of_them(tmp_path: Path) -> None:
    space = {"model.modalities": ["structure,sound"]}
    failed = run_search(tmp_path / "search", trials=1, space=space)
    assert failed.to_frame()["state"].to_list() == ["fail"]
    with expect_line(RunError, "no trial of this search is complete"):
        _ = failed.best


BAD = [
    ({"space": {"model.widht": [1, 2]}}, "unknown setting 'model.widht'"),
    ({"space": {"training.epochs": {"low": 0, "high": 5}}}, "training.epochs"),
    ({"space": {"training.epochs": {"low": 5, "high": 5}}}, "low < high"),
    ({"space": {"training.epochs": {"low": 0, "high": 5, "log": True}}}, "log needs low above 0"),
    ({"space": {}}, "space"),
    ({"trials": 0}, "trials"),
    ({"sampler": "grid"}, "sampler"),
]


@pytest.mark.parametrize(("changes", "words"), BAD)
def test_a_space_that_does_not_fit(tmp_path: Path, changes: dict[str, Any], words: str) -> None:
    with expect_line(ConfigError, words):
        run_search(tmp_path / "search", **changes)
    assert not (tmp_path / "search").exists()


def test_searches_and_studies_are_not_mixed_up(tmp_path: Path) -> None:
    with expect_line(ConfigError, "is a search; momok.studies.search runs it"):
        study(build_graph(), make_search(), out=tmp_path / "a", progress=False)
    with expect_line(ConfigError, "has no [search.space]"):
        search(build_graph(), make_plan(), out=tmp_path / "b", progress=False)
    with expect_line(ConfigError, "a search has one variant"):
        build_plan(make_plan().model_dump() | {"search": {"space": SPACE}})
    plan = load_plan("search")
    assert plan.search
    assert set(plan.search.space) >= {"training.learning_rate", "model.structure_width"}
