"""The page of the map, its places for programs, and what is said where there is none."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from starlette.testclient import TestClient

from momok.cli import main
from momok.graph import SPLIT_NAMES
from momok.serving.entity_map import group_entities
from momok.serving.entity_search import make_reference
from momok.serving.service import Service
from tests.serving.parsed_page import check
from tests.serving.served_run import NAMES, SCRIPT

pytest.importorskip("sklearn")
Serve = Callable[..., TestClient]


def test_without_a_map_the_page_says_how_to_make_one(client: TestClient) -> None:
    page = client.get("/map")
    assert page.status_code == 200
    check(page.text)
    assert "momok map" in page.text
    answer = client.get("/api/v1/map")
    assert (answer.status_code, "momok map" in answer.text) == (404, True)


def test_a_map_is_served_as_soon_as_it_is_made(serve: Serve, own_run: Path) -> None:
    client = serve(run=own_run)
    assert client.get("/api/v1/map").status_code == 404
    done = CliRunner().invoke(main, ["map", str(own_run), "--method", "pca"])
    assert (done.exit_code, "40 entities on the map" in done.stdout) == (0, True)
    found = client.get("/api/v1/map").json()
    assert sorted(found["references"]) == sorted(map(make_reference, NAMES))
    assert found["groups"] == ["place"]
    page = client.get("/map", params={"label": "q:france"})
    check(page.text)
    assert "<script>alert" not in page.text
    places = dict(zip(found["references"], zip(found["x"], found["y"], strict=True), strict=True))
    here = np.array(places.pop("q:france"))
    closest = min(places, key=lambda label: float(((np.array(places[label]) - here) ** 2).sum()))
    first = page.text.split('id="nearest"')[1].split('<ul class="known">')[1].split("</li>")[0]
    assert NAMES.get(closest, closest)[:20] in first or closest[:20] in first


def test_a_stale_map_is_refused_with_one_line(serve: Serve, own_run: Path) -> None:
    assert CliRunner().invoke(main, ["map", str(own_run), "--method", "pca"]).exit_code == 0
    path = own_run / "results/map.json"
    value = json.loads(path.read_text("utf-8"))
    del value["checksum"]
    path.write_text(json.dumps(value | {"checkpoint": "0" * 64}), "utf-8")
    client = serve(run=own_run)
    page = client.get("/map")
    assert page.status_code == 503
    assert "the map of another checkpoint" in page.text
    check(page.text)
    answer = client.get("/api/v1/map")
    assert (answer.status_code, answer.json()["error"]["code"]) == (503, "unavailable")


def test_without_types_entities_are_grouped_by_their_commonest_role(service: Service) -> None:
    graph = service.model.graph
    assert group_entities(graph) == (["place"] * len(NAMES), True)
    names, by_type = group_entities(replace(graph, entity_types=("",) * len(NAMES)))
    assert not by_type
    roles: list[Counter[str]] = [Counter() for _ in NAMES]
    for split in SPLIT_NAMES:
        for head, relation, tail in graph.facts(split).tolist():
            roles[head][f"{graph.relation_names[relation]} → ?"] += 1
            roles[tail][f"? → {graph.relation_names[relation]}"] += 1
    for name, counts in zip(names, roles, strict=True):
        assert counts[name] == max(counts.values())


def test_an_unknown_entity_is_said_on_the_page(serve: Serve, own_run: Path) -> None:
    CliRunner().invoke(main, ["map", str(own_run), "--method", "pca", "--entities", "5"])
    client = serve(run=own_run)
    answer = client.get("/map", params={"label": SCRIPT + "x"})
    assert answer.status_code == 404
    assert "<script>alert" not in answer.text
    on_it = client.get("/api/v1/map").json()["references"]
    other = next(label for label in NAMES if label not in on_it and len(label) < 100)
    answer = client.get("/map", params={"label": other})
    assert (answer.status_code, "is not on the map" in answer.text) == (200, True)
