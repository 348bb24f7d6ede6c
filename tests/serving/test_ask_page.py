"""The page for one question: the predictor's answers, whichever part is left blank."""

from __future__ import annotations

import re

import pytest
from starlette.testclient import TestClient

from momok.graph import SPLIT_NAMES
from momok.serving.entity_search import make_reference
from momok.serving.proposals import label_fact
from momok.serving.service import Service
from tests.serving.parsed_page import check
from tests.serving.served_run import LONG, NAMES, SCRIPT


def test_the_form_alone(client: TestClient) -> None:
    answer = client.get("/ask")
    assert answer.status_code == 200
    page = check(answer.text)
    assert "Ask" in page.texts
    assert 'id="answers"' not in answer.text


@pytest.mark.parametrize("side", ["head", "tail"])
@pytest.mark.parametrize("new", [False, True])
def test_entities(client: TestClient, service: Service, side: str, new: bool) -> None:
    asked = {side: "France", "relation": "borders"} | ({"new": "true"} if new else {})
    answer = client.get("/ask", params=asked)
    assert answer.status_code == 200
    page = check(answer.text)
    expected = service.model.predictor.predict(
        relation="borders",
        k=20,
        known="hide" if new else "mark",
        **{side: "France"},  # type: ignore[arg-type]
    )
    shown = " ".join(page.texts)
    places = [shown.index(NAMES[p.label][:30] or p.label[:30]) for p in expected[:3]]
    assert all(place > shown.index("contribution of each modality") for place in places)
    assert answer.text.count("<li>\n      ") == len(expected)
    assert answer.text.count(">why?</a>") == sum(p.known is None for p in expected)


def test_relations(client: TestClient, service: Service) -> None:
    answer = client.get("/ask", params={"head": "France", "tail": "q:spain"})
    assert answer.status_code == 200
    check(answer.text)
    expected = service.model.predictor.predict_relations("France", "q:spain", k=20)
    names = service.model.graph.relation_names
    body = answer.text.split('id="answers"')[1]
    places = [body.index(f"<bdi>{p.name}</bdi>") for p in expected if "<" not in p.name]
    assert places == sorted(places)
    assert len(expected) == len(names)


@pytest.mark.parametrize("label", [SCRIPT, LONG])
def test_hostile_labels_are_texts(client: TestClient, label: str) -> None:
    answer = client.get("/ask", params={"head": make_reference(label), "relation": "borders"})
    assert answer.status_code == 200
    assert "<script>alert" not in answer.text
    check(answer.text)


@pytest.mark.parametrize(
    ("asked", "status", "words"),
    [
        ({"head": "Frence", "relation": "borders"}, 404, "did you mean France"),
        ({"head": "France", "relation": "bordrs"}, 404, "borders"),
        ({"head": "France", "relation": "borders", "tail": "Spane"}, 404, "did you mean Spain"),
        ({"head": SCRIPT + "x", "relation": "borders"}, 404, "has no entity"),
    ],
)
def test_what_is_wrong_is_said_beside_the_form(
    client: TestClient, asked: dict[str, str], status: int, words: str
) -> None:
    answer = client.get("/ask", params=asked)
    assert answer.status_code == status
    assert words in answer.text
    assert "<script>alert" not in answer.text
    assert check(answer.text)


def test_a_page_of_an_entity_leads_there(client: TestClient) -> None:
    answer = client.get("/entity", params={"label": "q:france"})
    assert "/ask?head=q%3Afrance" in answer.text
    assert "/ask?tail=q%3Afrance" in answer.text


def test_a_whole_fact_is_known_or_not(client: TestClient, service: Service) -> None:
    model = service.model
    graph = model.graph
    known = graph.facts("test")[0].tolist()
    new = next(
        [known[0], known[1], tail]
        for tail in range(graph.num_entities)
        if tail != known[0] and not fact_is_known(service, known[0], known[1], tail)
    )
    for fact, words in ((known, "The graph has this fact (test)."), (new, "does not have this")):
        labels = label_fact(graph, tuple(fact))
        given = dict(zip(("head", "relation", "tail"), map(make_reference, labels), strict=True))
        answer = client.get("/ask", params=given)
        assert answer.status_code == 200
        check(answer.text)
        assert words in answer.text
        for asked in ("tail", "head"):
            why = model.predictor.explain(*labels, asked=asked, limit=0)  # type: ignore[arg-type]
            assert f'<td class="number">{why.rank:,} of {why.candidates:,}</td>' in answer.text


def fact_is_known(service: Service, head: int, relation: int, tail: int) -> bool:
    return any(
        [head, relation, tail] in service.model.graph.facts(split).tolist() for split in SPLIT_NAMES
    )


def test_a_question_is_asked_the_other_way_round(client: TestClient) -> None:
    answer = client.get("/ask", params={"head": "France", "relation": "borders"})
    turned = re.search(r'href="([^"]*)">Ask the other way round', answer.text)
    assert turned is not None
    page = client.get(turned[1].replace("&amp;", "&")).text
    assert "Ask the other way round" in page
    assert 'name="tail" value="q:france"' in page
