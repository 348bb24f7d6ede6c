"""A graph built with decided facts, and labels that look like ids."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

import momok
from momok.cli import main
from momok.config import resolve_config
from tests.serving.conftest import Serve
from tests.serving.served_run import SETTINGS


def test_a_graph_is_built_with_decided_facts(tmp_path: Path) -> None:
    decided = tmp_path / "decided.tsv"
    rows = [
        "country:FR\tborders\tcountry:JP\taccepted",
        "country:FR\tborders\tcountry:PE\trejected",
    ]
    decided.write_text("\n".join(["head\trelation\ttail\tstate", *rows]) + "\n")
    out = tmp_path / "graph"
    arguments = ["data", "build", "world", "--with-reviews", str(decided), "--out", str(out)]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    graph = momok.load_graph(out)
    ids = graph.entities.index, graph.relations.index
    fact = [ids[0]("country:FR"), ids[1]("borders"), ids[0]("country:JP")]
    assert fact in graph.train.tolist()
    assert len(graph.train) == len(momok.load_graph("world").train) + 1
    assert graph.rejected.tolist() == [[*fact[:2], ids[0]("country:PE")]]


def test_labels_that_are_numbers_are_not_taken_for_ids(serve: Serve, tmp_path: Path) -> None:
    folder, size = tmp_path / "numbers", 12
    folder.mkdir()
    (folder / "graph.json").write_text('{"format": "momok-graph", "version": 1, "name": "numbers"}')
    labels = "".join(f"{(5 * i) % size}\n" for i in range(size))
    (folder / "entities.tsv").write_text("label\n" + labels)
    (folder / "relations.tsv").write_text("label\n1\n0\n")
    rows = [f"{(7 * i) % size}\t{1 - i % 2}\t{(7 * i + 1 + i // size) % size}\n" for i in range(60)]
    for split, lines in (("train", rows[8:]), ("valid", rows[:4]), ("test", rows[4:8])):
        (folder / f"{split}.tsv").write_text("".join(lines))
    graph = momok.load_graph(folder)
    assert graph.entities.labels != tuple(map(str, range(size)))
    config = resolve_config(overrides=SETTINGS | {"model.modalities": ["structure"]})
    run = momok.train(graph, config, run=tmp_path / "run", progress=False).path
    client = serve(run=run)

    def post(path: str, **asked: object) -> dict[str, object]:
        answer = client.post(f"/api/v1/{path}", json=asked)
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    fact = {"head": "7", "relation": "0", "tail": "8"}
    question = {"head": "7", "relation": "0"}
    assert post("explain", **fact)["tail"]["label"] == "8"  # type: ignore[index]
    predicted = post("predict", **question)
    query = predicted["query"]
    assert (query["head"]["label"], query["relation"]["label"]) == ("7", "0")  # type: ignore[index]
    assert post("predict/batch", questions=[question])["results"] == [predicted]
    related = post("predict/relations", head="7", tail="8")
    assert [related["query"][side]["label"] for side in ("head", "tail")] == ["7", "8"]  # type: ignore[index]
    [scored] = post("score", facts=[fact])["facts"]  # type: ignore[misc]
    assert {part: scored[part] for part in fact} == fact
    decided = post("reviews", **fact, action="unsure", reviewer="ann")
    predictor = momok.Predictor(run)
    answers = predictor.predict(**question, k=size)
    [found] = [p for p in answers if p.label == "8"]
    assert scored["tail_answer"] == pytest.approx(found.score, abs=1e-6)
    other = predictor.score_facts([("7", "0", "8")], asked="head").answer[0]
    assert decided["probability"] == pytest.approx(min(found.score, other), abs=1e-6)
    groups = client.get("/api/v1/entity/predictions", params={"label": "7"}).json()["groups"]
    assert groups
    for group in groups:
        side = "head" if group["asked"] == "tail" else "tail"
        asking = {side: "7", "relation": group["relation"]["label"]}
        best = predictor.predict(**asking, k=5, known="hide", plausible=True)
        assert [p["label"] for p in group["predictions"]] == [p.label for p in best]
