"""The clean protocol chooses on validation; the published one chooses on test, and says so."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

import momok
from momok.cli import main
from momok.errors import RunError
from momok.evaluation import Metrics
from momok.training import RunFolder, evaluate_run
from momok.training.checkpoint import load_model
from tests.training.small_training import expect_line, read_outcome, train_small

HEADS = ("structure", "image", "text", "joint", "answer")


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    return train_small(tmp_path_factory.mktemp("runs") / "clean")


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    path = tmp_path_factory.mktemp("runs") / "published"
    return train_small(path, evaluation__protocol="published")


def history(run: RunFolder, split: str) -> dict[int, dict[str, Metrics]]:
    return {
        record["epoch"]: {h: Metrics.from_json(m) for h, m in record["metrics"].items()}
        for record in run.records(split)
    }


def get_files(run: RunFolder) -> set[str]:
    return {path.name for path in (run.path / "results").iterdir()}


def test_a_clean_run_sees_test_once_after_choosing_on_validation(clean) -> None:
    assert not list(clean.records("test"))
    valid = history(clean, "valid")
    assert list(valid) == [2, 4, 6]
    assert tuple(valid[2]) == HEADS
    best = max(valid, key=lambda epoch: (valid[epoch]["answer"].mrr, -epoch))
    _, state = load_model(clean.best_checkpoint)
    mrr = valid[best]["answer"].mrr
    assert state["selected"] == {"epoch": best, "mrr": mrr, "split": "valid"}
    # the checkpoint is that of the chosen epoch: evaluated again, it gives what was logged then
    assert clean.load_evaluation("valid").overall == valid[best]
    assert clean.load_evaluation("test").protocol == "clean"
    assert get_files(clean) == {
        f"{split}{part}" for split in ("valid", "test") for part in (".json", "-ranks.safetensors")
    }


def test_a_published_run_records_test_and_chooses_by_it(published) -> None:
    test = history(published, "test")
    assert list(test) == list(history(published, "valid")) == [2, 4, 6]
    best = max(test, key=lambda epoch: (test[epoch]["answer"].mrr, -epoch))
    _, state = load_model(published.best_checkpoint)
    selected = {"epoch": best, "mrr": test[best]["answer"].mrr, "split": "test"}
    assert state["selected"] == selected


def test_published_is_the_best_of_each_metric(published) -> None:
    test = history(published, "test")
    evaluation = evaluate_run(published, protocol="published")
    assert evaluation.protocol == "published"
    assert evaluation == evaluate_run(published) == published.load_evaluation("test", "published")
    for head in HEADS:
        epochs, found = [metrics[head] for metrics in test.values()], evaluation.overall[head]
        assert found.mrr == max(m.mrr for m in epochs)
        assert found.mean_rank == min(m.mean_rank for m in epochs)
        for k in (1, 3, 10, 100):
            assert found.hits[k] == max(m.hits[k] for m in epochs)
    assert get_files(published) == {
        f"{split}-published{part}"
        for split in ("valid", "test")
        for part in (".json", "-ranks.safetensors")
    }


def test_epochs_were_ranked_by_one_tie_rule(published) -> None:
    evaluation = published.load_evaluation("test", "published")
    assert list(evaluation.by_tie_rule) == ["realistic"]
    shown = CliRunner().invoke(main, ["evaluate", str(published.path)]).stdout
    assert "PUBLISHED PROTOCOL: chosen on test" in shown
    assert "only the table by head is the best of" in shown
    assert "optimistic" not in shown


def test_a_clean_run_has_no_published_result(clean) -> None:
    before = read_outcome(clean)
    for split in ("valid", "test"):
        with expect_line(RunError, "evaluation.protocol=published", "ranked test while it trained"):
            evaluate_run(clean, split, protocol="published")
    assert read_outcome(clean) == before


def test_a_published_run_has_no_clean_result(published) -> None:
    before = read_outcome(published)
    for split in ("valid", "test"):
        with expect_line(RunError, "chose its checkpoint on test, so it has no clean result"):
            evaluate_run(published, split, protocol="clean")
    assert read_outcome(published) == before


def test_both_learn_the_same(clean, published) -> None:
    """The protocol changes what is looked at, not what is learned."""
    losses = [[r["loss"] for r in run.records("epoch")] for run in (clean, published)]
    assert losses[0] == losses[1]
    assert history(clean, "valid") == history(published, "valid")


@pytest.mark.parametrize("protocol", ["clean", "published"])
def test_an_evaluation_can_be_made_again(request, tmp_path, protocol) -> None:
    run = request.getfixturevalue(protocol)
    again = RunFolder(Path(shutil.copytree(run.path, tmp_path / "run")))
    shutil.rmtree(again.path / "results")
    for split in ("valid", "test"):
        evaluate_run(again.path, split)
    assert read_outcome(again) == read_outcome(run)


def test_an_evaluation_in_python_is_that_of_the_run(clean) -> None:
    model, _ = load_model(clean.best_checkpoint)
    evaluation = momok.evaluate(model, clean.load_graph(), "test")
    assert evaluation == clean.load_evaluation("test")
