"""Takes the pictures of the page and of the report in the docs; nothing else writes them.

    python -m tests.browser.take_pictures RUN docs/images

RUN is a run on the bundled world graph. The server gets a review database of its own.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import Browser, sync_playwright

from momok.reporting.report import write_report
from tests.browser.conftest import find_chromium
from tests.browser.visitor import Visitor
from tests.serving.real_server import start_server

FRANCE = "/entity?label=country%3AFR"
WHY = "/why?head=country%3AFR&relation=borders&tail=country%3AES"
ASK = "/ask?head=country%3AFR&relation=borders&new=true"
NEIGHBOURHOOD = "/neighbourhood?label=country%3AFR"
REVIEW = "/review?relation=official_language"


def main(run: Path, folder: Path) -> None:
    """Write the pictures into ``folder``."""
    with (
        tempfile.TemporaryDirectory() as own,
        start_server(run, reviews=f"sqlite:///{own}/reviews.sqlite") as server,
        sync_playwright() as playwright,
    ):
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=["--no-sandbox"])
        wide = {"width": 1180, "height": 940}
        views = (
            ("serve-entity", FRANCE, wide),
            ("serve-why", WHY, wide),
            ("serve-neighbourhood", NEIGHBOURHOOD, wide),
            ("serve-review", REVIEW, wide),
            ("serve-ask", ASK, wide | {"height": 700}),
        )
        for name, path, window in views:
            with Visitor(browser, server.address, **window) as visitor:  # type: ignore[arg-type]
                visitor.visit(path)
                if path == REVIEW:
                    visitor.page.wait_for_selector("form.decide[data-live] button")
                    visitor.page.fill("#name", "Ada")
                    visitor.page.click(".name button")
                    visitor.page.wait_for_selector("form.decide[data-live] button")
                visitor.page.wait_for_load_state("networkidle")
                visitor.page.screenshot(path=folder / f"{name}.png")
        take_report(browser, run, folder, Path(own))
        browser.close()


def take_report(browser: Browser, run: Path, folder: Path, own: Path) -> None:
    """Its first screen, and single predictions with two of a kind."""
    page = browser.new_page(viewport={"width": 1180, "height": 1190}, device_scale_factor=1.25)
    page.goto(write_report([run], out=own / "report.html").as_uri())
    page.screenshot(path=folder / "report.png")
    page.add_style_tag(content=".cases > .case:nth-child(n + 3) { display: none }")
    page.locator("#predictions").screenshot(path=folder / "report-predictions.png")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
