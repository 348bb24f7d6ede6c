"""The JSON API: the predictor's own answers, limits, pages, errors."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest
from starlette.testclient import TestClient

from momok.prediction import Predictor
from momok.serving.entity_search import make_reference
from momok.serving.metrics import Metrics
from momok.serving.model_holder import MicroBatcher
from momok.serving.service import Service
from tests.serving.served_run import LONG, LONG_CHINESE, NAMES, SCRIPT

Serve = Callable[..., TestClient]


def error_of(answer: object) -> str:
    return str(answer.json()["error"]["code"])  # type: ignore[attr-defined]


def test_about_says_what_is_served(client: TestClient) -> None:
    about = client.get("/api/v1").json()
    assert (about["name"], about["entities"], about["relations"]) == ("hostile", len(NAMES), 3)
    assert about["modalities"] == ["structure", "text"]
    assert about["calibrated"] is False


# -- predictions -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "asked",
    [
        {"head": "France", "relation": "borders"},
        {"tail": "q:twin1", "relation": "lies-in", "k": 3},
        {"head": "日本", "relation": "borders", "known": "hide", "k": 5},
        {"head": LONG, "relation": "r:" + SCRIPT, "k": 1},
        {"head": "France", "relation": "borders", "k": 4, "plausible": True},
        {"head": "France", "relation": "borders", "k": 4, "among": "place"},
        {"head": "France", "relation": "borders", "k": 4, "among": ["Spain", "q:twin1", "Spain"]},
        {"head": make_reference(LONG_CHINESE), "relation": "BORDERS", "k": 1000},
    ],
)
def test_predictions_are_those_of_the_predictor(
    client: TestClient, service: Service, asked: dict[str, object]
) -> None:
    answer = client.post("/api/v1/predict", json=asked).json()
    predictor = service.model.predictor
    head = asked.get("head")
    if head == make_reference(LONG_CHINESE):
        head = LONG_CHINESE
    expected = predictor.predict(
        head=head,  # type: ignore[arg-type]
        relation=str(asked["relation"]),
        tail=asked.get("tail"),  # type: ignore[arg-type]
        k=asked.get("k", 10),  # type: ignore[arg-type]
        known=asked.get("known", "mark"),  # type: ignore[arg-type]
        plausible=bool(asked.get("plausible")),
        among=asked.get("among"),  # type: ignore[arg-type]
    )
    assert [p["label"] for p in answer["predictions"]] == [p.label for p in expected]
    for mine, theirs in zip(answer["predictions"], expected, strict=True):
        assert mine["score"] == pytest.approx(theirs.score, abs=1e-6)
        assert mine["known"] == theirs.known
        assert mine["title"] == theirs.title
        assert sum(mine["shares"].values()) == pytest.approx(1)


def test_a_batch_answers_each_question(client: TestClient) -> None:
    questions = [
        {"head": "France", "relation": "borders"},
        {"tail": "France", "relation": "borders"},
        {"head": "Spain", "relation": "lies-in"},
    ]
    options = {"k": 4, "among": ["Spain", "France", "q:twin1"]}
    asked = {"questions": questions} | options
    batch = client.post("/api/v1/predict/batch", json=asked).json()
    for question, result in zip(questions, batch["results"], strict=True):
        alone = client.post("/api/v1/predict", json=question | options).json()
        assert 0 < len(alone["predictions"]) <= 3
        assert [p["label"] for p in result["predictions"]] == [
            p["label"] for p in alone["predictions"]
        ]


def test_relations_between_two_entities(client: TestClient, service: Service) -> None:
    asked = {"head": "France", "tail": "q:twin1", "k": 2}
    answer = client.post("/api/v1/predict/relations", json=asked).json()
    expected = service.model.predictor.predict_relations("France", "q:twin1", k=2)
    assert answer["predictions"] == expected.to_json()["predictions"]
    assert answer["model"] == service.model.version
    wrong = client.post("/api/v1/predict/relations", json=asked | {"tail": "nowhere"})
    assert (wrong.status_code, error_of(wrong)) == (404, "unknown_label")


def test_scores_of_facts(client: TestClient, service: Service) -> None:
    graph = service.model.graph
    h, r, t = graph.train[0].tolist()
    fact = {
        "head": graph.entities.labels[h],
        "relation": graph.relations.labels[r],
        "tail": graph.entities.labels[t],
    }
    answer = client.post("/api/v1/score", json={"facts": [fact, fact]}).json()
    expected = float(service.model.predictor.score_facts([(h, r, t)]).answer[0])
    assert len(answer["facts"]) == 2
    assert answer["facts"][0] == answer["facts"][1]
    assert answer["facts"][0]["tail_answer"] == pytest.approx(expected, rel=1e-5)
    assert answer["facts"][0]["known"] == "train"
    wrong = client.post("/api/v1/score", json={"facts": [fact, fact | {"head": "nowhere"}]})
    assert wrong.status_code == 404
    assert client.post("/api/v1/score", json={"facts": []}).status_code == 422


def test_questions_asked_at_once_are_answered_together_and_alike(service: Service) -> None:
    """As many as fit go to the model in one call, and each gets its own answer."""
    predictor, metrics, calls = service.model.predictor, Metrics(), []

    class Counting:
        def predict_many(self, questions: list[object], k: int, **options: object) -> object:
            calls.append(len(questions))
            return predictor.predict_many(questions, k, **options)  # type: ignore[arg-type]

    counting = Counting()
    batcher = MicroBatcher(30.0, metrics)
    questions = [(h, h % 3, None) if h % 2 else (None, h % 3, h) for h in range(30)]

    async def ask_all() -> list[object]:
        return await asyncio.gather(
            *(
                batcher.ask(
                    q, (counting, 3 + (q[1] == 0), "hide" if q[1] == 1 else "mark", False, None)
                )  # type: ignore[arg-type]
                for q in questions
            )
        )

    answers = asyncio.run(ask_all())
    batcher.close()
    assert sum(calls) == len(questions)
    assert len(calls) < len(questions)
    for question, found in zip(questions, answers, strict=True):
        known = "hide" if question[1] == 1 else "mark"
        (alone,) = predictor.predict_many([question], 3 + (question[1] == 0), known=known)
        assert [p.label for p in found] == [p.label for p in alone]  # type: ignore[attr-defined]


def test_many_questions_of_one_kind_do_not_hold_up_others() -> None:
    calls = []

    class Counting:
        def predict_many(self, questions: list[object], k: int, **_: object) -> object:
            calls.append((k, len(questions)))
            return questions

    counting: Predictor = Counting()  # type: ignore[assignment]
    batcher = MicroBatcher(30.0, Metrics())

    async def ask_all() -> None:
        asked = [1] * 200 + [2]
        await asyncio.gather(
            *(batcher.ask((0, 0, None), (counting, k, "mark", False, None)) for k in asked)
        )

    asyncio.run(ask_all())
    batcher.close()
    assert calls == [(1, 64), (2, 1), (1, 64), (1, 64), (1, 8)]


def test_a_failing_question_fails_alone() -> None:
    class Broken:
        def predict_many(self, *_: object, **__: object) -> object:
            raise RuntimeError("no")

    broken: Predictor = Broken()  # type: ignore[assignment]
    batcher = MicroBatcher(30.0, Metrics())
    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(batcher.ask((0, 0, None), (broken, 1, "mark", False, None)))
    with pytest.raises(RuntimeError, match="no"):
        asyncio.run(batcher.ask((0, 0, None), (broken, 1, "mark", False, None)))
    batcher.close()


def test_when_too_much_waits_the_server_says_so(serve: Serve) -> None:
    client = serve(answer_seconds=0.0)
    answer = client.post("/api/v1/predict", json={"head": "France", "relation": "borders"})
    assert (answer.status_code, error_of(answer)) == (503, "busy")
    assert answer.headers["retry-after"] == "1"


def test_an_explanation_has_no_paths_of_this_machine(client: TestClient, service: Service) -> None:
    asked = {"head": "France", "relation": "borders", "tail": "Spain"}
    answer = client.post("/api/v1/explain", json=asked)
    found = answer.json()
    expected = service.model.predictor.explain("France", "borders", "Spain")
    assert found["probability"] == pytest.approx(expected.probability, abs=1e-6)
    assert [h["name"] for h in found["heads"]] == ["structure", "text", "joint"]
    assert found["head"]["picture"] == "/picture?entity=q%3Afrance"
    assert "/graph" not in answer.text
    assert ".png" not in answer.text


def test_new_facts_of_an_entity_are_new_and_fit(client: TestClient, service: Service) -> None:
    groups = client.get("/api/v1/entity/predictions", params={"label": "France", "k": 4}).json()
    graph = service.model.predictor.graph
    labels, relations = graph.entities.labels, graph.relations.labels
    parts = [graph.facts(split) for split in ("train", "valid", "test")]
    known = {(labels[h], relations[r], labels[t]) for part in parts for h, r, t in part.tolist()}
    assert groups["groups"]
    best = [group["predictions"][0]["score"] for group in groups["groups"]]
    assert best == sorted(best, reverse=True)
    for group in groups["groups"]:
        relation, asked = group["relation"]["label"], group["asked"]
        assert 1 <= len(group["predictions"]) <= 4
        for answer in group["predictions"]:
            ends = ["q:france", answer["label"]]
            head, tail = ends if asked == "tail" else ends[::-1]
            assert (head, relation, tail) not in known
            side = {f[2] for f in known if f[1] == relation}
            if asked == "head":
                side = {f[0] for f in known if f[1] == relation}
            assert answer["label"] in side
            assert head != tail


# -- the graph -------------------------------------------------------------------------------


def test_search(client: TestClient) -> None:
    def names(q: str, **more: object) -> list[str]:
        found = client.get("/api/v1/search", params={"q": q, **more}).json()["results"]
        return [entry["label"] for entry in found]

    assert names("dabr") == ["q:dabritz"]
    assert names("nihon") == ["q:japan"]
    assert names("日") == ["q:japan"]
    assert names("مصر") == ["q:egypt"]
    assert set(names("springfield")) == {"q:twin1", "q:twin2"}
    assert len(names("place", limit=3)) == 3
    assert names("<script>") == [SCRIPT]
    assert names("") == names("qqqqqqqqq") == []
    near = client.get("/api/v1/search", params={"q": "Frnace"}).json()["results"][0]
    assert (near["label"], near["near"]) == ("q:france", True)


def test_facts_come_in_pages(client: TestClient) -> None:
    def page(offset: int, limit: int) -> dict[str, object]:
        params = {"label": "q:france", "offset": offset, "limit": limit}
        found: dict[str, object] = client.get("/api/v1/entity/facts", params=params).json()
        return found

    whole = page(0, 200)
    total = whole["total"]
    assert isinstance(total, int)
    pages = [page(start, 3)["facts"] for start in range(0, total, 3)]
    assert [fact for part in pages for fact in part] == whole["facts"]  # type: ignore[attr-defined]
    assert page(10_000, 5)["facts"] == []


def test_relations_come_in_pages_with_their_decisions(client: TestClient) -> None:
    fact = {"head": "q:place1", "relation": "lies-in", "tail": "q:place2"}
    client.post("/api/v1/reviews", json=fact | {"action": "reject", "reviewer": "rel"})
    answer = client.get("/api/v1/relations", params={"offset": 1, "limit": 1}).json()
    assert (answer["total"], len(answer["relations"])) == (3, 1)
    assert answer["relations"][0]["label"] == "lies-in"
    assert answer["relations"][0]["rejected"] >= 1


# -- errors ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "status", "code", "words"),
    [
        ({"head": "Frnace", "relation": "borders"}, 404, "unknown_label", "did you mean France?"),
        ({"head": "France", "relation": "bodrers"}, 404, "unknown_label", "no relation"),
        ({"head": "Springfield", "relation": "borders"}, 422, "ambiguous_name", "q:twin1"),
        ({"head": "France", "tail": "Spain", "relation": "borders"}, 422, "wrong_value", "exactly"),
        ({"relation": "borders"}, 422, "wrong_value", "exactly one"),
        (
            {"head": "France", "relation": "borders", "k": 0},
            422,
            "wrong_value",
            "body.k = 0: expected 1 or more",
        ),
        ({"head": "France", "relation": "borders", "k": 1001}, 422, "wrong_value", "1000 or less"),
        ({"head": "France", "relation": "borders", "k": "5"}, 422, "wrong_value", "a whole number"),
        (
            {"head": "France", "relation": "borders", "K": 5},
            422,
            "wrong_value",
            "body.K is not known",
        ),
        (
            {"head": "x" * 20_000, "relation": "borders"},
            422,
            "wrong_value",
            "16384 characters or less",
        ),
        ({"head": "a\0b", "relation": "borders"}, 422, "wrong_value", "zero byte"),
        (
            {"head": "France", "relation": "borders", "among": "plase"},
            404,
            "unknown_label",
            "no entities of the type 'plase'; did you mean place?",
        ),
        (
            {"head": "France", "relation": "borders", "among": ["Frence"]},
            404,
            "unknown_label",
            "'Frence'",
        ),
        (
            {"head": "France", "relation": "borders", "among": []},
            422,
            "wrong_value",
            "body.among.list = []: expected 1 or more values",
        ),
        ({"head": 3, "relation": "borders"}, 422, "wrong_value", "body.head = 3: expected text"),
        ([], 422, "wrong_value", "body = []: expected a JSON object"),
    ],
)
def test_wrong_questions_are_said(
    client: TestClient, body: object, status: int, code: str, words: str
) -> None:
    answer = client.post("/api/v1/predict", json=body)
    assert (answer.status_code, error_of(answer)) == (status, code)
    assert words in answer.json()["error"]["message"]
    assert len(answer.text) < 1000


@pytest.mark.parametrize(
    "content", [b"", b"{", b"\xff\xfe", b'{"head": "\\ud800", "relation": "borders"}', b"NaN"]
)
def test_broken_bodies_are_said(client: TestClient, content: bytes) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/v1/predict", content=content, headers=headers)
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]


def test_large_bodies_are_refused(client: TestClient) -> None:
    headers = {"content-type": "application/json"}
    answer = client.post("/api/v1/predict", content=b" " * (1 << 20) + b"{}", headers=headers)
    assert (answer.status_code, error_of(answer)) == (413, "too_large")
    parts = (b" " * 100_000 for _ in range(20))  # without a length
    assert client.post("/api/v1/predict", content=parts, headers=headers).status_code == 413
    questions = [{"head": "France", "relation": "borders"}] * 257
    assert client.post("/api/v1/predict/batch", json={"questions": questions}).status_code == 422


def test_unknown_places_and_methods(client: TestClient) -> None:
    assert client.get("/api/v1/nothing").json()["error"]["message"] == "Not Found"
    assert (
        client.delete("/api/v1/predict", headers={"content-type": "application/json"}).status_code
        == 405
    )
    assert client.get("/api/v1/entity", params={"label": "nobody"}).status_code == 404
    assert client.get("/api/v1/reviews", params={"limit": 201}).status_code == 422


# -- reviews ---------------------------------------------------------------------------------


def test_a_review_from_next_to_export(serve: Serve) -> None:
    client = serve()
    asked = {"relation": "borders", "reviewer": "ann"}
    answer = client.post("/api/v1/reviews/next", json=asked).json()
    while answer["ranking"]:
        answer = client.post("/api/v1/reviews/next", json=asked).json()
    review = answer["review"]
    fact = {name: review[name] for name in ("head", "relation", "tail")}
    other = client.post("/api/v1/reviews/next", json=asked | {"reviewer": "bob"}).json()["review"]
    assert {name: other[name] for name in fact} != fact
    decision = fact | {"action": "accept", "reviewer": "ann", "version": 0, "note": "yes"}
    done = client.post("/api/v1/reviews", json=decision).json()
    assert (done["state"], done["version"]) == ("accepted", 1)
    assert 0 < done["probability"] < 1
    late = client.post("/api/v1/reviews", json=decision | {"reviewer": "bob"})
    assert (late.status_code, error_of(late)) == (409, "conflict")
    assert client.get("/api/v1/reviews", params={"state": "accepted"}).json()["reviews"] == [done]
    export = "/api/v1/reviews/export"
    rows = client.get(export, params={"state": "", "relation": "borders"}).text.splitlines()
    assert [row.split("\t")[:4] for row in rows[1:]] == [[*fact.values(), "accepted"]]
    assert len(client.get(export, params={"state": "rejected"}).text.splitlines()) == 1
    assert client.get(export, params={"since": "now"}).status_code == 422
    triples = client.get(export, params={"format": "ntriples"})
    assert triples.headers["content-type"].startswith("application/n-triples")
    assert triples.text.endswith(" .\n")
    undone = client.post("/api/v1/reviews/undo", json={"reviewer": "ann"}).json()
    assert undone["state"] == "open"
    assert client.get(export, params={"format": "jsonl"}).text == ""
    written = {"content": "\n".join(rows), "params": {"reviewer": "eve"}}
    answer = client.post("/api/v1/reviews/import", **written).json()
    assert answer == {"added": 1, "known": 0, "undecided": 0, "differing": []}
    assert client.post("/api/v1/reviews/import", **written).json()["known"] == 1
    wrong = client.post("/api/v1/reviews/import", content="a\tb\n")
    assert (wrong.status_code, error_of(wrong)) == (422, "wrong_value")
    history = client.get("/api/v1/reviews/history").json()["events"]
    assert [event["action"] for event in history] == ["accept", "undo", "accept"]
    assert history[0]["reviewer"] == "ann"  # as the file says


@pytest.mark.parametrize("reviewer", ["", "   ", "x" * 81, "a\nb", "\0"])
def test_reviewers_have_names(client: TestClient, reviewer: str) -> None:
    answer = client.post("/api/v1/reviews/undo", json={"reviewer": reviewer})
    assert answer.status_code == 422


# -- probes ----------------------------------------------------------------------------------


def test_probes(client: TestClient, service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    assert client.get("/health").json() == {"status": "ok"}
    assert client.get("/ready").json() == {"status": "ok"}
    text = client.get("/metrics").text
    assert f'momok_model_info{{version="{service.model.version}"}} 1.0' in text
    assert 'momok_http_requests_total{method="GET",route="/health",status="200"}' in text
    monkeypatch.setattr(service.store, "ping", lambda: False)
    assert client.get("/ready").status_code == 503


def test_strange_requests_do_not_make_new_metrics(client: TestClient) -> None:
    client.request("BREW", "/pot-" + "x" * 50)
    client.get("/<unknown>")
    text = client.get("/metrics").text
    assert "BREW" not in text
    assert "pot-" not in text
    assert "unknown>" not in text


def test_a_wrong_tail_is_corrected(serve: Serve) -> None:
    client = serve()
    about = {"relation": "borders", "reviewer": "ann", "action": "reject"}
    graph = client.app.state.service.model.graph  # type: ignore[attr-defined]
    known = {tuple(fact) for fact in graph.fact_index.facts.tolist()}
    head, relation = graph.entities.index("q:france"), graph.relations.index("borders")
    free = [t for t in range(graph.num_entities) if (head, relation, t) not in known and t != head]
    wrong, right = (graph.entities.labels[t] for t in free[:2])
    asked = about | {"head": "q:france", "tail": wrong, "right_tail": right}
    done = client.post("/api/v1/reviews", json=asked | {"source": "https://example.org/map"}).json()
    assert (done["state"], done["reason"], done["right_tail"]) == ("rejected", "wrong_tail", right)
    accepted = client.get("/api/v1/reviews", params={"state": "accepted"}).json()["reviews"]
    assert [(r["head"], r["tail"], r["along"]) for r in accepted] == [("q:france", right, True)]
    again = asked | {"tail": graph.entities.labels[free[2]]}
    for change in ({"action": "accept"}, {"right_tail": again["tail"]}, {"source": "javascript:x"}):
        assert client.post("/api/v1/reviews", json=again | change).status_code == 422
    client.post("/api/v1/reviews/undo", json={"reviewer": "ann"})
    assert len(client.get("/api/v1/reviews/export").text.splitlines()) == 1
