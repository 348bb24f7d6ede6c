"""The preset ``pool`` on the world graph, from training to answers."""

from __future__ import annotations

import html
import re
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
from click.testing import CliRunner
from rich.console import Console
from starlette.testclient import TestClient

from momok.cli import main
from momok.cli.views.explanation import show_explanation
from momok.config import resolve_config
from momok.errors import CheckpointError, ConfigError
from momok.graph import load_graph
from momok.prediction import NewEntity, Predictor, explain_model
from momok.prediction.calibration.fit import calibrate_run
from momok.reporting.report import write_report
from momok.rules import KINDS
from momok.serving.app import create_app
from momok.serving.settings import ServeSettings
from momok.training import RunFolder, evaluate_run, resume, train
from momok.training.checkpoint import read_checkpoint, write_checkpoint


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> RunFolder:
    overrides = {
        "training.epochs": 4,
        "model.structure_width": 64,
        "model.modalities": ("structure", "text"),
    }
    config = resolve_config("default", overrides=overrides)
    path = tmp_path_factory.mktemp("runs") / "world"
    return train("world", config, run=path, progress=False)


def test_the_pool_is_not_worse_than_its_best_head(run: RunFolder) -> None:
    found = {name: m.mrr for name, m in evaluate_run(run, "valid").overall.items()}
    heads = [found[head] for head in ("structure", "text")]
    assert all(mrr is not None for mrr in heads)
    answer = found["answer"]
    assert answer is not None
    assert answer > max(mrr for mrr in heads if mrr is not None)


def test_answers_are_probabilities_with_a_part_of_the_rules(run: RunFolder) -> None:
    predictor = Predictor(run)
    assert predictor.modalities == ("structure", "text")
    assert predictor.parts == ("structure", "text", "rules")
    count = predictor.graph.num_entities
    [found] = predictor.predict_many([("Greece", "borders", None)], k=count)
    itself = predictor.score_facts([("Greece", "borders", "Greece")]).answer[0]
    assert sum(answer.score for answer in found) + itself == pytest.approx(1.0, abs=1e-4)
    for answer in found:
        assert sum(answer.shares.values()) == pytest.approx(1.0)
    assert found[0].shares["rules"] > 0
    first = found[0]
    facts = [("Greece", "borders", first.label)]
    assert predictor.score_facts(facts).answer[0] == pytest.approx(first.score, rel=1e-5)
    why = predictor.explain("Greece", "borders", first.label)
    assert why.probability == pytest.approx(first.score, rel=1e-5)
    assert [part.name for part in why.modalities] == ["structure", "text", "rules"]
    assert sum(part.share for part in why.modalities) == pytest.approx(1.0)


@pytest.mark.parametrize("asked", ["tail", "head"])
def test_an_answer_is_explained_by_the_rules_that_speak_for_it(
    run: RunFolder, asked: Literal["tail", "head"]
) -> None:
    predictor = Predictor(run)
    graph = predictor.graph
    why = predictor.explain("Greece", "member of", "United Nations", asked=asked, limit=1000)
    assert why.rules
    assert why.rule_count == len(why.rules) > 3
    train = set(map(tuple, graph.train.tolist()))
    for rule in why.rules:
        for fact in rule.facts:
            ids = [graph.entities.index(fact.head.label), graph.entities.index(fact.tail.label)]
            ids.insert(1, graph.relations.index(fact.relation.label))
            assert tuple(ids) in train
            assert str(fact) in rule.reason
        assert rule.reason.endswith(f"(holds in {rule.support:,} of {rule.cases:,} cases in train)")
        assert not rule.leak
    relation = graph.find_relation("member of")
    sides = graph.find_entity("Greece"), graph.find_entity("United Nations")
    entity, answer = sides if asked == "tail" else sides[::-1]
    query = relation + (graph.num_relations if asked == "head" else 0)
    assert predictor.scorer.pool is not None
    assert predictor.scorer.pool.rules is not None
    found = predictor.scorer.pool.rules.find_evidence(np.array([entity]), np.array([query]))
    evidence = found.values[:, found.columns == answer][:, 0]
    for kind, value in zip(KINDS, evidence, strict=True):
        weights = [rule.weight for rule in why.rules if rule.kind == kind]
        assert sum(weights) == pytest.approx(value, rel=1e-5)
    few = predictor.explain("Greece", "member of", "United Nations", asked=asked, limit=2)
    assert (few.rules, few.rule_count) == (why.rules[:2], why.rule_count)


def test_terminal_page_and_report_show_the_same_rules(run: RunFolder, tmp_path: Path) -> None:
    fact = ("Greece", "member of", "United Nations")
    why = Predictor(run).explain(*fact)
    assert why.rules
    environment = {"COLUMNS": "400", "TERM": "dumb", "NO_COLOR": "1"}
    result = CliRunner().invoke(main, ["explain", str(run.path), *fact], env=environment)
    assert f"Rules that speak for it  5 of {why.rule_count}" in result.stdout
    leaking = replace(why, rules=(replace(why.rules[0], leak=True),))
    console = Console(width=400)
    with console.capture() as capture:
        console.print(show_explanation(leaking))
    assert "a leak: it gives held-out facts away" in capture.get()
    reviews = f"sqlite:///{tmp_path / 'reviews.sqlite'}"
    settings = ServeSettings(run=run.path, reviews=reviews, threads=1, watch_seconds=0)
    with TestClient(create_app(settings), base_url="http://localhost") as client:
        names = dict(zip(("head", "relation", "tail"), fact, strict=True))
        page = html.unescape(client.get("/why", params=names).text)
        answer = client.post("/api/v1/explain", json=names).json()
    assert f'<span class="quiet-text">5 of {why.rule_count}</span>' in page
    for rule in why.rules:
        assert rule.reason in result.stdout
        assert rule.rule in result.stdout
        assert rule.rule in page
        assert f"holds in {rule.support} of {rule.cases} cases in train" in page
    assert [rule["reason"] for rule in answer["rules"]] == [rule.reason for rule in why.rules]
    report = write_report([run.path], out=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "First answer: because" in report


def test_probabilities_of_a_pool_are_those_of_shares_and_rise_with_the_score(
    run: RunFolder,
) -> None:
    calibrate_run(run)
    predictor = Predictor(run)
    graph = predictor.graph
    count = graph.num_entities
    [found] = predictor.predict_many([("Greece", "borders", None)], k=count)
    known = [answer.score for answer in found if answer.known in ("train", "valid")]
    assert known
    assert predictor.calibration is not None
    fitted = predictor.calibration.outputs["answer"].map
    itself = predictor.score_facts([("Greece", "borders", "Greece")]).answer[0]
    rest = 1 - sum(known) - itself
    scores = np.array([answer.score for answer in found])
    share = scores / rest
    logits = np.log(share) - np.log(np.maximum(1 - share, 1e-3))
    probabilities = np.array([answer.probability for answer in found], dtype=float)
    assert probabilities == pytest.approx(fitted.apply_to_logits(logits), rel=1e-3)
    rising = scores[:-1] > scores[1:]
    assert (np.diff(probabilities)[rising] < 0).all()
    facts = [("Greece", "borders", answer.label) for answer in found[:5]]
    assert predictor.score_facts(facts).probability == pytest.approx(probabilities[:5], rel=1e-5)
    why = predictor.explain(*facts[0])
    assert why.calibrated == pytest.approx(probabilities[0], rel=1e-5)


def test_the_report_says_how_sure_the_best_answers_of_a_pool_are(
    run: RunFolder, tmp_path: Path
) -> None:
    calibrate_run(run)
    page = write_report([run.path], out=tmp_path / "page.html").read_text(encoding="utf-8")
    [asked] = re.findall(
        r"of the best answers to <data value=\"([\d.]+)\"[^>]*>[\d,]+</data> questions", page
    )
    assert float(asked) > 0


def test_a_run_killed_before_the_fit_is_completed(run: RunFolder) -> None:
    before = run.pool_file.read_bytes(), run.rules_file.read_bytes()
    run.pool_file.unlink()
    run.rules_file.unlink()
    run.set_state("trained")
    resume(run.path, progress=False)
    assert (run.pool_file.read_bytes(), run.rules_file.read_bytes()) == before


def test_a_damaged_pool_is_one_line(run: RunFolder) -> None:
    kept = run.pool_file.read_bytes()
    damaged = bytearray(kept)
    damaged[-3] ^= 255
    try:
        run.pool_file.write_bytes(bytes(damaged))
        with pytest.raises(CheckpointError, match=r"pool\.safetensors"):
            Predictor(run)
    finally:
        run.pool_file.write_bytes(kept)
    assert np.isfinite(evaluate_run(run).overall["answer"].mrr or np.nan)


def test_without_its_pool_a_finished_run_gives_no_answers(run: RunFolder, tmp_path: Path) -> None:
    kept, elsewhere = run.pool_file, tmp_path / "pool.safetensors"
    kept.rename(elsewhere)
    try:
        for ask in (Predictor, evaluate_run):
            with pytest.raises(CheckpointError, match=r"pool\.safetensors: .*train again"):
                ask(run)
        run.set_state("trained")
        with pytest.raises(CheckpointError, match="momok resume"):
            Predictor(run)
        run.set_state("training")
        assert Predictor(run).parts == ("structure", "text")
    finally:
        elsewhere.rename(kept)
        run.set_state("finished")


def test_a_pool_of_another_checkpoint_is_refused(run: RunFolder) -> None:
    kept = run.pool_file.read_bytes()
    tensors, state = read_checkpoint(run.pool_file)
    try:
        write_checkpoint(run.pool_file, tensors, state | {"selected": {"epoch": 99}})
        with pytest.raises(CheckpointError, match="another checkpoint; restore it"):
            Predictor(run)
    finally:
        run.pool_file.write_bytes(kept)


def test_the_model_is_explained_by_its_parts(run: RunFolder) -> None:
    learned = explain_model(run)
    assert learned.modalities == ("structure", "text")
    assert learned.parts == ("structure", "text", "rules")
    shares = learned.shares["tail"][learned.queries["tail"] > 0]
    assert shares.shape[1] == 3
    np.testing.assert_allclose(shares.sum(axis=1), 1.0)
    assert shares[:, 2].max() > 0.1
    plain = learned.to_json()
    assert plain["parts"] == ["structure", "text", "rules"]
    assert list(plain["relations"][0]["shares"]["tail"]) == plain["parts"]


def test_explanations_name_the_rules(run: RunFolder) -> None:
    def show(*what: str) -> list[list[str]]:
        result = CliRunner().invoke(main, ["explain", str(run.path), *what])
        assert result.exit_code == 0, result.output
        return [line.split() for line in result.output.splitlines()]

    assert ["relation", "structure", "text", "rules"] in show("--model")
    assert [row[0] for row in show("France", "borders", "Spain") if row[-2:] == ["yes", "yes"]] == [
        "structure",
        "text",
        "rules",
    ]


def test_the_report_shows_the_share_of_rules(run: RunFolder, tmp_path: Path) -> None:
    page = write_report([run.path], out=tmp_path / "page.html").read_text(encoding="utf-8")
    assert "Modalities by relation" in page
    assert "Experts by relation" not in page  # one expert has nothing to weigh


def test_new_entities_have_no_rules(run: RunFolder) -> None:
    world = load_graph("world")
    vector = world.features["text"].matrix[world.entities.index("country:DE")]
    predictor = Predictor(run)
    found = predictor.predict_new(NewEntity(vectors={"text": vector}), relation="borders")
    assert len(found) == 10
    for answer in found:
        assert answer.shares == {"structure": 0.0, "text": pytest.approx(1.0), "rules": 0.0}


def test_only_probabilities_are_pooled() -> None:
    config = resolve_config("experts", overrides={"evaluation.pool": "heads"})
    with pytest.raises(ConfigError, match=r"evaluation\.pool = heads"):
        train("world", config, progress=False)
