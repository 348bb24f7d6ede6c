"""Pictures of the graph in a real browser: by keyboard alone."""

from __future__ import annotations

import re

from tests.browser.visitor import Visitor


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
