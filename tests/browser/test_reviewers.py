"""Three people at three browsers: two opinions on every fact, a disagreement, its settlement."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from momok.serving.reviews.accounts import Overlap
from momok.serving.reviews.store import ReviewStore
from tests.browser.visitor import Visitor
from tests.serving.real_server import RealServer, start_server

ROLES = {"Ann": "reviewer", "Ben": "reviewer", "Root": "admin"}
PICTURES = os.environ.get("MOMOK_PICTURES")  # a folder to look at what was seen


class Desk:
    """A served run with overlap 2, and a token for each of three."""

    def __init__(self, browser: Any, server: RealServer, tokens: dict[str, str]) -> None:
        self._browser, self.server, self._tokens = browser, server, tokens

    def sign_in(self, opened: ExitStack, name: str, **window: Any) -> Visitor:
        """A browser window of somebody."""
        visitor = opened.enter_context(Visitor(self._browser, self.server.address, **window))
        visitor.visit("/review")
        visitor.page.wait_for_selector("#token")
        visitor.page.keyboard.type(self._tokens[name])
        visitor.press("Enter")
        visitor.page.locator(".name bdi", has_text=name).wait_for()
        return visitor


@pytest.fixture(scope="module")
def desk(
    browser: object, browser_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    reviews = f"sqlite:///{tmp_path_factory.mktemp('reviewers') / 'reviews.sqlite'}"
    store = ReviewStore(reviews)
    tokens = {name: store.add_reviewer(name, role, by="test") for name, role in ROLES.items()}  # type: ignore[arg-type]
    store.set_overlap(Overlap(opinions=2), by="test")
    store.close()
    with start_server(browser_run, reviews=reviews) as server:
        yield Desk(browser, server, tokens)


def decide(visitor: Visitor, key: str) -> str:
    """Press a key on the card that is shown: the fact, once the decision is saved."""
    visitor.page.wait_for_selector("form.decide[data-live] button")
    shown = visitor.page.inner_text("#statement")
    before = visitor.page.input_value("input[name=request]")
    visitor.press(key)
    fresh = visitor.page.locator(f"input[name=request]:not([value='{before}'])")
    fresh.wait_for(state="attached")
    visitor.page.locator(".said", has_text="saved").wait_for()
    return shown


def look_at(visitor: Visitor, name: str) -> None:
    """Nothing sticks out; axe finds nothing."""
    assert visitor.overflow() <= 0
    axe_module = pytest.importorskip("axe_playwright_python.sync_playwright")
    found = axe_module.Axe().run(visitor.page).response["violations"]
    assert [(name, v["id"], v["nodes"][0]["html"][:200]) for v in found] == []
    take_picture(visitor, name)


def take_picture(visitor: Visitor, name: str) -> None:
    """Where pictures are wanted."""
    if PICTURES:
        visitor.page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)


def test_three_people_and_a_disagreement(desk: Desk) -> None:
    with ExitStack() as opened:
        ann, ben = desk.sign_in(opened, "Ann"), desk.sign_in(opened, "Ben")
        ann.visit("/review?relation=borders")
        facts = [decide(ann, key) for key in "aar"]
        # The second sees the same facts, and nothing of what the first said.
        ben.visit("/history")
        assert "No decisions yet" in ben.page.inner_text("main")
        ben.visit("/review")
        ben.page.locator("a", has_text="wait for your opinion (").click()
        assert "accepted" not in ben.page.inner_text("#card").lower()
        assert [decide(ben, key) for key in "ar"] == facts[:2]
        root = desk.sign_in(opened, "Root")
        root.visit("/reviewers")
        root.page.locator("a", has_text="Settle disagreements (").click()
        shown = root.page.inner_text("article")
        assert "Ann" in shown
        assert "Ben" in shown
        assert facts[1].split("\n")[0] in shown
        look_at(root, "settle")
        root.page.fill("article input[name=note]", "See the treaty.")
        root.page.locator("article button.reject").first.click()
        root.page.locator(".said", has_text="Rejected and saved").wait_for()
        # Who was overruled reads why, and cannot change it.
        ann.visit("/history")
        row = ann.page.locator(".events tbody tr", has_text="See the treaty.").first
        row.locator("a").first.click()
        ann.page.locator(".badge-rejected", has_text="Root").wait_for()
        assert "See the treaty." in ann.page.inner_text("main")
        assert ann.page.locator("form.decide-inline").count() == 0
        take_picture(ann, "why")
        root.visit("/audit")
        said = root.page.inner_text(".events tbody")
        for words in ("settle", "decide", "sign in", "Ann", "Ben", "Root"):
            assert words in said
        for visitor in (ann, ben, root):
            assert visitor.complaints == []


@pytest.mark.parametrize("window", [{"dark": True}, {"width": 360, "height": 740, "touch": True}])
def test_the_pages_of_reviewers_are_for_everybody(desk: Desk, window: dict[str, Any]) -> None:
    """In the dark and on a phone."""
    kind = "dark" if "dark" in window else "phone"
    with ExitStack() as opened:
        root = desk.sign_in(opened, "Root", **window)
        for path in ("/reviewers", "/settle", "/audit", "/review", "/login"):
            root.visit(path)
            look_at(root, f"{kind}-{path[1:]}")
        assert root.complaints == []


def test_an_admin_says_how_many_opinions_by_keyboard(desk: Desk) -> None:
    with ExitStack() as opened:
        root = desk.sign_in(opened, "Root")
        root.visit("/reviewers")
        root.tab_to("input[name=opinions]")
        root.press("Control+a")
        root.page.keyboard.type("3")
        root.press("Tab", "Control+a")
        root.page.keyboard.type("25")
        root.press("Enter")
        root.page.locator(".said", has_text="Saved.").wait_for()
        lead = root.page.inner_text(".lead")
        assert "3 people give their opinion on 25 % of the facts" in lead
