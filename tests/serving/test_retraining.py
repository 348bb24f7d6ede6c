"""Training on decisions from the page: a process of its own, compared, taken over or discarded."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from momok.errors import ConfigError
from momok.serving.judgement import compute_auc
from momok.serving.retraining import Job, Retraining, find_served
from momok.serving.reviews.records import Review
from momok.training import RunFolder
from tests.serving.conftest import Serve
from tests.serving.parsed_page import check

FACTS = (("q:egypt", "q:spain", "accept"), ("q:egypt", "q:japan", "reject"))


def decide(client: TestClient) -> None:
    for head, tail, action in FACTS:
        fact = {"head": head, "relation": "lies-in", "tail": tail}
        asked = fact | {"action": action, "reviewer": "ann"}
        assert client.post("/api/v1/reviews", json=asked).status_code == 200


def wait_for(client: TestClient, *states: str) -> dict[str, Any]:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        answer: dict[str, Any] = client.get("/api/v1/retraining").json()
        if answer["job"]["state"] in states:
            return answer
        time.sleep(0.5)
    raise AssertionError(answer)


def act(client: TestClient, action: str) -> str:
    page = client.post("/retrain", data={"action": action}).text
    check(page)
    return page


@pytest.mark.slow
def test_a_model_is_trained_on_decisions_compared_and_taken_over(
    serve: Serve, own_run: Path, tmp_path: Path
) -> None:
    database = f"sqlite:///{tmp_path / 'own.sqlite'}"
    client = serve(run=own_run, reviews=database)
    assert "nothing new to learn" in act(client, "start")
    decide(client)
    assert "Training on 1 accepted and 1 rejected facts" in act(client, "start")
    assert "is being trained" in act(client, "start")
    before = client.get("/api/v1").json()["model"]
    client.__exit__(None, None, None)  # the server stops meanwhile
    client = serve(run=own_run, reviews=database)
    job = wait_for(client, "ready", "failed")["job"]
    assert job["state"] == "ready", job
    assert job["before"]["mrr"] == RunFolder(own_run).load_evaluation("valid").overall["answer"].mrr
    new = RunFolder(own_run / "retrained" / "1")
    assert job["after"]["mrr"] == new.load_evaluation("valid").overall["answer"].mrr
    assert {job["before"]["auc"], job["after"]["auc"]} <= {0.0, 0.5, 1.0}  # of one pair
    graph = new.load_graph()
    ids = graph.entities.ids
    lies_in = graph.relations.ids["lies-in"]
    assert [ids["q:egypt"], lies_in, ids["q:spain"]] in graph.train.tolist()
    assert graph.rejected.tolist() == [[ids["q:egypt"], lies_in, ids["q:japan"]]]
    assert client.get("/api/v1").json()["model"] == before
    assert "was taken over" in act(client, "take")
    deadline = time.monotonic() + 60
    while client.get("/api/v1").json()["model"] == before:
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert find_served(own_run) == own_run / "retrained" / "1"
    again = serve(run=own_run, reviews=database)
    assert again.get("/api/v1").json()["facts"]["train"] == len(graph.train)
    assert "nothing that could be discarded" in act(client, "discard")


@pytest.mark.slow
def test_training_is_cancelled_and_what_is_left_removed(serve: Serve, own_run: Path) -> None:
    client = serve(run=own_run)
    decide(client)
    assert client.post("/api/v1/retraining/take").status_code == 422
    number = client.post("/api/v1/retraining/start").json()["job"]["number"]
    answer = client.post("/api/v1/retraining/cancel").json()
    assert answer["job"]["state"] == "cancelled"
    assert "Training was cancelled" in client.get("/retrain").text
    client.post("/api/v1/retraining/discard")
    assert not (own_run / "retrained" / str(number)).exists()
    assert client.get("/api/v1/retraining").json()["job"]["state"] == "none"
    assert find_served(own_run) == own_run


def test_a_job_that_died_says_why(own_run: Path) -> None:
    retraining = Retraining(own_run, 1)
    assert retraining.look() == Job()
    folder = own_run / "retrained"
    folder.mkdir()
    (folder / "3.log").write_text("momok: out of memory\n\n")
    dead = 2**22 + 1  # above every number of a process
    retraining._save(Job(number=3, state="training", process=dead))
    job = retraining.look()
    assert (job.state, job.message) == ("failed", "momok: out of memory")
    assert retraining.read_log()[0] == "momok: out of memory"
    (folder / "job.json").write_text("{")  # damaged
    assert retraining.look() == Job()
    for action in (retraining.cancel, retraining.take_over, retraining.discard):
        with pytest.raises(ConfigError):
            action()
    with pytest.raises(ConfigError, match="nothing new to learn"):
        retraining.start([Review(head="a", relation="r", tail="b", state="unsure")], "me")


def test_the_area_under_the_curve_counts_pairs() -> None:
    assert compute_auc([0.9, 0.4], [0.4, 0.1]) == (1 + 1 + 0.5 + 1) / 4
    assert compute_auc([], [0.5]) is None
