"""The docs site has all pages in its navigation and in llms.txt, and needs nothing beside docs."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parent.parent
DOCS = CHECKOUT / "docs"
PAGES = sorted(path.relative_to(DOCS).as_posix() for path in DOCS.rglob("*.md"))
SITE = tomllib.loads((CHECKOUT / "zensical.toml").read_text(encoding="utf-8"))["project"]


def walk(entries: list) -> Iterator[tuple[str, str]]:
    """The titles and files of a navigation."""
    for entry in entries:
        for title, inside in entry.items():
            yield from [(title, inside)] if isinstance(inside, str) else walk(inside)


def test_every_page_is_in_the_navigation_once() -> None:
    assert sorted(file for _, file in walk(SITE["nav"])) == PAGES


def test_llms_txt_lists_the_pages_as_the_navigation_does() -> None:
    text = (DOCS / "llms.txt").read_text(encoding="utf-8")
    assert text.startswith("# momok\n\n> ")
    listed = re.findall(r"^- \[(.+?)\]\((.+?)\): \S.*\.$", text, re.M)
    assert listed == list(walk(SITE["nav"]))
    assert len(listed) == text.count("\n- ")
    sections = re.findall(r"^## (.+)", text, re.M)
    assert sections == [title for entry in SITE["nav"] for title in entry]


@pytest.mark.parametrize("page", PAGES)
def test_links_stay_within_docs(page: str) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)", (DOCS / page).read_text(encoding="utf-8")):
        place = ((DOCS / page).parent / target).resolve()
        assert target.startswith("http") or place.is_relative_to(DOCS), target


def test_files_of_the_theme_exist() -> None:
    theme = SITE["theme"]
    for name in [theme["favicon"], theme["logo"], *SITE["extra_css"]]:
        assert (DOCS / name).is_file(), name
