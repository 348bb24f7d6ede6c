"""What is read: long names, collisions, edges of pictures, wide and narrow windows, paper."""

from __future__ import annotations

from typing import Any

import pytest

from tests.browser.visitor import Visitor
from tests.serving.real_server import RealServer
from tests.serving.served_run import LONG_CHINESE

FULL = "getComputedStyle(document.querySelector('a.thing [data-full]'), '::after').content"


def test_a_long_name_is_whole_on_hover_and_on_focus(visitor: Visitor) -> None:
    page = visitor.page
    visitor.visit(f"/search?q={LONG_CHINESE[:40]}")
    name = page.locator("a.thing [data-full]").first
    assert "…" in name.inner_text()
    assert name.inner_text().startswith(LONG_CHINESE[:20])
    assert page.evaluate(FULL) == "none"
    name.hover()
    assert LONG_CHINESE[:200] in page.evaluate(FULL)
    page.mouse.move(0, 0)
    assert page.evaluate(FULL) == "none"
    visitor.tab_to("a.thing:has([data-full])")
    assert LONG_CHINESE[:200] in page.evaluate(FULL)
    assert visitor.overflow() <= 0


def test_a_long_heading_can_be_focused(visitor: Visitor) -> None:
    visitor.visit(f"/search?q={LONG_CHINESE[:40]}")
    visitor.page.locator("a.thing:has([data-full])").first.click()
    visitor.tab_to("h1 [data-full]")
    content = "getComputedStyle(document.activeElement, '::after').content"
    assert LONG_CHINESE[:200] in visitor.page.evaluate(content)


def test_names_that_collide_have_their_labels(visitor: Visitor) -> None:
    visitor.visit("/search?q=springfield")
    shown = visitor.page.locator(".results a.thing bdi").all_inner_texts()
    assert sorted(shown) == ["Springfield (q:twin1)", "Springfield (q:twin2)"]


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
def test_pictures_have_an_edge(browser: Any, server: RealServer, dark: bool) -> None:
    """Of another colour than the ground around them, so that a white one is seen as a picture."""
    with Visitor(browser, server.address, dark=dark) as visitor:
        for path, selector in (
            ("/entity?label=q%3Afrance", "img.portrait"),
            ("/search?q=fran", "img.pic-small"),
            ("/why?head=q%3Afrance&relation=borders&tail=q%3Aspain", "img.pic-small"),
        ):
            visitor.visit(path)
            edge = visitor.page.evaluate(
                """selector => {
                  const style = getComputedStyle(document.querySelector(selector));
                  const outlined = style.outlineStyle === 'solid';
                  return [outlined ? style.outlineWidth : style.borderWidth,
                          outlined ? style.outlineColor : style.borderColor];
                }""",
                selector,
            )
            assert edge[0] == "1px"
            assert edge[1] not in ("rgb(255, 255, 255)", "rgba(0, 0, 0, 0)")


@pytest.mark.parametrize("width", [360, 1280, 2560, 3840])
def test_the_width_of_the_window_is_used(browser: Any, server: RealServer, width: int) -> None:
    with Visitor(browser, server.address, width=width, height=1200) as visitor:
        for path in ("/", "/entity?label=q%3Afrance", "/review?relation=borders"):
            visitor.visit(path)
            assert visitor.overflow() <= 0
            main = visitor.page.evaluate("document.querySelector('main').offsetWidth")
            assert main >= (0.57 if width == 2560 else 0.75) * width


def test_paper_shows_what_is_folded_and_is_light(browser: Any, server: RealServer) -> None:
    with Visitor(browser, server.address, dark=True) as visitor:
        page = visitor.page
        visitor.visit("/review?relation=borders")
        page.emulate_media(media="print", color_scheme="dark")
        shade = "getComputedStyle(document.querySelector('h1')).color"
        assert page.evaluate(shade) == "rgb(28, 34, 43)"  # ink, as in the light
        page.evaluate(
            """() => {
              const fold = document.createElement('details');
              fold.innerHTML = '<summary>more</summary><p id="folded">what is folded</p>';
              document.querySelector('main').append(fold);
            }"""
        )
        assert page.evaluate("document.getElementById('folded').checkVisibility()")
        assert page.evaluate("document.getElementById('folded').offsetHeight") > 10
        assert not page.locator("header.top").is_visible()
        page.emulate_media(media="screen")
        visible = "document.getElementById('folded').checkVisibility({contentVisibilityAuto: true})"
        assert not page.evaluate(visible)
