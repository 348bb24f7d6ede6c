"""The page of the API: every operation is there, and what it proposes to send is right."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from html import unescape

from starlette.testclient import TestClient

from tests.serving.parsed_page import check

Serve = Callable[..., TestClient]
_FORM = re.compile(
    r'<form class="try" method="(\w+)" action="([^"]+)" data-kind="([^"]*)">(.*?)</form>', re.S
)


def test_every_operation_can_be_tried(serve: Serve) -> None:
    client = serve()
    text = client.get("/api").text
    check(text)
    forms = [(m[1].upper(), m[2], m[3], m[4]) for m in _FORM.finditer(text)]
    paths = client.get("/api/v1/openapi.json").json()["paths"]
    described = [(method.upper(), path) for path in paths for method in paths[path]]
    assert sorted((method, path) for method, path, _, _ in forms) == sorted(described)
    for method, path, kind, content in forms:
        fields = re.findall(r'name="(\w+)" value="([^"]*)"', content)
        query = {name: unescape(value) for name, value in fields if value}
        if kind == "multipart/form-data":
            assert 'type="file"' in content
            continue
        if method == "GET":
            answer = client.get(path, params=query)
        elif kind == "application/json":
            body = json.loads(unescape(content.split("data-body>")[1].split("<")[0]))
            answer = client.post(path, json=body)
        else:
            continue
        # 409: nothing to undo, for one; 404: this run has no map, and no other model beside it.
        assert answer.status_code in (200, 409, 404), (path, answer.text)
        assert answer.status_code != 404 or path in ("/api/v1/map", "/api/v1/compare")


def test_a_reviewer_needs_no_name_there(serve: Serve) -> None:
    client = serve()
    store = client.app.state.service.store  # type: ignore[attr-defined]
    assert "&#34;reviewer&#34;" in client.get("/api").text
    token = store.add_reviewer("Ada", "admin", by="test")
    headers = {"authorization": f"Bearer {token}"}
    client.cookies.clear()
    client.app.state.service.gate._read()  # type: ignore[attr-defined]
    assert "&#34;reviewer&#34;" not in client.get("/api", headers=headers).text
