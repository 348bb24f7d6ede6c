"""Reviewers with tokens: their names, their roles, their end."""

from __future__ import annotations

import hashlib
import hmac
import json
import time
from base64 import b64encode
from collections.abc import Callable

import pytest
from itsdangerous import TimestampSigner
from starlette.testclient import TestClient

from momok.serving.reviews.accounts import make_proof
from momok.serving.service import Service

Serve = Callable[..., TestClient]
TOKEN = "correct-horse-battery"
FACT = {"head": "France", "relation": "borders", "tail": "q:twin1", "action": "accept"}


@pytest.fixture(autouse=True)
def always_fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("momok.serving.identity._FRESH_SECONDS", -1.0)
    monkeypatch.setattr("momok.serving.pages._FAILED_SECONDS", 0.0)


def add(client: TestClient, name: str, role: str = "reviewer") -> dict[str, str]:
    """A reviewer of a served run: the header that shows the token."""
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    token = service.store.add_reviewer(name, role, by="test")  # type: ignore[arg-type]
    return {"authorization": f"Bearer {token}"}


@pytest.mark.parametrize("token", ["", TOKEN])
def test_with_reviewers_everybody_signs_in(serve: Serve, token: str) -> None:
    client = serve(token=token)
    assert (client.get("/api/v1").status_code == 200) == (token == "")
    ada = add(client, "Ada")
    assert client.get("/api/v1").status_code == 401
    assert client.get("/api/v1", headers=ada).status_code == 200
    if token:
        given = {"authorization": f"Bearer {TOKEN}"}
        assert client.get("/api/v1", headers=given).status_code == 200
    for wrong in ("", "Ada", "x" * 43):
        assert client.post("/login", data={"token": wrong}).status_code == 401
        bearer = {"authorization": f"Bearer {wrong}"}
        assert client.get("/api/v1", headers=bearer).status_code == 401


def test_a_reviewer_has_one_name(serve: Serve) -> None:
    client = serve(token=TOKEN)
    ada, server = add(client, "Ada"), {"authorization": f"Bearer {TOKEN}"}
    done = client.post("/api/v1/reviews", json=FACT, headers=ada).json()
    assert (done["state"], done["reviewer"]) == ("accepted", "Ada")
    for path, asked in (
        ("/api/v1/reviews", FACT | {"version": 1}),
        ("/api/v1/reviews/undo", {}),
        ("/api/v1/reviews/next", {}),
    ):
        refused = client.post(path, json=asked | {"reviewer": "Bob"}, headers=ada)
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, "other_name")
        for name in ("ada", "ADA "):  # nor has anybody else hers
            refused = client.post(path, json=asked | {"reviewer": name}, headers=server)
            assert (refused.status_code, refused.json()["error"]["code"]) == (403, "other_name")
        assert client.post(path, json=asked, headers=server).status_code == 422
    same = {"reviewer": "Ada"}
    assert client.post("/api/v1/reviews/undo", json=same, headers=ada).status_code == 200


def test_a_reviewer_signs_in_and_has_that_name_on_the_page(serve: Serve) -> None:
    client = serve()
    token = add(client, "Ada", "settler")["authorization"].removeprefix("Bearer ")
    client.post("/login", data={"token": token})
    page = client.get("/review").text
    assert "Reviewing as</span> <bdi>Ada</bdi>" in page
    assert 'action="/review/name"' not in page
    assert client.post("/review/name", data={"name": "Bob"}).status_code == 403
    client.post("/review/decide", data=FACT)
    assert "<bdi>Ada</bdi>" in client.get("/history").text
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    assert service.store.list_reviews()[0][0].reviewer == "Ada"
    said = [(entry.who, entry.action) for entry in service.store.list_audit()[0]]
    assert said[:2] == [("Ada", "decide"), ("Ada", "sign in")]
    client.post("/logout")
    assert client.get("/review").status_code == 401


def test_a_revoked_token_ends_sessions_too(serve: Serve) -> None:
    client = serve(token=TOKEN)
    ada = add(client, "Ada")
    token = ada["authorization"].removeprefix("Bearer ")
    client.post("/login", data={"token": token})
    assert client.get("/history").status_code == 200
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    service.store.revoke_reviewer("Ada", by="test")
    assert client.get("/history").status_code == 401
    assert client.get("/api/v1", headers=ada).status_code == 401
    add(client, "Ada")  # a new token does not bring the old session back
    assert client.get("/history").status_code == 401
    service.store.revoke_reviewer("Ada", by="test")
    client.post("/login", data={"token": TOKEN})
    assert client.get("/history").status_code == 200


def test_the_last_reviewer_does_not_leave_the_door_open(serve: Serve) -> None:
    client = serve()
    add(client, "Ada")
    client.app.state.service.store.revoke_reviewer("Ada", by="test")  # type: ignore[attr-defined]
    assert client.get("/api/v1").status_code == 401


def test_counts_of_decisions_are_for_admins(serve: Serve) -> None:
    client = serve()
    ada, root = add(client, "Ada", "settler"), add(client, "Root", "admin")
    refused = client.get("/metrics", headers=ada)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "not_allowed")
    assert client.get("/metrics", headers=root).status_code == 200


def sign(client: TestClient, session: dict[str, object]) -> None:
    """Give a client a session that somebody signed who has read the database, and no more."""
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    secret = service.store.load_secret()
    key = hmac.digest(secret.encode(), b"", "sha256").hex()
    data = b64encode(json.dumps(session).encode())
    name = f"momok_{hashlib.sha256(secret.encode()).hexdigest()[:8]}"
    client.cookies.set(name, TimestampSigner(key).sign(data).decode())


def test_who_reads_the_database_is_nobody(serve: Serve) -> None:
    client = serve()
    proof = make_proof(add(client, "Root", "admin")["authorization"].removeprefix("Bearer "))
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    [root] = service.store.list_reviewers()
    until = {"trusted_until": time.time() + 60}
    for session, status in (
        ({}, 401),
        ({"account": ""}, 401),
        ({"account": root.token}, 401),
        ({"account": proof}, 200),  # what the token alone gives
    ):
        sign(client, until | session)
        assert client.get("/api/v1").status_code == status, session


def test_a_name_is_lost_to_the_reviewer_who_has_it(serve: Serve) -> None:
    client = serve(token=TOKEN)
    client.post("/login", data={"token": TOKEN})
    client.post("/review/name", data={"name": "Ada  Byron"})
    assert 'value="Ada Byron"' in client.get("/review").text
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    client.get("/api/v1/reviews/export")
    assert service.store.list_audit()[0][0].who == "server token (Ada Byron)"
    add(client, "ada byron")
    assert "ada byron" not in client.get("/review").text.casefold()
    client.get("/api/v1/reviews/export")
    who = service.store.list_audit()[0][0].who
    assert who.startswith("server token (reviewer-")
    server = {"authorization": f"Bearer {TOKEN}"}
    asked = FACT | {"reviewer": "Ada  Byron"}
    assert client.post("/api/v1/reviews", json=asked, headers=server).status_code == 403


def test_a_token_that_is_replaced_during_sign_in_opens_nothing(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = serve(token=TOKEN)
    token = add(client, "Ada")["authorization"].removeprefix("Bearer ")
    client.get("/health")
    service: Service = client.app.state.service  # type: ignore[attr-defined]
    record = service.store.record

    def replace(*given: str) -> None:
        service.store.revoke_reviewer("Ada", by="test")
        service.store.add_reviewer("Ada", "reviewer", by="test")
        service.gate._read()
        record(*given)

    monkeypatch.setattr(service.store, "record", replace)
    client.post("/login", data={"token": token})
    assert client.get("/api/v1").status_code == 401
