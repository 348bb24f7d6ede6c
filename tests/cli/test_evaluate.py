"""momok evaluate."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from click.testing import Result

from momok.evaluation import Evaluation
from momok.training import RunFolder

Invoke = Callable[..., Result]


def test_the_default_tables(invoke: Invoke, run: Path) -> None:
    result = invoke("evaluate", run)
    assert result.exit_code == 0, result.output
    for words in (
        *("world: test", "optimistic", "pessimistic", "realistic", "N-1", "seen"),
        *("tail (h, r, ?)", "head (?, r, t)", "chosen on validation", "results"),
    ):
        assert words in result.stdout
    assert "By relation" not in result.stdout


def test_json_is_the_evaluation_and_nothing_else(invoke: Invoke, run: Path) -> None:
    (run / "results" / "valid.json").unlink()
    result = invoke("evaluate", run, "--split", "valid", "--json")
    assert result.exit_code == 0, result.output
    evaluation = Evaluation.from_json(json.loads(result.stdout))
    assert evaluation.split == "valid"
    assert evaluation == RunFolder(run).load_evaluation("valid")


@pytest.mark.parametrize(
    ("grouping", "words"),
    [
        ("head", "world: test"),
        ("side", "By side"),
        ("relation", "written in"),
        ("cardinality", "N-N"),
        ("presence", "image: answer absent"),
        ("seen", "seen"),
        ("ties", "optimistic"),
    ],
)
def test_one_grouping(invoke: Invoke, run: Path, grouping: str, words: str) -> None:
    result = invoke("evaluate", run, "--by", grouping)
    assert result.exit_code == 0, result.output
    assert words in result.stdout
    assert result.stdout.count("metrics of the answer") == (grouping != "head")
    answer = RunFolder(run).load_evaluation("test").overall["answer"].mrr
    assert answer is not None
    if grouping in {"head", "ties"}:
        assert f"{100 * answer:.2f}" in result.stdout


def test_a_narrow_terminal_keeps_the_answer(invoke: Invoke, run: Path) -> None:
    result = invoke("evaluate", run, "--by", "side", columns=80)
    assert max(map(len, result.stdout.splitlines()[:-1])) <= 80
    assert "Hits@10" in result.stdout
    assert "joint" not in result.stdout


def test_the_published_protocol_needs_a_run_trained_under_it(
    fail: Callable[..., str], run: Path
) -> None:
    assert "evaluation.protocol=published" in fail("evaluate", run, "--protocol", "published")


def test_a_missing_run(fail: Callable[..., str], tmp_path: Path) -> None:
    assert "no such run folder" in fail("evaluate", tmp_path / "nowhere")
    assert "not a complete run folder" in fail("evaluate", tmp_path)


def test_a_corrupt_checkpoint(fail: Callable[..., str], run: Path) -> None:
    checkpoint = run / "checkpoints" / "best.safetensors"
    content = checkpoint.read_bytes()
    for damaged in (content[: len(content) // 2], b"\x80\x04 a pickle", b""):
        checkpoint.write_bytes(damaged)
        assert "best.safetensors" in fail("evaluate", run)
    checkpoint.unlink()
    assert "best.safetensors" in fail("evaluate", run)


def test_relations(invoke: Invoke, run: Path) -> None:
    result = invoke("evaluate", run, "--task", "relations")
    assert result.exit_code == 0, result.output
    assert "world: relations, test, 657 facts" in result.stdout
    written = json.loads((run / "results" / "relations-test.json").read_text())
    assert f"{100 * written['overall']['mrr']:.2f}" in result.stdout
    assert f"{100 * written['counts_alone']['mrr']:.2f}" in result.stdout
    shown = invoke("evaluate", run, "--task", "relations", "--json")
    assert json.loads(shown.stdout) == written


def test_classification(invoke: Invoke, run: Path) -> None:
    result = invoke("evaluate", run, "--task", "classification", "--split", "valid")
    assert result.exit_code == 0, result.output
    written = json.loads((run / "results" / "classification-valid.json").read_text())
    assert set(written) == {"any", "typed"}
    for found in written.values():
        assert f"{100 * found['overall']['accuracy']:.1f}" in result.stdout


@pytest.mark.parametrize("option", [("--by", "relation"), ("--protocol", "published")])
def test_options_of_links_alone(fail: Callable[..., str], run: Path, option: tuple[str]) -> None:
    said = fail("evaluate", run, "--task", "relations", *option)
    assert f"{option[0]} is of --task links" in said


def test_answers_among_some_entities_are_kept_apart(
    invoke: Invoke, run: Path, tmp_path: Path
) -> None:
    before = {path.name: path.read_bytes() for path in (run / "results").iterdir()}
    result = invoke("evaluate", run, "--among-tails", "country", "--json")
    assert result.exit_code == 0, result.output
    evaluation = Evaluation.from_json(json.loads(result.stdout))
    folder = RunFolder(run)
    graph = folder.load_graph()
    countries = [i for i, kind in enumerate(graph.entity_types) if kind == "country"]
    others = int((~np.isin(graph.test[:, 2], countries)).sum())
    assert evaluation.candidates["tail"].left_out == others
    assert evaluation.by_side["tail"]["answer"].count == len(graph.test) - others
    assert evaluation.by_side["head"] == folder.load_evaluation("test").by_side["head"]
    after = {path.name: path.read_bytes() for path in (run / "results").iterdir()}
    assert before.items() <= after.items()
    assert set(after) - set(before) == {"test-among.json", "test-among-ranks.safetensors"}
    (tmp_path / "list.txt").write_text("France\nJapan\n")
    result = invoke("evaluate", run, "--among", tmp_path / "list.txt", "--by", "head")
    assert result.exit_code == 0, result.output
    words = " ".join(result.stdout.split())
    assert "heads were ranked among the 2 entities of a list alone" in words


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--among", "citty"), "did you mean city"),
        (("--among", "city", "--among-heads", "city"), "give --among for both sides, or"),
        (("--task", "relations", "--among", "city"), "--among is of --task links"),
    ],
)
def test_entities_that_cannot_be_ranked_among(
    fail: Callable[..., str], run: Path, options: tuple[str, ...], message: str
) -> None:
    assert message in fail("evaluate", run, *options)
