"""Who may ask, from where; what every answer carries."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from time import time

import pytest
from starlette.testclient import TestClient

from momok.errors import ConfigError
from momok.serving.access import is_local_path
from momok.serving.settings import ServeSettings, is_loopback

Serve = Callable[..., TestClient]
TOKEN = "correct-horse-battery"
PAGE = {"accept": "text/html"}
ASKED = {"head": "France", "relation": "borders", "k": 1}


# -- the address -----------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "127.9.9.9", "::1", "[::1]", "localhost"])
def test_this_machine_needs_no_token(host: str) -> None:
    assert is_loopback(host)
    ServeSettings(run=Path("run"), host=host)


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.7", "db.example", ""])
def test_other_addresses_need_a_token_or_to_be_insecure(host: str) -> None:
    with pytest.raises(ConfigError, match="no token is set"):
        ServeSettings(run=Path("run"), host=host)
    ServeSettings(run=Path("run"), host=host, token=TOKEN)
    ServeSettings(run=Path("run"), host=host, insecure=True)


def test_a_token_that_can_be_guessed_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least 16"):
        ServeSettings(run=Path("run"), token="short")
    with pytest.raises(ConfigError, match="cannot hold"):
        ServeSettings(run=Path("run"), token="with a line\nbreak in it")


# -- hosts and origins -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "host", ["localhost", "127.0.0.1:8000", "[::1]:80", "10.0.0.3", "LOCALHOST"]
)
def test_hosts_that_cannot_be_rebound_are_answered(client: TestClient, host: str) -> None:
    assert client.get("/health", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["evil.example", "localhost.evil.example", "", "127.0.0.1.nip.io"])
def test_other_names_of_this_address_are_refused(client: TestClient, host: str) -> None:
    answer = client.get("/api/v1", headers={"host": host})
    assert answer.status_code == 421
    assert answer.json()["error"]["code"] == "unknown_host"


def test_a_host_that_is_allowed_is_answered(serve: Serve) -> None:
    client = serve(allowed_hosts=("graph.example",))
    assert client.get("/health", headers={"host": "graph.example:443"}).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": "http://localhost:1"},
        {"origin": "http://[bad"},
    ],
)
def test_changes_from_other_sites_are_refused(client: TestClient, headers: dict[str, str]) -> None:
    answer = client.post("/api/v1/predict", json=ASKED, headers=headers)
    assert answer.status_code == 403
    assert client.post("/api/v1/predict", json=ASKED).status_code == 200
    same = {"origin": "http://localhost", "sec-fetch-site": "same-origin"}
    assert client.post("/api/v1/predict", json=ASKED, headers=same).status_code == 200


def test_forms_from_other_sites_are_refused(client: TestClient) -> None:
    def rename(origin: str) -> int:
        headers = {"origin": origin}
        answer = client.post(
            "/review/name", data={"name": "Ann"}, headers=headers, follow_redirects=False
        )
        return answer.status_code

    assert rename("http://evil.example") == rename("null") == 403
    assert rename("http://localhost") == 303


# -- sessions --------------------------------------------------------------------------------


def test_a_forged_or_old_session_is_none(
    serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reviews = f"sqlite:///{tmp_path / 'shared.sqlite'}"
    client, other = (serve(token=t, reviews=reviews) for t in (TOKEN, "another-good-token"))

    def is_let_in(value: str, server: TestClient = client) -> bool:
        server.cookies.clear()
        return server.get("/history", headers={"cookie": f"{name}={value}"}).status_code == 200

    client.get("/login")
    ((name, stranger),) = client.cookies.items()
    client.post("/login", data={"token": TOKEN}, follow_redirects=False)
    good = client.cookies[name]
    assert is_let_in(good)
    content, at, signature = good.rsplit(".", 2)
    promoted = ".".join([content, *stranger.rsplit(".", 2)[1:]])
    later = ".".join([content, at[:-1] + ("B" if at[-1] == "A" else "A"), signature])
    for value in (stranger, promoted, later, good[:-1], "", "a.b.c", content, "broken;;;=\x7f"):
        assert not is_let_in(value)
    assert not is_let_in(good, other)  # another token ends all sessions
    now = time()
    monkeypatch.setattr("momok.serving.access.time.time", lambda: now + 11 * 3600)
    assert is_let_in(good)
    monkeypatch.setattr("momok.serving.access.time.time", lambda: now + 13 * 3600)
    assert not is_let_in(good)


def test_cookies_are_sent_over_tls_only_where_the_page_was(client: TestClient) -> None:
    for scheme in ("http", "https"):
        answer = client.get(f"{scheme}://localhost/login")
        assert ("secure" in answer.headers["set-cookie"]) == (scheme == "https")
        client.cookies.clear()


# -- the token -------------------------------------------------------------------------------


def test_nothing_is_shown_without_the_token(serve: Serve) -> None:
    client = serve(token=TOKEN)
    for path in (
        "/",
        "/api/v1",
        "/entity?label=q:france",
        "/metrics",
        "/api/v1/openapi.json",
        "/picture?entity=q:france",
        "/api/v1/reviews/export",
        "/static/../api/v1",
        "/nothing",
    ):
        assert client.get(path).status_code == 401, path
        assert "borders" not in client.get(path).text
    assert client.post("/api/v1/predict", json=ASKED).status_code == 401
    for path in ("/health", "/ready", "/static/momok.css"):
        assert client.get(path).status_code == 200


def test_the_token_opens_the_api(serve: Serve) -> None:
    client = serve(token=TOKEN)

    def ask(value: str) -> int:
        return client.get("/api/v1", headers={"authorization": value}).status_code

    assert ask(f"Bearer {TOKEN}") == ask(f"bearer  {TOKEN}") == 200
    assert ask(TOKEN) == ask(f"Basic {TOKEN}") == ask("Bearer") == ask(f"Bearer {TOKEN}x") == 401
    answer = client.post(
        "/api/v1/predict", json=ASKED, headers={"authorization": f"Bearer {TOKEN}"}
    )
    assert answer.status_code == 200


def test_a_browser_logs_in_and_out(serve: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("momok.serving.pages._FAILED_SECONDS", 0.0)
    client = serve(token=TOKEN)
    refused = client.get("/entity?label=q:france&all=true", headers=PAGE, follow_redirects=False)
    assert refused.status_code == 303
    assert refused.headers["location"].startswith("/login?next=%2Fentity%3Flabel")
    page = client.get("/entity?label=q:france&all=true", headers=PAGE)
    assert 'value="/entity?label=q:france&amp;all=true"' in page.text
    fields = {"next": "/history", "token": "wrong" * 5}
    assert client.post("/login", data=fields).status_code == 401
    answer = client.post("/login", data=fields | {"token": TOKEN}, follow_redirects=False)
    assert (answer.status_code, answer.headers["location"]) == (303, "/history")
    cookie = answer.headers["set-cookie"]
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert TOKEN not in cookie
    assert client.get("/history").status_code == 200
    elsewhere = {"origin": "https://evil.example"}
    assert client.post("/api/v1/predict", json=ASKED).status_code == 200
    assert client.post("/api/v1/predict", json=ASKED, headers=elsewhere).status_code == 403
    client.post("/logout")
    assert client.get("/history").status_code == 401


@pytest.mark.parametrize(
    "place", ["//evil.example", "https://evil.example", "/\\evil", "x", "/a\nb"]
)
def test_login_leads_nowhere_else(serve: Serve, place: str) -> None:
    assert not is_local_path(place)
    client = serve(token=TOKEN)
    fields = {"next": place, "token": TOKEN}
    answer = client.post("/login", data=fields, follow_redirects=False)
    assert answer.headers["location"] == "/"


# -- every answer ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "path", ["/", "/api/v1", "/static/momok.css", "/nothing", "/picture?entity=q:france", "/health"]
)
def test_every_answer_has_the_security_headers(client: TestClient, path: str) -> None:
    headers = client.get(path).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "same-origin"
    assert "server" not in headers
    assert "cache-control" in headers


def test_refusals_have_them_too(client: TestClient) -> None:
    headers = client.get("/", headers={"host": "evil.example"}).headers
    assert "default-src 'none'" in headers["content-security-policy"]


@pytest.mark.parametrize(
    "path",
    [
        "/static/../settings.py",
        "/static/%2e%2e/settings.py",
        "/static/..%2fsettings.py",
        "/static/%2e%2e%2f%2e%2e%2f%2e%2e%2f%2e%2e%2fetc/passwd",
        "/static//etc/passwd",
        "/static/..\\settings.py",
        "/picture?entity=../../../../etc/passwd",
        "/picture?entity=%2fetc%2fpasswd",
    ],
)
def test_no_path_leads_out(client: TestClient, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (400, 404)
    assert "root:" not in answer.text
    assert "ServeSettings" not in answer.text
