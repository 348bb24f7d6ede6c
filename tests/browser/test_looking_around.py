"""Pictures of the graph in a real browser: by keyboard alone."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from momok.prediction.entity_map import compute_map, save_map
from momok.prediction.scorer import Scorer
from tests.browser.visitor import Visitor
from tests.prediction.trained_run import train_small_run
from tests.serving.real_server import RealServer, start_server


def test_from_neighbour_to_neighbour_by_keyboard(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit("/neighbourhood?label=q%3Afrance")
    visitor.tab_to(".drawing a.edge-known")
    shown = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert shown == "solid"
    width = "getComputedStyle(document.activeElement.querySelector('.line')).strokeWidth"
    assert page.evaluate(width) == "4px"
    visitor.press("Enter")
    page.wait_for_url(lambda address: "q%3Afrance" not in address)
    assert page.locator(".drawing .middle").count() == 1
    page.locator(".drawing .middle").focus()
    visitor.press("Enter")
    page.wait_for_url(re.compile("/entity"))


@pytest.fixture(scope="module")
def map_server(
    browser: object, browser_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    """A server of a run that has a map."""
    del browser
    pytest.importorskip("sklearn")
    run = Path(shutil.copytree(browser_run, tmp_path_factory.mktemp("map") / "run"))
    scorer = Scorer(run)
    save_map(scorer, compute_map(scorer, method="pca"))
    with start_server(run) as server:
        yield server


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_the_map_by_keyboard(browser: Any, map_server: RealServer, dark: bool) -> None:
    with Visitor(browser, map_server.address, dark=dark) as visitor:
        page = visitor.page
        visitor.visit("/map")
        page.wait_for_selector("#map[data-ready]")
        visitor.tab_to("#map-label")
        page.keyboard.type("q:france")
        page.wait_for_selector("#map-labels li")
        visitor.press("ArrowDown", "Enter", "Enter")
        assert page.evaluate("document.activeElement.id") == "map-canvas"
        assert page.inner_text("#map-said").startswith("France (place)")
        visitor.press("0", "ArrowLeft")
        said = page.inner_text("#map-said")
        if said.startswith("France"):  # nothing lies to its left
            visitor.press("ArrowRight")
            said = page.inner_text("#map-said")
        assert not said.startswith("France")
        assert page.inner_text("#map-name") == said.removesuffix(" (place)")
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        found = axe.run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        visitor.press("Enter")
        page.wait_for_url(re.compile("/entity"))
        assert said.startswith(page.inner_text("h1")[:12])
        assert visitor.complaints == []


def test_points_are_where_the_map_has_them(browser: Any, map_server: RealServer) -> None:
    """The colour of a group is drawn at its entities, and gone when the group is switched off."""
    with Visitor(browser, map_server.address) as visitor:
        page = visitor.page
        visitor.visit("/map")
        page.wait_for_selector("#map[data-ready]")
        drawn = """() => new Promise(done => requestAnimationFrame(() => {
          const c = document.getElementById('map-canvas');
          const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
          let n = 0;
          for (let i = 0; i < d.length; i += 4) if (d[i + 3] && d[i + 2] === 178) n += 1;
          done(n);
        }))"""
        assert page.evaluate(drawn) > 40 * 9  # forty entities, #0072b2
        page.uncheck("#map-groups input")
        assert page.evaluate(drawn) == 0
        page.check("#map-groups input")
        places = page.evaluate("fetch('/api/v1/map').then(answer => answer.json())")
        box = page.locator("#map-canvas").bounding_box()
        scale = (min(box["width"], box["height"]) - 40) / 65535
        i = places["references"].index("q:spain")
        x = box["x"] + box["width"] / 2 + (places["x"][i] - 65535 / 2) * scale
        y = box["y"] + box["height"] / 2 + (places["y"][i] - 65535 / 2) * scale
        page.mouse.move(x, y)
        assert page.inner_text("#map-name") == "Spain"
        page.mouse.wheel(0, -300)
        assert page.inner_text("#map-name") == "Spain"  # the map zooms about the pointer
        page.mouse.click(x, y)
        page.wait_for_url(re.compile("/entity"))
        assert page.inner_text("h1") == "Spain"
        assert visitor.complaints == []


def test_the_map_fits_a_phone_and_is_a_list_without_scripts(
    browser: Any, map_server: RealServer
) -> None:
    with Visitor(browser, map_server.address, width=360, height=740, touch=True) as phone:
        phone.visit("/map?label=q%3Afrance")
        phone.page.wait_for_selector("#map[data-ready]")
        assert phone.overflow() <= 0
        assert phone.page.inner_text("#map-name") == "France"
    context = browser.new_context(base_url=map_server.address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/map")
    page.fill("#map-label", "France")
    page.click("#map-find button")
    assert page.locator("#map-canvas").is_hidden()
    assert page.locator("[aria-labelledby=nearest] li").count() == 24
    context.close()


@pytest.fixture(scope="module")
def world_server(browser: object, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    """A server of a run that pictures can be encoded for."""
    del browser
    pytest.importorskip("skimage")
    run = train_small_run(tmp_path_factory.mktemp("world") / "run", training__epochs=1)
    with start_server(run.path) as server:
        yield server


def test_a_picture_is_dropped_on_the_form(
    browser: Any, world_server: RealServer, tmp_path: Path
) -> None:
    with Visitor(browser, world_server.address, width=360, height=740, touch=True) as visitor:
        page = visitor.page
        visitor.visit("/new")
        assert visitor.overflow() <= 0
        axe = pytest.importorskip("axe_playwright_python.sync_playwright").Axe()
        found = axe.run(page).response["violations"]
        assert [v["id"] for v in found if v["impact"] in ("serious", "critical")] == []
        drop = """async () => {
          const canvas = new OffscreenCanvas(320, 200);
          const context = canvas.getContext('2d');
          context.fillStyle = '#c33';
          context.fillRect(0, 0, 320, 200);
          const picture = await canvas.convertToBlob();
          const data = new DataTransfer();
          data.items.add(new File([picture], 'flag.png', { type: 'image/png' }));
          const target = document.getElementById('drop');
          for (const kind of ['dragover', 'drop']) {
            target.dispatchEvent(new DragEvent(kind,
              { bubbles: true, cancelable: true, dataTransfer: data }));
          }
        }"""
        page.evaluate(drop)
        page.wait_for_selector("#new-preview:not([hidden])")
        assert page.evaluate("document.getElementById('new-preview').width") == 160
        page.select_option("#new-relation", "borders")
        page.click(".new .button")
        page.wait_for_selector("#answers")
        assert page.locator(".answers li").count() == 20
        assert visitor.complaints == []
    context = browser.new_context(base_url=world_server.address, java_script_enabled=False)
    page = context.new_page()
    page.goto("/new")
    flag = tmp_path / "flag.png"
    Image.new("RGB", (32, 20), "#c33").save(flag)
    page.set_input_files("#new-picture", flag)
    page.select_option("#new-relation", "borders")
    page.click(".new .button")
    assert page.locator(".answers li").count() == 20
    context.close()
