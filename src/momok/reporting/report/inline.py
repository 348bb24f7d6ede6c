"""Figures as SVG inside the page: text stays text, colours follow the page."""

from __future__ import annotations

import io
import re
from xml.etree import ElementTree

import matplotlib
from markupsafe import Markup
from matplotlib.figure import Figure

from momok.reporting.report.theme import PLOT_VARIABLES

__all__ = ["embed_figure"]

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_DROPPED = {f"{_SVG}metadata", f"{_SVG}style"}  # its style rule would hold for the whole page
_LENGTHS = ("d", "x", "y", "points", "width", "height", "transform")

_COLOUR = re.compile(r"#[0-9a-fA-F]{6}\b")
_FONT = re.compile(r"font-family:[^;]*;?\s*")
_LONG_FONT = re.compile(r"font:\s*((?:[\w.%-]+\s+)*?)([\d.]+px)[^;]*")
_DECIMALS = re.compile(r"(\d+\.\d{2})\d+")
_SPACES = re.compile(r"\s+")
_REFERENCE = re.compile(r"url\(#([^)]+)\)")


def embed_figure(figure: Figure, prefix: str, description: str) -> Markup:
    """Draw a figure as an ``<svg>`` element for an HTML page.

    Args:
        figure: made within the house's style (``momok.reporting.style.style``).
        prefix: makes the element's ids unique in the page.
        description: what a screen reader says instead of the figure.
    """
    buffer = io.BytesIO()
    with matplotlib.rc_context({"svg.fonttype": "none"}):
        figure.savefig(
            buffer, format="svg", metadata={"Date": None}, bbox_inches="tight", transparent=True
        )
    root = ElementTree.fromstring(buffer.getvalue())
    _drop(root)
    used = set(_find_references(root))
    for element in root.iter():
        _clean(element, prefix, used)
    _, _, width, height = (float(part) for part in root.attrib["viewBox"].split())
    root.attrib = {
        "viewBox": f"0 0 {width:.2f} {height:.2f}",
        "role": "img",
        "aria-label": description,
        "class": "plot",
        "style": f"max-width: {width * 4 / 3:.0f}px",
    }
    # The text of the document's own elements only: ElementTree has read the comments away, which
    # would hold labels.
    return Markup(ElementTree.tostring(root, encoding="unicode"))


def _drop(element: ElementTree.Element) -> None:
    for child in list(element):
        if child.tag in _DROPPED:
            element.remove(child)
        else:
            _drop(child)


def _find_references(root: ElementTree.Element) -> list[str]:
    found = []
    for element in root.iter():
        for name, value in element.attrib.items():
            if name == _LINK:
                found.append(value.removeprefix("#"))
            found += _REFERENCE.findall(value)
    return found


def _clean(element: ElementTree.Element, prefix: str, used: set[str]) -> None:
    """Shorten one element, without namespaces, with ids of this page and colours by variable."""
    element.tag = element.tag.removeprefix(_SVG)
    attributes = {}
    for name, value in element.attrib.items():
        if name == "id":
            if value in used:
                attributes["id"] = f"{prefix}-{value}"
        elif name == _LINK:
            attributes["href"] = f"#{prefix}-{value.removeprefix('#')}"
        elif name in _LENGTHS:
            attributes[name] = _SPACES.sub(" ", _DECIMALS.sub(r"\1", value)).strip()
        elif name == "style":
            attributes["style"] = _restyle(value)
        else:
            attributes[name] = _REFERENCE.sub(rf"url(#{prefix}-\1)", value)
    element.attrib = attributes
    if element.tag != "text":
        element.text = None
    element.tail = None


def _restyle(style: str) -> str:
    style = _LONG_FONT.sub(lambda m: _name_font(m[1], m[2]), _FONT.sub("", style))
    return _COLOUR.sub(lambda match: _name_colour(match[0].lower()), style).strip().rstrip(";")


def _name_font(words: str, size: str) -> str:
    weight = next((word for word in words.split() if word in {"bold", "700", "600"}), "")
    return f"font-size: {size}" + (f"; font-weight: {weight}" if weight else "")


def _name_colour(colour: str) -> str:
    name = PLOT_VARIABLES.get(colour)
    return f"var(--{name})" if name else colour
