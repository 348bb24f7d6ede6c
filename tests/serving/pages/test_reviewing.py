"""The review queue in a browser without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from momok.serving.reviews.records import Decision
from momok.serving.service import Service
from tests.serving.pages.parsed_page import check

Serve = Callable[..., TestClient]


class Reviewer:
    """A browser without JavaScript on the review page."""

    def __init__(self, client: TestClient, relation: str) -> None:
        self.client, self.relation = client, relation

    def look(self) -> str:
        while True:
            page = self.client.get("/review", params={"relation": self.relation})
            assert page.status_code == 200
            check(page.text)
            if "Ranking the new facts" not in page.text:
                self.text = page.text
                return page.text

    def fields(self) -> dict[str, str]:
        form = self.text.split('action="/review/decide"')[1].split("</form>")[0]
        found = re.findall(r'name="(\w+)" value="([^"]*)"', form)
        return {name: value for name, value in found if name != "action"}

    def act(self, **fields: str) -> str:
        answer = self.client.post("/review/decide", data=self.fields() | fields)
        assert answer.status_code == 200
        self.text = answer.text
        check(answer.text)
        return answer.text


def test_a_review_without_javascript(serve: Serve) -> None:
    client = serve()
    store = client.app.state.service.store  # type: ignore[attr-defined]
    reviewer = Reviewer(client, "lies-in")
    assert "lies in &lt;b&gt;" in reviewer.look()
    first = reviewer.fields()
    said = reviewer.act(action="accept", note="<i>sure</i>")
    assert "Accepted and saved" in said
    second = reviewer.fields()
    assert (second["head"], second["tail"]) != (first["head"], first["tail"])
    reviewer.act(action="reject")
    reviewer.act(action="skip")
    undone = client.post("/review/undo", data=reviewer.fields())
    assert "Undone" in undone.text
    labels = [event.action for event in store.list_events()[0]]
    assert labels == ["undo", "skip", "reject", "accept"]
    history = client.get("/history").text
    assert "&lt;i&gt;sure&lt;/i&gt;" in history
    check(history)
    assert client.get("/api/v1/reviews/export").text.count("\n") == 1
    check(client.get("/entity", params={"label": first["head"]}).text)


def test_who_is_too_late_is_told(serve: Serve) -> None:
    client = serve()
    reviewer = Reviewer(client, "borders")
    reviewer.look()
    fields = reviewer.fields()
    fact = {name: fields[name] for name in ("head", "relation", "tail")}
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    model = service.model
    labels = model.predictor.graph.entities.labels
    head, tail = (labels[model.names.find_entity(fact[n])] for n in ("head", "tail"))
    service.store.decide(Decision(fact=(head, "borders", tail), action="reject", reviewer="fast"))
    assert "Someone else has already decided" in reviewer.act(action="accept")
    assert service.store.get((head, "borders", tail)).state == "rejected"


def test_a_form_sent_twice_decides_once(serve: Serve) -> None:
    client = serve()
    reviewer = Reviewer(client, "borders")
    reviewer.look()
    fields = reviewer.fields() | {"action": "accept"}
    for _ in range(2):
        assert "Accepted and saved" in client.post("/review/decide", data=fields).text
    store = client.app.state.service.store  # type: ignore[attr-defined]
    assert len(store.list_events()[0]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"action": "destroy"},
        {"version": "x"},
        {"version": "-1"},
        {"request": "a b"},
        {"note": "x" * 4001},
        {"note": "a\0b"},
        {"head": "nobody"},
    ],
)
def test_wrong_forms_are_said(client: TestClient, changes: dict[str, str]) -> None:
    reviewer = Reviewer(client, "borders")
    reviewer.look()
    fields = reviewer.fields() | {"action": "skip"} | changes
    answer = client.post("/review/decide", data=fields, headers={"accept": "text/html"})
    assert answer.status_code in (404, 422)
    check(answer.text)


def test_a_reviewer_has_a_name(client: TestClient) -> None:
    reviewer = Reviewer(client, "borders")
    reviewer.look()
    fields = {
        "form_token": reviewer.fields()["form_token"],
        "name": 'Ann "<b>" Ж',
        "relation": "borders",
    }
    answer = client.post("/review/name", data=fields)
    assert 'value="Ann &#34;&lt;b&gt;&#34; Ж"' in answer.text
    check(answer.text)
    again = Reviewer(client, "borders")
    again.text = answer.text
    shown = reviewer.fields()
    kept = again.fields()
    assert (kept["head"], kept["tail"]) == (
        shown["head"],
        shown["tail"],
    )  # not held by the old name
    wrong = client.post("/review/name", data=fields | {"name": " \x07 "})
    assert wrong.status_code == 422
