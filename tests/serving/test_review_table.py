"""The queue as a table, without JavaScript, and batches over HTTP."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import Any

from starlette.testclient import TestClient

from momok.serving.service import Service
from tests.serving.conftest import Serve
from tests.serving.parsed_page import check


def look(client: TestClient, relation: str = "borders") -> str:
    page = client.get("/review/table", params={"relation": relation, "least": "0"}).text
    while "Ranking the new facts" in page:
        page = client.get("/review/table", params={"relation": relation, "least": "0"}).text
    return page


def read_form(page: str) -> tuple[dict[str, str], list[str]]:
    hidden = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page)
    facts = re.findall(r'name="fact" id="[^"]*" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in hidden}, [unescape(fact) for fact in facts]


def test_facts_are_ticked_and_decided_together(serve: Serve) -> None:
    client = serve()
    store = client.app.state.service.store  # type: ignore[attr-defined]
    page = look(client)
    check(page)
    fields, facts = read_form(page)
    assert len(facts) > 5
    said = client.post("/review/table", data=fields | {"fact": facts[:3], "action": "accept"})
    assert "3 facts accepted and saved" in said.text
    check(said.text)
    assert store.count()["borders"]["accepted"] >= 3  # symmetric facts are decided along
    fields, rest = read_form(said.text)
    assert not {*facts[:3]} & {*rest}
    again = client.post(
        "/review/table", data=fields | {"fact": rest[:2], "action": "reject:outdated", "note": "n"}
    )
    assert "2 facts rejected and saved" in again.text
    events = store.list_events()[0]
    assert {(e.reason, e.note) for e in events[:2]} == {("outdated", "n")}
    undone = client.post("/review/table", data=fields | {"action": "undo"})
    assert "Undone" in undone.text
    assert "rejected" not in store.count()["borders"]
    assert (
        "No fact is ticked" in client.post("/review/table", data=fields | {"action": "accept"}).text
    )
    wrong = client.post("/review/table", data=fields | {"fact": rest[:1], "action": "burn"})
    assert wrong.status_code == 422


def test_a_batch_that_came_too_late_changes_nothing(serve: Serve) -> None:
    client = serve()
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    fields, facts = read_form(look(client))
    other = client.post("/review/table", data=fields | {"fact": facts[1:2], "action": "accept"})
    assert "Accepted and saved" in other.text
    late = fields | {"fact": facts[:2], "action": "reject", "request": "another"}
    refused = client.post("/review/table", data=late)
    check(refused.text)
    assert refused.status_code == 409
    assert "One of these facts has changed since it was shown" in refused.text
    assert re.findall(r'name="fact" id="[^"]*" value="([^"]*)" checked', refused.text) == [
        escape(facts[0])
    ]
    assert "rejected" not in service.store.count()["borders"]


def test_a_batch_over_http(serve: Serve) -> None:
    client = serve()
    tails = ("q:spain", "q:japan", "q:russia")
    facts: list[dict[str, Any]] = [
        {"head": "q:egypt", "relation": "lies-in", "tail": tail} for tail in tails
    ]
    asked = {"action": "reject", "reviewer": "ann", "facts": facts, "reason": "false"}
    reviews = client.post("/api/v1/reviews/batch", json=asked).json()["reviews"]
    assert [(r["tail"], r["state"], r["reason"]) for r in reviews] == [
        (tail, "rejected", "false") for tail in tails
    ]
    assert client.post("/api/v1/reviews/batch", json=asked).status_code == 409
    assert client.post("/api/v1/reviews/batch", json=asked | {"facts": []}).status_code == 422
    client.post("/api/v1/reviews/undo", json={"reviewer": "ann"})
    assert client.get("/api/v1/reviews", params={"state": "rejected"}).json()["reviews"] == []
