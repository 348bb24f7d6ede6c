"""The neighbourhood of an entity: which facts, where they are drawn, and the page of it."""

from __future__ import annotations

import html
import itertools
import re
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from momok.graph import SPLIT_NAMES
from momok.serving.entity_search import make_reference
from momok.serving.neighbourhood import MOST_KNOWN, WIDTH, Edge, draw, find_known
from momok.serving.service import Service
from tests.serving.parsed_page import check
from tests.serving.served_run import NAMES, SCRIPT

Serve = Callable[..., TestClient]


def test_known_facts_are_those_of_the_splits(service: Service) -> None:
    graph = service.model.graph
    entity = graph.entities.index("q:france")
    expected = set()
    for split in SPLIT_NAMES:
        for head, relation, tail in graph.facts(split).tolist():
            if entity in (head, tail):
                other = tail if head == entity else head
                expected.add((relation, other, tail == entity, split))
    edges, count = find_known(service.model, entity)
    assert count == len(expected) <= MOST_KNOWN
    assert {(e.relation, e.other, e.reverse, e.remark) for e in edges} == expected


def test_of_many_facts_every_relation_has_some(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("momok.serving.neighbourhood.MOST_KNOWN", 6)
    entity = service.model.graph.entities.index("q:france")
    edges, count = find_known(service.model, entity)
    assert (len(edges), count > 6) == (6, True)
    assert len({(edge.relation, edge.reverse) for edge in edges}) == 6  # three, in both roles


def test_every_path_leads_from_the_head_to_the_tail() -> None:
    edges = [Edge(relation=0, other=n, reverse=False, kind="known") for n in range(9)]
    edges += [Edge(relation=1, other=n, reverse=True, kind="predicted") for n in range(3)]
    edges += [Edge(relation=2, other=n, reverse=False, kind="accepted") for n in range(2)]
    drawing = draw(edges)
    assert [h.left for h in drawing.headings if h.relation == 2] == [True]  # to even out
    for node in drawing.nodes:
        numbers = [float(n) for n in re.findall(r"-?\d+\.\d+", node.path)]
        ends = {"start": tuple(numbers[:2]), "end": tuple(numbers[-2:])}
        here, there = ("start", "end") if node.edge.reverse else ("end", "start")
        assert ends[here] == pytest.approx((node.x, node.y), abs=12.1)
        assert ends[there] == pytest.approx((WIDTH / 2, drawing.middle), abs=28.1)
        assert node.left == (node.x < WIDTH / 2)
        assert 0 < node.y < drawing.height
    places = sorted((node.x, node.y) for node in drawing.nodes)
    assert len(places) == len(edges)
    assert all(b[1] - a[1] >= 25 for a, b in itertools.pairwise(places) if a[0] == b[0])


def test_nothing_to_draw() -> None:
    assert draw([]).nodes == []


@pytest.mark.parametrize("label", [SCRIPT, *list(NAMES)[:4]])
def test_the_page_has_a_picture_and_the_same_as_a_table(client: TestClient, label: str) -> None:
    answer = client.get("/neighbourhood", params={"label": make_reference(label)})
    assert answer.status_code == 200
    check(answer.text)
    assert "<script>alert" not in answer.text
    picture, table = answer.text.split('<svg class="drawing"')[1].split('id="as-table"')
    assert picture.count('<a class="edge') == table.count("<tr><td>") > 0


def test_what_was_decided_takes_the_place_of_a_prediction(serve: Serve) -> None:
    client = serve()
    page = client.get("/neighbourhood", params={"label": "q:france", "show": "predicted"}).text
    rows = page.split('id="as-table"')[1].split("<tr><td>")[1:]
    count = len(rows)
    why = re.search(r"/why\?head=([^&]*)&amp;relation=([^&]*)&amp;tail=([^&\"]*)", rows[0])
    assert why is not None
    found = client.get(why[0].replace("&amp;", "&"))
    action = {"action": "accept", "reviewer": "Ada"}
    form = found.text.split('action="/review/decide"')[1].split("</form>")[0]
    parts = dict(re.findall(r'name="(head|relation|tail)" value="([^"]*)"', form))
    fact = {name: html.unescape(value) for name, value in parts.items()}
    assert client.post("/api/v1/reviews", json=fact | action).status_code == 200
    page = client.get("/neighbourhood", params={"label": "q:france", "show": "reviewed"}).text
    assert page.count('<a class="edge edge-accepted"') == 1
    assert "accepted by Ada" in page
    page = client.get("/neighbourhood", params={"label": "q:france", "show": "predicted"}).text
    assert page.count("<tr><td>") <= count
    assert why[0] not in page


def test_an_unknown_part_is_refused(client: TestClient) -> None:
    answer = client.get("/neighbourhood", params={"label": "q:france", "show": "all"})
    assert answer.status_code == 422
