"""Where to begin and when to stop: yields, precision with its interval."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from momok.serving.review_overview import Precision, summarise
from momok.serving.reviews.records import Decision, Review
from momok.serving.service import Service
from tests.serving.parsed_page import check

Serve = Callable[..., TestClient]


def test_the_interval_of_a_precision() -> None:
    """Against the values of Newcombe 1998, "Two-sided confidence intervals", table I."""
    low, high = Precision(81, 263).interval
    assert (low, high) == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert Precision(0, 20).interval == pytest.approx((0.0, 0.1611), abs=1e-4)
    assert Precision(5, 5).interval[1] == 1.0


def test_the_start_page_counts_what_is_left_and_how_it_went(serve: Serve) -> None:
    client = serve()
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    model = service.model
    client.get("/review")
    while model.queue.list_ranked().keys() != {0, 1, 2}:
        time.sleep(0.02)
    before = summarise(service.store, model, "ann")
    assert before.precision is None
    [borders] = [entry for entry in before.relations if entry.relation.label == "borders"]
    ranked = model.queue.rank(model.names.find_relation("borders")).result()
    assert borders.worth == len(ranked) == len({proposal.fact for proposal in ranked})
    for place, action in enumerate(("accept", "reject", "reject", "unsure")):
        decision = Decision(fact=ranked[place].fact, action=action, reviewer="ann")  # type: ignore[arg-type]
        service.store.decide(decision)
    sample = Decision(fact=ranked[4].fact, action="accept", reviewer="ann", ordering="random")
    service.store.decide(sample)
    after = summarise(service.store, model, "ann")
    [borders] = [entry for entry in after.relations if entry.relation.label == "borders"]
    assert borders.worth == len(ranked) - 5
    assert (borders.precision, borders.sampled) == (Precision(2, 4), Precision(1, 1))
    assert borders.tally.decided == after.opinions == 5
    text = client.get("/review").text
    check(text)
    assert re.search(r"50 % <span class=\"quiet-text\">15 % to 85 %</span>", text)
    elsewhere = Review(head="x", relation="borders", tail="y", state="accepted", reviewer="ann")
    service.store.import_reviews([elsewhere], "file", by="me")
    assert summarise(service.store, model, "ann").opinions == 5  # nobody took time for it here


def test_all_relations_are_one_queue_with_filters(serve: Serve) -> None:
    client = serve()
    queue = client.app.state.service.model.queue  # type: ignore[attr-defined]
    while queue.list_ranked().keys() != {0, 1, 2}:
        time.sleep(0.02)
    page = client.get("/review", params={"relation": "*", "order": "random", "text": "France"})
    check(page.text)
    assert "Review: <bdi>all relations</bdi>" in page.text
    assert "France" in page.text.split('id="statement"')[1].split("</h2>")[0]
    assert 'name="ordering" value=""' in page.text  # a filtered sample tells no precision
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', page.text.split('class="decide"')[1]))
    fields |= {"queue": "relation=*&order=random&text=France", "action": "accept"}
    answer = client.post("/review/decide", data=fields)
    assert "relation=%2A&order=random&text=France&did=accept" in str(answer.url)
    nothing = client.get("/review", params={"relation": "*", "text": "no such name"})
    assert "Nothing left that is worth looking at" in nothing.text
    assert client.get("/review", params={"relation": "*", "least": "x"}).status_code == 422
