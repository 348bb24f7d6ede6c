"""Two models side by side: the ranks are those of each, and graphs that differ are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest
from starlette.testclient import TestClient

import momok
from momok.config import resolve_config
from momok.errors import ConfigError
from momok.prediction import Predictor
from momok.serving.beside import compare_answers, compare_queues
from momok.serving.proposals import Mirrors, Proposal, rank_new_facts
from momok.serving.service import Service
from momok.serving.settings import ServeSettings
from tests.serving.parsed_page import check
from tests.serving.served_run import SETTINGS, write_graph

Serve = Callable[..., TestClient]


@pytest.fixture(scope="module")
def second_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same graph, its entities in another order, and another seed."""
    folder = tmp_path_factory.mktemp("second")
    write_graph(folder / "graph")
    header, *lines = (folder / "graph/entities.tsv").read_text(encoding="utf-8").splitlines(True)
    (folder / "graph/entities.tsv").write_text("".join([header, *reversed(lines)]), "utf-8")
    config = resolve_config(overrides=SETTINGS | {"seed": 5, "model.modalities": ["structure"]})
    graph = momok.load_graph(folder / "graph").with_features({})
    return momok.train(graph, config, run=folder / "second", progress=False).path


@pytest.fixture
def compared(serve: Serve, second_run: Path) -> TestClient:
    return serve(beside=second_run)


@pytest.mark.parametrize("known", ["mark", "hide"])
def test_ranks_are_those_of_each_model(
    compared: TestClient, second_run: Path, hostile_run: Path, known: str
) -> None:
    asked = {"head": "q:france", "relation": "borders", "k": 3, "known": known}
    answer = compared.post("/api/v1/compare", json=asked).json()
    assert answer["models"] == [hostile_run.name, "second"]
    expected = [
        {
            p.label: p
            for p in Predictor(run).predict(
                head="q:france",
                relation="borders",
                k=1000,
                known=known,  # type: ignore[arg-type]
            )
        }
        for run in (hostile_run, second_run)
    ]
    first = {label for model in expected for label, p in model.items() if p.rank <= 3}
    assert {a["label"] for a in answer["answers"]} == first
    for row in answer["answers"]:
        for said, model in zip(row["models"], expected, strict=True):
            assert said["rank"] == model[row["label"]].rank
            assert said["value"] == pytest.approx(model[row["label"]].score, rel=1e-5)
    best = [min(said["rank"] for said in row["models"]) for row in answer["answers"]]
    assert best == sorted(best)


def test_the_page_of_a_question(compared: TestClient) -> None:
    service: Service = compared.app.state.service  # type: ignore[attr-defined]
    assert service.beside is not None
    page = compared.get("/beside", params={"head": "q:france", "relation": "borders"})
    assert page.status_code == 200
    check(page.text)
    pairs = compare_answers(
        service.model, service.beside, ("q:france", "borders", None), 20, "mark"
    )
    assert page.text.count('<th scope="row">') == len(pairs)
    assert page.text.count("same rank") == sum(pair.moved == 0 for pair in pairs.values())
    higher = sum(pair.moved > 0 for pair in pairs.values() if pair.moved is not None)
    assert page.text.count(" higher</span>") == higher


def test_the_page_of_two_entities_asks_for_relations(compared: TestClient) -> None:
    page = compared.get("/beside", params={"head": "q:france", "tail": "q:spain"})
    check(page.text)
    assert page.text.count('<th scope="row">') == 3
    assert "lies in &lt;b&gt;" in page.text


def test_the_queues_of_both(compared: TestClient, second_run: Path) -> None:
    for _ in range(50):
        page = compared.get("/beside", params={"relation": "borders"})
        if "Ranking the new facts" not in page.text:
            break
    check(page.text)
    service: Service = compared.app.state.service  # type: ignore[attr-defined]
    other = Predictor(second_run)
    ranked = rank_new_facts(
        other, other.graph.find_relation("borders"), Mirrors(other.graph.fact_index)
    )
    served = rank_new_facts(service.model.predictor, 0, service.model.mirrors)
    rows = re.findall(r'<th scope="row"><a class="fact-link".*?</th>(.*?)</tr>', page.text, re.S)
    assert len(rows) == len({p.fact for p in ranked[:50]} | {p.fact for p in served[:50]})
    ranks = re.findall(r'class="number">([\d,]+|–)</td>', rows[0])
    assert ranks[0] == "1"
    second = {p.fact: place for place, p in enumerate(ranked, 1)}
    assert ranks[1] == f"{second[served[0].fact]:,}"


def test_decided_facts_leave_the_queue(service: Service) -> None:
    model = service.model

    def propose(*tails: str) -> list[Proposal]:
        facts = [("q:france", "borders", tail) for tail in tails]
        return [Proposal(fact, 0.5, (0, 0, 0)) for fact in facts]

    pairs = compare_queues(
        model, propose("a", "b", "c"), propose("c", "d"), 2, {("q:france", "borders", "a")}
    )
    found = {
        fact[2]: [None if entry is None else entry.rank for entry in pair]
        for fact, pair in pairs.items()
    }
    assert found == {"b": [1, None], "c": [2, 1], "d": [None, 2]}


def test_of_a_symmetric_relation_turned_facts_are_one(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = service.model
    monkeypatch.setattr(model.mirrors, "is_symmetric", lambda _: True)
    one = Proposal(("a", "borders", "b"), 0.5, (0, 0, 0))
    turned = Proposal(("b", "borders", "a"), 0.4, (0, 0, 0))
    pairs = compare_queues(model, [one], [turned], 5, set())
    assert {fact: [entry and entry.chance for entry in pair] for fact, pair in pairs.items()} == {
        one.fact: [0.5, 0.4]
    }
    assert compare_queues(model, [one], [turned], 5, {one.fact}) == {}


def test_a_problem_is_said_beside_the_form(compared: TestClient) -> None:
    answer = compared.get("/beside", params={"head": "nobody", "relation": "borders"})
    assert answer.status_code == 404
    assert "nobody" in answer.text
    answer = compared.get("/beside", params={"head": "q:france"})
    assert (answer.status_code, "relation alone" in answer.text) == (400, True)


def test_another_graph_is_refused(hostile_run: Path, tmp_path: Path) -> None:
    write_graph(tmp_path / "graph")
    path = tmp_path / "graph/entities.tsv"
    path.write_text(path.read_text("utf-8").replace("q:alien\t", "q:other\t"), "utf-8")
    for split in ("train", "valid", "test"):
        file = tmp_path / f"graph/{split}.tsv"
        file.write_text(file.read_text("utf-8").replace("q:alien", "q:other"), "utf-8")
    run = momok.train(
        momok.load_graph(tmp_path / "graph"),
        resolve_config(overrides=SETTINGS),
        run=tmp_path / "run",
        progress=False,
    )
    settings = ServeSettings(run=hostile_run, beside=run.path, reviews="sqlite://")
    with pytest.raises(ConfigError, match="has other entities than that of"):
        Service(settings)


def test_without_a_second_model_there_is_nothing_to_compare(client: TestClient) -> None:
    assert client.get("/beside").status_code == 404
    asked = {"head": "q:france", "relation": "borders"}
    answer = client.post("/api/v1/compare", json=asked)
    assert answer.status_code == 404
    assert "--beside" in answer.json()["error"]["message"]
    assert "Compare" not in client.get("/").text
