"""Reads a report back: parsed strictly, checked for what every page must keep, with its numbers."""

from __future__ import annotations

import json
import re
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree.ElementTree import Element

import html5lib

LANDMARKS = ("header", "nav", "main", "footer")
_ADDRESSES = ("src", "href", "action", "srcset", "poster", "data", "formaction")
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufdd0-\ufdef\ufffe\uffff]")


@dataclass(frozen=True)
class Shown:
    """A number of the page: its full value, how it is written, and where it was read."""

    value: str
    text: str
    source: str


def read_page(path: Path) -> Element:
    """Parse a page; any error that HTML5 knows fails the test."""
    parser = html5lib.HTMLParser(strict=True, namespaceHTMLElements=False)
    root: Element = parser.parse(path.read_text(encoding="utf-8"))
    return root


def list_numbers(root: Element) -> list[Shown]:
    return [
        Shown(e.attrib["value"], "".join(e.itertext()), e.attrib.get("data-source", ""))
        for e in root.iter("data")
    ]


def look_up(source: str, runs: dict[str, Path]) -> Any:
    """The value at ``[RUN:]FILE#POINTER``, by RFC 6901; a log is a list of its records."""
    file, _, pointer = source.partition("#")
    run, _, file = file.rpartition(":")
    path = runs[run] / file
    text = path.read_text(encoding="utf-8")
    is_log = path.suffix == ".jsonl"
    value = [json.loads(line) for line in text.splitlines()] if is_log else json.loads(text)
    for step in pointer.split("/")[1:]:
        step = step.replace("~1", "/").replace("~0", "~")  # noqa: PLW2901
        value = value[int(step)] if isinstance(value, list) else value[step]
    return value


def check_page(path: Path) -> Element:
    """Check what every page must keep: valid, self-contained, accessible. Gives it parsed."""
    root = read_page(path)
    _check_self_contained(root)
    _check_references(root)
    _check_headings(root)
    _check_names(root)
    assert not _CONTROL.search(path.read_text(encoding="utf-8"))
    return root


def _check_self_contained(root: Element) -> None:
    [policy] = [
        e.attrib["content"] for e in root.iter("meta")
        if e.attrib.get("http-equiv") == "Content-Security-Policy"
    ]  # fmt: skip
    assert policy.startswith("default-src 'none'; img-src data:; style-src 'unsafe-inline'")
    for element in root.iter():
        name = str(element.tag).rpartition("}")[2]
        assert name not in {"script", "iframe", "object", "embed", "base", "form"}
        for attribute, value in element.attrib.items():
            attribute = str(attribute).rpartition("}")[2]  # noqa: PLW2901
            assert not attribute.startswith("on"), (name, attribute)
            if attribute in _ADDRESSES and name != "data":
                assert value.startswith(("data:", "#")), (name, attribute, value[:80])
            if attribute == "style":
                assert not re.search(r"url\((?!#)|expression|import", value)
    styles = "".join("".join(e.itertext()) for e in root.iter("style"))
    assert "url(" not in styles
    assert "@import" not in styles


def _check_references(root: Element) -> None:
    ids = Counter(e.attrib["id"] for e in root.iter() if "id" in e.attrib)
    assert set(ids.values()) == {1}, [i for i, times in ids.items() if times > 1]
    for element in root.iter():
        for attribute in ("aria-labelledby", "for"):
            if attribute in element.attrib:
                assert element.attrib[attribute] in ids
        link = element.attrib.get("href", "")
        if link.startswith("#"):
            assert link[1:] in ids
        for used in re.findall(r"url\(#([^)]+)\)", " ".join(element.attrib.values())):
            assert used in ids


def _check_headings(root: Element) -> None:
    levels = [int(e.tag[1]) for e in root.iter() if re.fullmatch(r"h[1-6]", str(e.tag))]
    assert levels.count(1) == 1
    assert levels[0] == 1
    assert all(later <= earlier + 1 for earlier, later in zip(levels, levels[1:]))  # noqa: B905, RUF007
    for landmark in LANDMARKS:
        assert sum(1 for _ in root.iter(landmark)) == 1


def _check_names(root: Element) -> None:
    """Whatever is no text has one, and tables say what their cells are."""
    assert root.attrib["lang"] == "en"
    for picture in root.iter("img"):
        assert picture.attrib["alt"].strip()
    for element in root.iter():
        if str(element.tag).endswith("}svg"):
            assert element.attrib["role"] == "img"
            assert len(element.attrib["aria-label"]) > 20
    for table in root.iter("table"):
        [caption] = table.iter("caption")
        assert "".join(caption.itertext()).strip()
        assert all(cell.attrib["scope"] in {"col", "row", "rowgroup"} for cell in table.iter("th"))
        [head] = table.iter("thead")
        columns = sum(1 for _ in head.iter("th"))
        for body in table.iter("tbody"):
            for row in body.iter("tr"):
                spans = [int(cell.attrib.get("colspan", 1)) for cell in row]
                assert sum(spans) == columns
