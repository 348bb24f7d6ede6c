"""``momok explain``: what it prints of a fact and of a model, and what it refuses."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from momok.cli import main
from momok.cli.views import format_probability
from momok.prediction import Predictor, explain_model
from momok.training import RunFolder
from tests.cli.test_predict import HOSTILE, hostile_run
from tests.prediction.trained_run import train_small_run

__all__ = ["hostile_run"]

FACT = ("France", "borders", "Spain")
PAGE = Path(__file__).parents[2] / "docs" / "explanations.md"


@pytest.fixture(scope="module")
def run(trained: tuple[Path, Result]) -> RunFolder:
    return RunFolder(trained[0])


@pytest.fixture(scope="module")
def predictor(run: RunFolder) -> Predictor:
    return Predictor(run)


def ask(*arguments: object, columns: int = 100) -> Result:
    environment = {"COLUMNS": str(columns), "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(main, ["explain", *map(str, arguments)], env=environment)


def say(result: Result) -> list[str]:
    """The lines of an output, each with single blanks."""
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_a_fact_on_a_terminal(run: RunFolder, predictor: Predictor) -> None:
    lines = say(ask(run.path, *FACT))
    explanation = predictor.explain(*FACT)
    assert lines[0] == "France — borders → Spain"
    assert lines[1] == "country:FR borders country:ES"
    assert any(x.startswith(f"probability {explanation.probability:.4f}") for x in lines)
    assert any(x.startswith(f"rank {explanation.rank:,} of ") for x in lines)
    assert "known test: held out from training" in lines
    for part in explanation.heads:
        calibrated = "" if part.calibrated is None else f"{format_probability(part.calibrated)} "
        start = f"{part.name} {part.probability:.4f} {calibrated}{100 * part.share:.0f}%"
        assert any(line.startswith(start) for line in lines)
    assert explanation.fusion is not None
    for modality in explanation.modalities:
        query, candidate = (
            100 * side[modality.name]
            for side in (explanation.fusion.query, explanation.fusion.candidate)
        )
        end = f"{query:.0f}% {candidate:.0f}% yes yes"
        assert any(x.startswith(modality.name) and x.endswith(end) for x in lines)
    gates = explanation.experts["image"]
    assert gates.relation_average is not None
    for expert in range(3):
        query, average, candidate = (
            f"{100 * weights[expert]:.0f}%"
            for weights in (gates.query_gates, gates.relation_average, gates.candidate_gates)
        )
        found = next(x.split() for x in lines if x.startswith(f"image {expert + 1} "))
        assert [found[2], *found[-2:]] == [query, average, candidate]
    assert any(x.startswith("text cosine of its features (place among 2,172)") for x in lines)
    like = explanation.evidence["text"].like_tail
    assert like
    shown = f"{like[0].entity.title} {like[0].similarity:.2f} ({like[0].rank:,})"
    assert shown in " ".join(lines)
    assert f"Train facts about France 5 of {explanation.head_fact_count}" in lines
    assert any(x.startswith("picture of France ") and x.endswith("fr.png") for x in lines)


def test_small_probabilities_are_not_shown_as_none() -> None:
    values = (0.0, 1e-9, 0.00004, 0.00006, 0.12345, 1.0)
    shown = ["0.0000", "<0.0001", "<0.0001", "0.0001", "0.1235", "1.0000"]
    assert [format_probability(value) for value in values] == shown


def test_an_entity_without_a_picture(run: RunFolder) -> None:
    lines = say(ask(run.path, "country:FR", "capital", "city:FR/Paris", "--limit", 2))
    assert any(line.startswith("image ") and line.endswith(" yes no") for line in lines)
    assert "like Paris has no image of its own" in lines
    assert "known train: the model learned from this fact" in lines


def test_the_other_question(run: RunFolder, predictor: Predictor) -> None:
    lines = say(ask(run.path, *FACT, "--asked", "head"))
    explanation = predictor.explain(*FACT, asked="head")
    assert any(x.startswith(f"probability {explanation.probability:.4f}") for x in lines)
    assert any("candidates for the head" in line for line in lines)
    assert any(line.startswith("query: Spain under borders; ") for line in lines)


def test_json_of_a_fact(run: RunFolder, predictor: Predictor) -> None:
    result = ask(run.path, *FACT, "--json", "--limit", 7)
    assert result.stderr == ""
    value = json.loads(result.stdout)
    head = [value.pop(key) for key in ("format", "version", "graph", "run")]
    assert head == ["momok-explanation", 1, "world", str(run.path)]
    assert value == predictor.explain(*FACT, limit=7).to_json()


def list_keys(value: object) -> set[str]:
    """The keys of records in JSON, at any depth; modalities are no keys of records."""
    if isinstance(value, list):
        return set().union(*map(list_keys, value))
    if not isinstance(value, dict):
        return set()
    return set(value).union(*map(list_keys, value.values())) - {"structure", "image", "text"}


@pytest.mark.parametrize("arguments", [FACT, ("--model",)])
def test_every_key_is_documented(run: RunFolder, arguments: tuple[str, ...]) -> None:
    page = PAGE.read_text(encoding="utf-8")
    described = set(re.findall(r"\w+", page[page.index("## JSON") :]))
    assert list_keys(json.loads(ask(run.path, *arguments, "--json").stdout)) <= described


def test_a_model_on_a_terminal(run: RunFolder, predictor: Predictor) -> None:
    lines = say(ask(run.path, "--model", columns=130))
    explained = explain_model(predictor)
    row = explained.list_relations()[0]
    name = explained.relations[row].name
    for side, question in (("tail", "(h, r, ?)"), ("head", "(?, r, t)")):
        title = lines.index(f"world: experts by relation, {question}")
        first = next(line for line in lines[title:] if line.startswith(name))
        assert f" {explained.queries[side][row]:,} " in first
        for gates in explained.experts.values():
            best = gates[side][row].argmax()
            assert f" {best + 1} {100 * gates[side][row][best]:.0f}%" in first
    assert "world: modalities by relation" in lines
    shares = explained.average_shares()[row]
    fusion = explained.average_fusion()
    assert fusion is not None
    expected = [f"{100 * weight:.0f}%" for weight in (*shares, *fusion[row])]
    assert any(x.startswith(name) and x.split()[-6:] == expected for x in lines)
    cka = explained.cka["text"]
    mean = (cka.sum() - 3) / 6
    assert any(line.startswith(f"text {mean:.2f} ") for line in lines)
    assert any(line.startswith("CLUB estimate in training") for line in lines)


@pytest.mark.parametrize("columns", [80, 130])
def test_relations_are_named_on_any_terminal(run: RunFolder, columns: int) -> None:
    lines = ask(run.path, "--model", columns=columns).stdout.splitlines()
    assert max(map(len, lines)) <= columns
    tables = [line for line in lines if line.startswith("world: experts by relation")]
    assert len(tables) == 2


def test_json_of_a_model(run: RunFolder, predictor: Predictor) -> None:
    value = json.loads(ask(run.path, "--model", "--json").stdout)
    head = [value.pop(key) for key in ("format", "version", "graph", "run")]
    assert head == ["momok-model-explanation", 1, "world", str(run.path)]
    expected = explain_model(predictor).to_json()
    expected.pop("graph")
    assert value == expected


def test_one_expert_and_no_joint_head(tmp_path: Path) -> None:
    settings = {"model__heads": "modalities", "model__experts": 1, "training__epochs": 1}
    run = train_small_run(tmp_path / "run", **settings)
    text = ask(run.path, *FACT).stdout
    assert "expert " not in text
    assert "attention" not in text
    text = ask(run.path, "--model").stdout
    assert "No CLUB estimate" in text
    assert "how alike" not in text


def test_a_terminal_without_block_characters(run: RunFolder) -> None:
    environment = {"COLUMNS": "100", "TERM": "dumb", "NO_COLOR": "1"}
    runner = CliRunner(charset="ascii")
    for arguments in (FACT, ("--model",)):
        result = runner.invoke(main, ["explain", str(run.path), *arguments], env=environment)
        assert result.exit_code == 0, result.output
        drawn = result.stdout_bytes.decode("ascii")
        assert "\\u25" not in drawn  # a block
        assert ("####" in drawn) == (arguments == FACT)


def test_a_graph_that_is_gone_or_elsewhere(run: RunFolder, tmp_path: Path) -> None:
    text = " ".join(say(ask(run.path, *FACT, "--graph", tmp_path / "gone")))
    assert "the graph of this run cannot be read" in text
    assert "text cosine of trained vectors" in text
    assert "picture of" not in text
    assert "cannot be read" not in ask(run.path, *FACT, "--graph", "world").stdout


def test_hostile_names_are_shown_and_not_obeyed(hostile_run: RunFolder) -> None:
    relation = hostile_run.load_graph().relations.labels[0]
    for i, label in enumerate(HOSTILE[:-1]):
        result = ask(hostile_run.path, "--", label, relation, HOSTILE[i + 1])
        assert result.exit_code == 0, result.output
        assert "\x1b" not in result.stdout
        assert "\u202e" not in result.stdout
        as_json = ask(hostile_run.path, "--json", "--", label, relation, HOSTILE[i + 1])
        assert "\x1b" not in as_json.stdout
        assert json.loads(as_json.stdout)["head"]["label"] == label
    model = ask(hostile_run.path, "--model")
    assert model.exit_code == 0, model.output
    assert "\x1b" not in model.stdout
    assert "[blink]to" in model.stdout


def test_what_is_refused(fail: Callable[..., str], run: RunFolder, tmp_path: Path) -> None:
    path = run.path
    assert "give HEAD, RELATION and TAIL of a fact, or --model" in fail("explain", path)
    assert "or --model" in fail("explain", path, "France", "borders")
    assert "or --model" in fail("explain", path, *FACT, "--model")
    assert "did you mean France" in fail("explain", path, "Frnace", "borders", "Spain")
    assert "did you mean borders" in fail("explain", path, "France", "bordrs", "Spain")
    assert "give one of the labels" in fail("explain", path, "Hamilton", "city in", "Canada")
    assert "--limit" in fail("explain", path, *FACT, "--limit", -1)
    assert "no such run folder" in fail("explain", tmp_path / "nothing", *FACT)
