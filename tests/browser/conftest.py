"""Real Chromium against a real server; skipped where either is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.browser.visitor import Visitor
from tests.serving.real_server import RealServer, start_server
from tests.serving.served_run import train_hostile_run


def find_chromium() -> str | None:
    """Debian's Chromium, or another one."""
    given = os.environ.get("MOMOK_CHROMIUM")
    names = (given,) if given else ("chromium", "chromium-browser", "google-chrome")
    return next((found for name in names if (found := shutil.which(name))), None)


# Playwright leaves an event loop running in its thread: it must be gone before other modules.
@pytest.fixture(scope="module")
def browser() -> Iterator[object]:
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    program = find_chromium()
    if program is None:
        pytest.skip("Chromium is not installed (apt install chromium, or set MOMOK_CHROMIUM)")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def browser_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train_hostile_run(tmp_path_factory.mktemp("browser")).path


@pytest.fixture(scope="module")
def server(
    browser: object, browser_run: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[RealServer]:
    del browser  # no server where there is no browser
    reviews = f"sqlite:///{tmp_path_factory.mktemp('browser-reviews') / 'reviews.sqlite'}"
    with start_server(browser_run, reviews=reviews) as server:
        yield server


@pytest.fixture
def visitor(browser: object, server: RealServer) -> Iterator[Visitor]:
    """Somebody with a fresh browser window; errors on their pages fail the test."""
    with Visitor(browser, server.address) as visitor:
        yield visitor
    assert visitor.complaints == []


@pytest.fixture
def phone(browser: object, server: RealServer) -> Iterator[Visitor]:
    """The same with a phone."""
    with Visitor(browser, server.address, width=360, height=740, touch=True) as visitor:
        yield visitor
    assert visitor.complaints == []
