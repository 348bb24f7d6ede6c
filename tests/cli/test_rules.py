"""``momok rules``: what it prints of a run and of a graph, and what it refuses."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from momok.cli import main
from momok.graph import load_graph
from momok.rules import RuleLimits, mine_rules
from momok.training import RunFolder

KINDS = ("one-step", "two-steps", "constant")


def ask(*arguments: object) -> Result:
    environment = {"COLUMNS": "120", "TERM": "dumb", "NO_COLOR": "1"}
    return CliRunner().invoke(main, ["rules", *map(str, arguments)], env=environment)


def say(result: Result) -> list[str]:
    """The lines of an output, each with single blanks."""
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines() if line.strip()]


def read(*arguments: object) -> dict:
    result = ask(*arguments, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_rules_of_a_graph_are_counted_on_train() -> None:
    train = set(map(tuple, load_graph("world").train.tolist()))
    borders = load_graph("world").find_relation("borders")
    facts = {(h, t) for h, r, t in train if r == borders}
    turned = sum((t, h) in facts for h, t in facts)
    lines = say(ask("world", "--relation", "borders", "--kind", "one-step", "--limit", 1))
    expected = f"borders(x, y) <- borders(y, x) one-step {turned} {len(facts)}"
    assert lines[2] == f"{expected} {turned / (len(facts) + 5):.3f}"
    assert lines[3] == "1 of 1 rules, the surest first"


def test_the_surest_come_first_and_are_as_many_as_asked_for() -> None:
    found = read("world", "--limit", 300)
    assert (found["format"], found["version"], found["graph"]) == ("momok-rules", 1, "world")
    assert len(found["rules"]) == 300 < found["count"]
    confidence = [rule["confidence"] for rule in found["rules"]]
    assert confidence == sorted(confidence, reverse=True)
    assert {rule["kind"] for rule in found["rules"]} == {"one_step", "two_steps", "constant"}
    for rule in found["rules"]:
        assert rule["confidence"] == pytest.approx(rule["support"] / (rule["cases"] + 5))
    assert len({rule["rule"] for rule in found["rules"]}) == 300
    assert read("world", "--limit", 0)["rules"] == []
    of_kinds = [read("world", "--kind", kind, "--limit", 0)["count"] for kind in KINDS]
    assert sum(of_kinds) == found["count"]


@pytest.fixture
def leaking(tmp_path: Path) -> Path:
    """A member of a club plays for it: so a test fact stands in train."""
    entities = [f"p{i}" for i in range(9)] + [f"c{i}" for i in range(3)] + ["s"]
    plays = [f"p{i} playsFor c{i % 3}" for i in range(9)]
    members = [f"p{i} memberOf c{i % 3}" for i in range(9)]
    sponsors = [f"c{i} sponsor s" for i in range(3)]
    for name, lines in {
        "entity2id": [f"{label} {i}" for i, label in enumerate(entities)],
        "relation2id": ["playsFor 0", "memberOf 1", "sponsor 2"],
        "train": [*plays, *members[:8], *sponsors],
        "valid": ["c0 sponsor p1"],
        "test": members[8:],
    }.items():
        text = "\n".join(lines).replace(" ", "\t")
        (tmp_path / f"{name}.txt").write_text(text + "\n", encoding="utf-8")
    return tmp_path


def test_leaks_are_marked(leaking: Path) -> None:
    rules = {rule["rule"]: rule["leak"] for rule in read(leaking, "--limit", 1000)["rules"]}
    assert rules["memberOf(x, y) <- playsFor(x, y)"] is True
    assert rules["playsFor(x, y) <- memberOf(x, y)"] is False  # no such fact is held out
    assert sum(rules.values()) == 1
    assert 'sponsor(x, "s") <- playsFor(_, x)' in rules
    lines = say(ask(leaking, "--kind", "one-step"))
    assert "memberOf(x, y) <- playsFor(x, y) one-step 8 9 0.571 leak" in lines
    assert lines[-1] == "leak: gives held-out facts away; momok data check says how many"


def test_a_run_shows_its_own_rules(trained: tuple[Path, Result], tmp_path: Path) -> None:
    """A run without any: those of its train facts; one with some: those of its file."""
    folder = tmp_path / "run"
    shutil.copytree(trained[0], folder)
    assert read(folder, "--limit", 5)["rules"] == read("world", "--limit", 5)["rules"]
    run = RunFolder(folder)
    graph, file = run.load_graph(), run.rules_file
    limits = RuleLimits(least_support=5)
    rules = mine_rules(graph.train, graph.num_entities, graph.num_relations, limits=limits)
    rules.save(file)
    support = [r["support"] for r in read(folder, "--kind", "constant", "--limit", 9999)["rules"]]
    assert np.min(support) == 5
    file.write_bytes(b"{}")
    result = ask(folder)
    assert result.exit_code == 2
    assert "damaged" in result.stderr


def test_what_is_not_there_is_said_in_one_line(tmp_path: Path) -> None:
    for arguments, expected in (
        (["world", "--relation", "bordes"], "did you mean borders"),
        ([tmp_path / "nowhere"], "no such folder"),
        (["world", "--kind", "two"], "'two'"),
    ):
        result = ask(*arguments)
        assert result.exit_code == 2
        assert expected in result.stderr
        assert "Traceback" not in result.stderr
