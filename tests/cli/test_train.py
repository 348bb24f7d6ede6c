"""momok train, resume and plot."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from momok.training import RunFolder
from tests.training.small_training import drop_checksums, write_graph

Invoke = Callable[..., Result]
PLOTS = {"curves", "heads", "ranks", "groups", "presence", "relations"}
MODEL_PLOTS = {"experts", "modalities", "disentanglement", "reliability", "reliability-top"}


def test_train_prints_the_table_and_what_to_do_next(trained: tuple[Path, Result]) -> None:
    folder, result = trained
    table = result.stdout
    for word in ("structure", "image", "text", "joint", "answer", "MRR", "Hits@1", "Hits@10"):
        assert word in table
    assert "world: test" in table
    assert "tested once" in table
    assert f"Run folder: '{folder}'" in table  # quoted: the path has a blank
    assert "momok evaluate" in table
    assert "5,1" in result.stderr  # the facts, in the introduction
    run = RunFolder(folder)
    assert run.state == "finished"
    assert run.config.seed == 5
    shown = run.load_evaluation("test").overall["answer"].mrr
    assert shown is not None
    assert f"{100 * shown:.2f}" in table
    assert {path.stem for path in (folder / "plots").iterdir()} - {"times"} == PLOTS


@pytest.fixture
def shifts(tmp_path: Path) -> Path:
    """A graph of forty entities."""
    write_graph(tmp_path / "shifts")
    return tmp_path / "shifts"


def test_quiet_prints_the_run_folder_alone(invoke: Invoke, shifts: Path, tmp_path: Path) -> None:
    settings = tmp_path / "tiny.toml"
    settings.write_text(
        "[model]\nmodalities=['structure']\nstructure_width=4\nrelation_width=4\nheads='modalities'\n"
        "[training]\nepochs=1\n[runtime]\nthreads=1\n"
    )
    folder = tmp_path / "quiet"
    result = invoke("train", shifts, "--config", settings, "--run", folder, "--quiet")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{folder}\n"
    assert result.stderr == ""
    assert (folder / "plots" / "curves.png").exists()


def test_the_published_protocol_is_said_loudly(
    invoke: Invoke, shifts: Path, tmp_path: Path
) -> None:
    settings = ("model.structure_width=4", "model.relation_width=4", "training.epochs=2")
    modalities = "model.modalities=['structure']"
    more = (
        "model.heads=modalities",
        "evaluation.protocol=published",
        modalities,
        "runtime.threads=1",
    )
    pairs = [part for setting in (*settings, *more) for part in ("--set", setting)]
    result = invoke("train", shifts, *pairs, "--run", tmp_path / "published")
    assert result.exit_code == 0, result.output
    assert "PUBLISHED PROTOCOL" in result.stdout
    loud = invoke("evaluate", tmp_path / "published", "--by", "side")
    assert "PUBLISHED PROTOCOL" in loud.stdout


def test_from_a_run(invoke: Invoke, shifts: Path, tmp_path: Path) -> None:
    settings = ("model.modalities=structure", "model.structure_width=8", "training.epochs=3")
    pairs = [part for setting in (*settings, "runtime.threads=1") for part in ("--set", setting)]
    first = invoke("train", shifts, "--preset", "complex", *pairs, "--run", tmp_path / "first")
    assert first.exit_code == 0, first.output
    more = ("--from", tmp_path / "first", "--run", tmp_path / "second", "--seed", 3)
    second = invoke("train", shifts, *more)
    assert second.exit_code == 0, second.output
    said = f"starting from the model of {tmp_path / 'first'}: new entities: 0, new relations: 0"
    assert said in second.stderr
    config = RunFolder(tmp_path / "second").config
    assert (config.preset, config.seed, config.training.epochs) == ("complex", 3, 1)
    assert config.model.structure_width == 8
    refused = invoke("train", shifts, *more[:2], "--preset", "paper", "--run", tmp_path / "third")
    assert refused.exit_code == 2
    assert "preset 'paper': the settings are those of the run" in refused.stderr


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["wrold"], "did you mean world?"),
        (["world", "--set", "training.epoch=3"], "did you mean training.epochs?"),
        (["world", "--set", "training.epochs=many"], "training.epochs = 'many'"),
        (["world", "--set", "training.epochs=0"], "training.epochs = 0"),
        (["world", "--set", "epochs"], "expected section.key=value"),
        (["world", "--set", "model.modalities=['sound']"], "graph 'world' has structure"),
        (["world", "--seed", "-1"], "seed = -1"),
        (["world", "--preset", "papre"], "choose one of default, small, large, experts, paper"),
        (["world", "--config", "nowhere.toml"], "nowhere.toml: cannot be read"),
        (["world", "--config", __file__], "not valid TOML"),
    ],
)
def test_what_a_user_can_get_wrong_is_one_line(
    fail: Callable[..., str], tmp_path: Path, arguments: list[str], words: str
) -> None:
    assert words in fail("train", *arguments, "--run", tmp_path / "run", "--quiet")
    assert not (tmp_path / "run").exists()


def test_an_existing_run_folder_is_left_alone(fail: Callable[..., str], run: Path) -> None:
    before = (run / "metrics.jsonl").read_bytes()
    line = fail("train", "world", "--set", "training.epochs=1", "--run", run, "--quiet")
    assert "exists already" in line
    assert (run / "metrics.jsonl").read_bytes() == before


def test_a_run_folder_that_exists_is_told_before_anything_is_loaded(
    fail: Callable[..., str], run: Path
) -> None:
    line = fail("train", "no-such-graph", "--run", run, "--quiet")
    assert f"{run}: exists already" in line


def test_a_finished_run_cannot_be_resumed(fail: Callable[..., str], run: Path) -> None:
    assert "nothing to resume" in fail("resume", run)
    assert "no such run folder" in fail("resume", run / "nowhere")


def test_resume_ends_as_train_does(invoke: Invoke, run: Path) -> None:
    RunFolder(run).set_state("interrupted")
    (run / "plots" / "curves.png").unlink()
    before = (run / "results" / "test.json").read_bytes()
    result = invoke("resume", run)
    assert result.exit_code == 0, result.output
    assert "world: test" in result.stdout
    assert (run / "results" / "test.json").read_bytes() == before
    assert (run / "plots" / "curves.png").exists()


def test_plot_draws_again(invoke: Invoke, run: Path) -> None:
    (run / "plots" / "heads.svg").unlink()
    result = invoke("plot", run)
    assert result.exit_code == 0, result.output
    drawn = [Path(line) for line in result.stdout.splitlines()]
    assert {path.stem for path in drawn} - {"times"} == PLOTS | MODEL_PLOTS
    assert (run / "plots" / "heads.svg").exists()


def test_plot_of_a_run_without_an_epoch(fail: Callable[..., str], run: Path) -> None:
    drop_checksums(run)
    (run / "metrics.jsonl").write_bytes(b"")
    assert "nothing to draw" in fail("plot", run)
