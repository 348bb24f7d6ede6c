"""Takes the pictures of the page and of the report in the docs; nothing else writes them.

    python -m tests.browser.take_pictures RUN docs/images SECOND

RUN is a run on the bundled world graph that has a map (``momok map``), SECOND another one to stand
beside it. Servers get a review database of their own.
"""

from __future__ import annotations

import sys
import tempfile
from itertools import groupby
from operator import itemgetter
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, sync_playwright

from momok.reporting.report import write_report
from tests.browser.conftest import find_chromium
from tests.browser.visitor import Visitor
from tests.serving.real_server import start_server

FRANCE = "/entity?label=country%3AFR"
WHY = "/why?head=country%3AFR&relation=borders&tail=country%3AES"
ASK = "/ask?head=country%3AFR&relation=borders&new=true"
NEIGHBOURHOOD = "/neighbourhood?label=country%3AFR"
BESIDE = ASK.replace("/ask", "/beside")
REVIEW = "/review?relation=official_language"


def main(run: Path, folder: Path, second: Path) -> None:
    """Write the pictures into ``folder``."""
    wide = {"width": 1180, "height": 940}
    low = wide | {"height": 700}
    views: list[tuple[str, str, dict[str, Any], dict[str, str]]] = [
        ("serve-entity", FRANCE, wide, {}),
        ("serve-why", WHY, wide, {}),
        ("serve-neighbourhood", NEIGHBOURHOOD, wide, {}),
        ("serve-map", "/map", wide, {}),
        ("serve-review", REVIEW, wide, {}),
        ("serve-ask", ASK, low, {}),
        ("serve-beside", BESIDE, low, {"beside": str(second)}),
    ]
    with tempfile.TemporaryDirectory() as own, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        for settings, group in groupby(views, key=itemgetter(3)):
            reviews = f"sqlite:///{own}/reviews.sqlite"
            with start_server(run, reviews=reviews, **settings) as server:
                for name, path, window, _ in group:
                    with Visitor(browser, server.address, **window) as visitor:
                        take(visitor, path, folder / f"{name}.png")
        take_report(browser, run, folder, Path(own))
        browser.close()


def take(visitor: Visitor, path: str, file: Path) -> None:
    """A page as it is when all of it is there."""
    visitor.visit(path)
    if path == REVIEW:
        visitor.page.wait_for_selector("form.decide[data-live] button")
        visitor.page.fill("#name", "Ada")
        visitor.page.click(".name button")
        visitor.page.wait_for_selector("form.decide[data-live] button")
    visitor.page.wait_for_load_state("networkidle")
    visitor.page.screenshot(path=file)


def take_report(browser: Browser, run: Path, folder: Path, own: Path) -> None:
    """Its first screen, and single predictions with two of a kind."""
    page = browser.new_page(viewport={"width": 1180, "height": 1190}, device_scale_factor=1.25)
    page.goto(write_report([run], out=own / "report.html").as_uri())
    page.screenshot(path=folder / "report.png")
    page.add_style_tag(content=".cases > .case:nth-child(n + 3) { display: none }")
    page.locator("#predictions").screenshot(path=folder / "report-predictions.png")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:4]))
