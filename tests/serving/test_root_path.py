"""The server behind a proxy that gives it a part of a host."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote, urlsplit

import pytest
from starlette.testclient import TestClient

from momok.errors import ConfigError
from momok.serving.settings import ServeSettings

Serve = Callable[..., TestClient]
ROOT = "/kg/momok"
TOKEN = "correct-horse-battery"
PAGES = ("/", "/review", "/history", "/api", "/search?q=a", "/login", "/nowhere/at/all")
# Inside a value there is no quotation mark: it is escaped.
ADDRESSES = re.compile(r'\b(?:href|src|action|data-root)="(/[^"]*)"')


@pytest.mark.parametrize("begin", [ROOT, ""], ids=["kept", "taken away by the proxy"])
def test_every_address_begins_with_it(serve: Serve, begin: str) -> None:
    client = serve(root_path=ROOT)
    entity = client.get("/api/v1/search?q=france").json()["results"][0]["reference"]
    found = set()
    for page in (*PAGES, f"/entity?label={quote(entity)}"):
        answer = client.get(begin + page, headers={"accept": "text/html"})
        found |= set(ADDRESSES.findall(answer.text))
    assert all(address.startswith(ROOT) for address in found)
    kinds = {urlsplit(address).path.removeprefix(ROOT): address for address in found}
    assert {"/static/momok.css", "/entity", "/why", "/picture"} < set(kinds)
    for path in ("/static/momok.css", "/static/search.js", "/entity", "/why"):
        inner = kinds[path].removeprefix(ROOT).replace("&amp;", "&")
        assert client.get(begin + inner).status_code == 200


def test_redirects_begin_with_it(serve: Serve) -> None:
    client = serve(root_path=ROOT, token=TOKEN)
    page = {"accept": "text/html"}
    asked = client.get(f"{ROOT}/review", headers=page, follow_redirects=False)
    assert asked.headers["location"] == f"{ROOT}/login?next=%2Freview"
    form = {"token": TOKEN, "next": "/review"}
    entered = client.post(f"{ROOT}/login", data=form, follow_redirects=False)
    assert (entered.status_code, entered.headers["location"]) == (303, f"{ROOT}/review")
    assert client.get(f"{ROOT}/review", headers=page).status_code == 200


def test_programs_find_the_api_under_it(serve: Serve) -> None:
    client = serve(root_path=ROOT)
    description = client.get(f"{ROOT}/api/v1/openapi.json").json()
    assert description["servers"] == [{"url": ROOT}]
    assert client.get(f"{ROOT}/health").status_code == 200
    assert client.get(ROOT).text == client.get(f"{ROOT}/").text
    assert client.get(f"{ROOT}health").status_code == 404
    assert f"http://localhost{ROOT}/api/v1/predict" in client.get(f"{ROOT}/api").text


@pytest.mark.parametrize("path", ["momok", "/momok/", "/", "/a b", '/"', "//evil.example"])
def test_what_is_no_path_is_refused(path: str) -> None:
    with pytest.raises(ConfigError, match="such as /momok"):
        ServeSettings(run=Path("run"), root_path=path)
