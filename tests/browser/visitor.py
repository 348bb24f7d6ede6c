"""Somebody who visits the page."""

from __future__ import annotations

from typing import Any, Self

__all__ = ["Visitor"]


class Visitor:
    """A browser window, and everything that went wrong in it.

    Attributes:
        page: Playwright's page.
        complaints: scripts that failed, what the content policy refused, dialogs that opened.
    """

    def __init__(
        self,
        browser: Any,
        address: str,
        *,
        width: int = 1200,
        height: int = 800,
        dark: bool = False,
        touch: bool = False,
        scale: float = 1.0,
    ) -> None:
        self._context = browser.new_context(
            base_url=address,
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            has_touch=touch,
            device_scale_factor=scale,
            accept_downloads=True,
            reduced_motion="reduce",
        )
        self.page = self._context.new_page()
        self.page.set_default_timeout(30_000)
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(f"script: {error}"))
        self.page.on("dialog", self._refuse)
        self.page.on("console", self._listen)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._context.close()

    def _refuse(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        dialog.dismiss()

    def _listen(self, message: Any) -> None:
        text = str(message.text)
        # Pictures that cannot be shown, and pages that are not there, are answered 404 on purpose.
        if message.type == "error" and "404 (Not Found)" not in text:
            self.complaints.append(text)

    def visit(self, path: str) -> None:
        """Open a page and wait until it is there."""
        self.page.goto(path)
        self.page.wait_for_load_state("load")

    def press(self, *keys: str) -> None:
        """Press keys one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def tab_to(self, selector: str, limit: int = 80) -> None:
        """Reach an element by the Tab key alone."""
        for _ in range(limit):
            self.page.keyboard.press("Tab")
            if self.page.evaluate("s => document.activeElement.matches(s)", selector):
                return
        raise AssertionError(f"{selector} cannot be reached by Tab")

    def overflow(self) -> int:
        """By how many pixels the page is wider than the window."""
        script = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
        return int(self.page.evaluate(script))
