"""A page as a browser would see it, and what every page must keep to."""

from __future__ import annotations

import re
from html.parser import HTMLParser

ALLOWED_SCRIPTS = re.compile(
    r"/static/(api|map|review|review_table|search|upload)\.js\?v=[0-9a-f]{12}"
)
VOID = {"meta", "link", "img", "input", "br", "circle", "rect", "path"}


class Page(HTMLParser):
    """What a browser would see: elements, their nesting, texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.scripts: list[str] = []
        self.inline: list[str] = []
        self.pictures: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.texts: list[str] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == [], self._open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        if tag not in VOID:
            self._open.append(tag)
        if tag == "script":
            self.scripts.append(given.get("src") or "")
        if tag == "img":
            self.pictures.append(given.get("src") or "")
        if "href" in given and given.get("rel") != "noreferrer nofollow":  # a reviewer's source
            self.links.append(given["href"] or "")
        if "id" in given:
            self.ids.append(given["id"] or "")
        self.inline += [name for name in given if name.startswith("on") or name == "style"]
        if tag == "style":
            self.inline.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)
        if tag not in VOID:
            self._open.pop()

    def handle_endtag(self, tag: str) -> None:
        if tag not in VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def check(text: str) -> Page:
    """A page that is well formed and runs nothing of its own."""
    page = Page(text)
    assert all(ALLOWED_SCRIPTS.fullmatch(script) for script in page.scripts)
    assert page.inline == []
    assert all(p.startswith(("/picture?", "/static/")) for p in page.pictures)
    assert all(link.startswith(("/", "#")) and not link.startswith("//") for link in page.links)
    assert len(page.ids) == len(set(page.ids))
    return page
