"""Pages of a hostile graph: escaped, complete, no inline code; reviews without JavaScript."""

from __future__ import annotations

import html
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from momok.serving.entity_search import make_reference
from momok.serving.proposals import compute_probability
from momok.serving.reviews.records import Decision
from momok.serving.service import Service
from tests.serving.parsed_page import check
from tests.serving.served_run import LONG, LONG_CHINESE, NAMES, PATH_LIKE, SCRIPT, TEMPLATE, TURNED

Serve = Callable[..., TestClient]


@pytest.mark.parametrize(
    "path", ["/", "/search?q=place", "/search", "/review", "/history", "/api", "/login"]
)
def test_pages_are_sound(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    check(answer.text)


@pytest.mark.parametrize("label", NAMES, ids=lambda label: label[:20])
def test_the_page_of_every_entity(client: TestClient, label: str) -> None:
    answer = client.get("/entity", params={"label": make_reference(label)})
    assert answer.status_code == 200
    assert len(answer.text) < 150_000
    page = check(answer.text)
    shown = " ".join(page.texts)
    name = NAMES[label] or label
    assert name[:60] in shown


def test_hostile_labels_are_texts(client: TestClient) -> None:
    answer = client.get("/entity", params={"label": SCRIPT})
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert" in answer.text
    assert "49" not in client.get("/entity", params={"label": TEMPLATE}).text.split("<h1>")[1][:40]
    turned = client.get("/entity", params={"label": TURNED}).text
    assert f"<h1><bdi>{TURNED}</bdi></h1>" in turned  # isolated: turns nothing around it
    error = client.get("/entity", params={"label": SCRIPT + "x"}, headers={"accept": "text/html"})
    assert error.status_code == 404
    assert "<script>alert" not in error.text
    check(error.text)


def test_long_labels_are_named_by_their_digest(client: TestClient) -> None:
    for label in (LONG, LONG_CHINESE):
        answer = client.get("/search", params={"q": label[:50]}, follow_redirects=True)
        page = check(answer.text)
        assert max(map(len, page.links)) < 2000
        reference = make_reference(label)
        assert client.get("/entity", params={"label": reference}).status_code == 200


def test_an_exact_name_goes_to_its_page(client: TestClient) -> None:
    answer = client.get("/search", params={"q": "france"}, follow_redirects=False)
    assert answer.headers["location"] == "/entity?label=q%3Afrance"
    both = client.get("/search", params={"q": "springfield"}, follow_redirects=False)
    assert both.status_code == 200
    assert "Springfield (q:twin1)" in both.text


def test_why(client: TestClient) -> None:
    for tail in (SCRIPT, "q:spain", make_reference(LONG_CHINESE), PATH_LIKE):
        params = {"head": "q:france", "relation": "r:" + SCRIPT, "tail": tail, "asked": "head"}
        answer = client.get("/why", params=params)
        assert answer.status_code == 200
        page = check(answer.text)
        assert "<script>alert" not in answer.text
        assert "structure: experts" in page.texts
        rings = re.findall(r'stroke-dasharray="([\d.]+) ([\d.]+)"', answer.text)
        assert len(rings) == 2 + 3 * 2  # two modalities, three experts of each
        assert all(float(a) + float(b) == pytest.approx(100, abs=0.02) for a, b in rings)


def test_pictures(client: TestClient) -> None:
    good = client.get("/picture", params={"entity": "q:france", "size": "small"})
    assert (good.status_code, good.headers["content-type"]) == (200, "image/webp")
    again = client.get(
        "/picture",
        params={"entity": "q:france", "size": "small"},
        headers={"if-none-match": good.headers["etag"]},
    )
    assert (again.status_code, again.content) == (304, b"")
    for entity in ("q:japan", "q:egypt", "q:russia", PATH_LIKE):
        assert client.get("/picture", params={"entity": entity}).status_code == 404
    assert client.get("/picture", params={"entity": "q:france", "size": "9"}).status_code == 422


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
    assert client.get("/api/v1/reviews/export?state=accepted").text.count("\n") == 2
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
    assert "This fact has changed since it was shown" in reviewer.act(action="accept")
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
        {"queue": "relation=*&least=x"},
        {"queue": "relation=*&order=sideways"},
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
    fields = {"name": 'Ann "<b>" Ж', "relation": "borders"}
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


def test_the_card_shows_the_number_that_is_kept(client: TestClient, service: Service) -> None:
    reviewer = Reviewer(client, "borders")
    text = reviewer.look()
    model = service.model
    fields = {name: html.unescape(value) for name, value in reviewer.fields().items()}
    ids = model.names.find_fact(fields["head"], fields["relation"], fields["tail"])
    graph = model.graph
    labels = tuple(
        vocabulary.labels[number]
        for vocabulary, number in zip(
            (graph.entities, graph.relations, graph.entities), ids, strict=True
        )
    )
    kept = service.store.get(labels).probability
    assert kept is not None
    assert kept == pytest.approx(compute_probability(model.predictor, ids), abs=1e-5)
    [shown] = re.findall(r"<strong>([\d.<>]+) %</strong>", html.unescape(text))
    assert float(shown.strip("<>")) == pytest.approx(100 * kept, rel=0.06)
