"""Several reviewers on the pages and in the API: overlap, blindness, settling, the audit log."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape

import pytest
from starlette.testclient import TestClient

from momok.serving.proposals import compute_probability
from momok.serving.rendering import _percent
from momok.serving.service import Service
from tests.serving.parsed_page import check

Serve = Callable[..., TestClient]
FACT = {"head": "q:place1", "relation": "lies-in", "tail": "q:place2"}
SECRET = "the atlas says so"


class Desk:
    """A served run with reviewers, each with a token."""

    def __init__(self, client: TestClient) -> None:
        self.client = client
        self.service: Service = client.app.state.service  # type: ignore[attr-defined]
        roles = {"ann": "reviewer", "bob": "reviewer", "cid": "settler", "root": "admin"}
        self.tokens = {
            name: self.service.store.add_reviewer(name, role, by="test")  # type: ignore[arg-type]
            for name, role in roles.items()
        }

    def ask(self, who: str, method: str, path: str, **more: object) -> object:
        """A request to the API: the JSON of its answer, or its error code."""
        headers = {"authorization": f"Bearer {self.tokens[who]}"}
        answer = self.client.request(method, f"/api/v1{path}", headers=headers, **more)  # type: ignore[arg-type]
        found = answer.json()
        return found["error"]["code"] if "error" in found else found

    def decide(self, who: str, action: str, **more: object) -> dict[str, object]:
        """A decision on ``FACT``."""
        asked = FACT | {"action": action} | more
        found = self.ask(who, "POST", "/reviews", json=asked)
        assert isinstance(found, dict), found
        return found

    def sign_in(self, who: str) -> None:
        """Be somebody on the pages."""
        self.client.cookies.clear()
        self.client.post("/login", data={"token": self.tokens[who]})


@pytest.fixture
def desk(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> Desk:
    monkeypatch.setattr("momok.serving.identity._FRESH_SECONDS", -1.0)
    desk = Desk(serve())
    found = desk.ask("root", "POST", "/reviewers/overlap", json={"opinions": 2})
    assert found == {"opinions": 2, "share": 1.0}
    return desk


def test_from_two_opinions_to_a_settlement(desk: Desk) -> None:
    assert desk.decide("ann", "accept", note=SECRET)["state"] == "open"
    assert desk.decide("bob", "reject")["state"] == "disputed"
    [disputed] = desk.ask("cid", "GET", "/reviews?state=disputed")["reviews"]  # type: ignore[index]
    found = desk.ask("cid", "GET", "/reviews/opinions", params=FACT)
    assert [(o["reviewer"], o["action"], o["note"]) for o in found["opinions"]] == [  # type: ignore[index]
        ("ann", "accept", SECRET),
        ("bob", "reject", ""),
    ]
    done = desk.decide("cid", "accept", version=disputed["version"], note="looked it up")
    assert (done["state"], done["settled"], done["reviewer"]) == ("accepted", True, "cid")
    again = FACT | {"action": "reject", "version": done["version"]}
    assert desk.ask("ann", "POST", "/reviews", json=again) == "conflict"
    team = desk.ask("ann", "GET", "/reviewers")["team"]  # type: ignore[index]
    assert [(r["name"], r["compared"], r["agreed"], r["upheld"]) for r in team["reviewers"]] == [
        ("ann", 1, 0, 1),
        ("bob", 1, 0, 0),
        ("cid", 0, 0, 0),
    ]
    entries = desk.ask("root", "GET", "/audit")["entries"]  # type: ignore[index]
    assert [(e["who"], e["action"]) for e in entries[:4]] == [
        ("cid", "settle"),
        ("bob", "decide"),
        ("ann", "decide"),
        ("root", "set overlap"),
    ]
    page = desk.ask("root", "GET", "/audit", params={"limit": 2})
    older = desk.ask("root", "GET", "/audit", params={"before": page["next"], "limit": 2})  # type: ignore[index]
    assert [e["who"] for e in older["entries"]] == ["ann", "root"]  # type: ignore[index]


def test_no_page_and_no_answer_tells_the_second_what_the_first_said(desk: Desk) -> None:
    desk.sign_in("ann")
    fields = FACT | {
        "action": "reject:outdated",
        "note": SECRET,
        "source": "https://secret.example",
    }
    desk.client.post("/review/decide", data=fields | {"back": "why"})
    assert SECRET in desk.client.get("/why", params=FACT).text  # to herself
    assert SECRET in desk.client.get("/history").text
    for who in ("bob", "cid", "root"):
        desk.sign_in(who)
        for path in (
            "/why?" + "&".join(f"{name}={value}" for name, value in FACT.items()),
            "/entity?label=q:place1",
            "/entity?label=q:place2",
            "/history",
            "/review",
            "/review?relation=*",
            "/review?relation=*&waiting=1",
            "/review/table?relation=lies-in&least=0",
            "/neighbourhood?label=q:place1",
            "/search?q=place",
            "/reviewers",
            "/settle",
            "/audit",
            "/api/v1/reviews?limit=200",
            "/api/v1/reviews/history",
            "/api/v1/reviews/export",
            "/api/v1/relations",
        ):
            text = desk.client.get(path).text
            for words in (
                SECRET,
                "secret.example",
                "rejected by",
                ">reject<",
                '"state":"rejected"',
            ):
                assert words not in text, (who, path)
        found = desk.ask(who, "GET", "/reviews/opinions", params=FACT)
        assert found["opinions"] == []  # type: ignore[index]
        assert desk.ask(who, "POST", "/reviews/undo", json={}) == "conflict"
        shown = desk.ask(who, "POST", "/reviews/next", json={"waiting": True})
        assert shown["review"]["head"] == "q:place1"  # type: ignore[index]
        assert SECRET not in str(shown)
        desk.service.store.release(who)
    assert desk.ask("ann", "POST", "/reviews/next", json={"waiting": True})["review"] is None  # type: ignore[index]
    desk.sign_in("bob")
    assert "wait for your opinion (1)" in desk.client.get("/review").text
    page = desk.client.get("/review?relation=*&waiting=1").text
    check(page)
    assert "Place 1" in page.split('id="statement"')[1].split("</h2>")[0]


def test_a_corrected_fact_is_shown_with_its_probability(desk: Desk) -> None:
    desk.decide("ann", "reject", right_tail="q:place3")
    model = desk.service.model
    names = FACT | {"tail": "q:place3"}
    ids = model.names.find_fact(*names.values())
    assert desk.service.store.get(tuple(names.values())).probability is None  # type: ignore[arg-type]
    expected = compute_probability(model.predictor, ids)
    desk.sign_in("bob")
    desk.decide("bob", "skip")  # the other one, which waits for him too
    page = desk.client.get("/review/table?relation=*&waiting=1")
    check(page.text)
    assert (page.status_code, page.text.count('name="fact"')) == (200, 1)
    page = desk.client.get("/review?relation=*&waiting=1")
    assert "Place 3" in page.text.split('id="statement"')[1].split("</h2>")[0]
    assert f"<strong>{_percent(expected)}</strong>" in page.text
    shown = desk.ask("bob", "POST", "/reviews/next", json={"waiting": True})
    assert shown["review"]["probability"] == pytest.approx(expected)  # type: ignore[index]


def test_an_opinion_that_waits_is_said_to_wait(desk: Desk) -> None:
    desk.sign_in("ann")
    fields = FACT | {"action": "accept", "queue": "relation=*"}
    said = desk.client.post("/review/decide", data=fields)
    assert "Accepted and saved. It waits for the opinions of others." in said.text
    other = fields | {"tail": "q:place4", "live": "1"}
    assert "It waits" in desk.client.post("/review/decide", data=other).text
    desk.sign_in("bob")
    said = desk.client.post("/review/decide", data=fields)
    assert "Accepted and saved." in said.text
    assert "It waits" not in said.text
    page = desk.client.get("/review?relation=*&waiting=1").text
    assert '<input type="hidden" name="waiting" value="1">' in page.split("<select")[0]


def test_the_audit_log_has_what_was_exported_and_who_left(desk: Desk) -> None:
    desk.sign_in("ann")
    found = desk.client.get("/api/v1/reviews/export?state=accepted&state=unsure&since=2026-05-01")
    assert found.status_code == 200
    assert desk.client.get("/api/v1/reviews/export?state=open").status_code == 422
    desk.client.post("/logout")
    desk.client.post("/logout")  # nobody any more
    entries = desk.ask("root", "GET", "/audit")["entries"]  # type: ignore[index]
    about = "decisions as tsv; states accepted, unsure; since 2026-05-01T00:00:00.000+00:00"
    assert [(e["who"], e["action"], e["about"]) for e in entries[:3]] == [
        ("ann", "sign out", ""),
        ("ann", "export", about),
        ("ann", "sign in", ""),
    ]


def test_who_has_the_last_word_settles_on_a_page(desk: Desk) -> None:
    desk.decide("ann", "accept", note=SECRET, source="https://example.org/atlas")
    desk.decide("bob", "reject", reason="outdated")
    desk.sign_in("cid")
    assert "Settle disagreements (1)" in desk.client.get("/reviewers").text
    page = desk.client.get("/settle").text
    check(page)
    for words in (SECRET, "https://example.org/atlas", "No longer true", "ann", "bob"):
        assert words in page
    form = page.split('class="settle"')[1]
    fields = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form.split("</form>")[0]))
    fields = {name: unescape(value) for name, value in fields.items()}
    assert fields["version"] == "2"
    answer = desk.client.post("/review/decide", data=fields | {"action": "reject", "note": "gone"})
    check(answer.text)
    assert "Rejected and saved" in answer.text
    assert "No disagreements" in answer.text
    late = desk.client.post("/review/decide", data=fields | {"action": "accept"})
    assert "has changed meanwhile" in late.text
    why = desk.client.get("/why", params=FACT).text
    check(why)
    assert "Opinions</h2>" in why
    assert "gone" in why
    assert ">settled</span>" in why
    assert "rejected by <bdi>cid</bdi>" in why
    desk.sign_in("ann")
    assert 'name="action"' not in desk.client.get("/why", params=FACT).text


def test_what_a_role_may_not_is_refused(desk: Desk) -> None:
    for who, path, allowed in (
        ("ann", "/settle", False),
        ("ann", "/audit", False),
        ("cid", "/settle", True),
        ("cid", "/audit", False),
        ("root", "/audit", True),
        ("root", "/settle", True),
        ("ann", "/reviewers", True),
    ):
        desk.sign_in(who)
        answer = desk.client.get(path, headers={"accept": "text/html"})
        check(answer.text)
        assert answer.status_code == (200 if allowed else 403), (who, path)
    assert desk.ask("cid", "POST", "/reviewers/overlap", json={"opinions": 1}) == "not_allowed"
    assert desk.ask("cid", "GET", "/audit") == "not_allowed"
    desk.sign_in("cid")
    data = {"opinions": "1", "percent": "100"}
    assert desk.client.post("/reviewers/overlap", data=data).status_code == 403
    assert "Audit log" not in desk.client.get("/reviewers").text


def test_an_admin_changes_how_many_opinions_facts_need(desk: Desk) -> None:
    desk.sign_in("root")
    answer = desk.client.post("/reviewers/overlap", data={"opinions": "3", "percent": "12.5"})
    check(answer.text)
    assert "Saved." in answer.text
    assert "3 people give their opinion on 12 % of the facts" in answer.text
    overlap = desk.service.store.get_overlap()
    assert (overlap.opinions, overlap.share) == (3, 0.125)
    percents = [
        {"opinions": "2", "percent": p} for p in ("0", "50,5", "-5", "abc", "", "nan", "5e3")
    ]
    for wrong in ({"opinions": "0", "percent": "5"}, {"opinions": "x", "percent": "5"}, *percents):
        assert desk.client.post("/reviewers/overlap", data=wrong).status_code == 422, wrong
    assert desk.service.store.get_overlap() == overlap
    page = desk.client.get("/audit").text
    check(page)
    assert "3 opinions on 12.5 % of facts" in page
    assert ">root<" in page


def test_an_own_opinion_is_shown_in_the_rows_of_an_entity(desk: Desk) -> None:
    desk.sign_in("ann")
    page = desk.client.get("/entity", params={"label": "q:germany"}).text
    button = re.search(r'tick-accept" form="decide" name="fact" value="([^"]+)"', page)
    assert button is not None
    answer = desk.client.post("/review/decide", data={"fact": unescape(button[1])})
    check(answer.text)
    assert answer.text.count("yours: accept") == 1
    desk.sign_in("bob")
    assert "yours:" not in desk.client.get("/entity", params={"label": "q:germany"}).text
