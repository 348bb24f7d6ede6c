"""The pages, for every entity of a hostile graph: escaped, complete, without inline code."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from momok.serving.entity_search import make_reference
from tests.serving.pages.parsed_page import check
from tests.serving.served_run import LONG, LONG_CHINESE, NAMES, PATH_LIKE, SCRIPT, TEMPLATE, TURNED


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
