"""The page as one HTML file from a template: nothing is fetched, nothing executed."""

from __future__ import annotations

import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import matplotlib
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup
from matplotlib.figure import Figure

import momok
from momok.reporting.plots import save_plot
from momok.reporting.report import formatting
from momok.reporting.report.formatting import Cell, Number, clean
from momok.reporting.style import COLOURS, PLOT_VARIABLES

_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_MANY_DECIMALS = re.compile(r"(\.\d\d)\d+")
_FORMATS = (
    *("badge", "code", "count", "decimal", "hint", "interval", "judge", "list_in_words", "name"),
    *("name_all", "name_heads", "name_relation", "percent", "rank", "shorten", "signed", "spread"),
    *("strong", "write"),
)  # what templates write with


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure as SVG; the template adds the element itself, with its description."""

    content: Markup
    width: float
    height: float


class Charts(dict[str, Chart]):
    """The figures of a page by name; saved beside it too where there is a folder for them.

    Args:
        folder: where they are saved, or None.
        about: which graph and split: stands in the title of saved figures.
    """

    def __init__(self, folder: Path | None, about: str) -> None:
        super().__init__()
        self._folder = folder
        self._about = about

    def add(self, name: str, figure: Figure) -> None:
        """Draw a figure that was made within ``plot_style`` and has no title."""
        self[name] = embed_figure(figure, name)
        if self._folder is not None:
            figure.set_layout_engine("constrained")  # the title takes room
            save_plot(figure, self._folder / name, f"{name.capitalize()}: {self._about}")


def embed_figure(figure: Figure, salt: str) -> Chart:
    """Draw a figure for a page: its text stays text, its colours follow the page.

    Args:
        figure: made within ``plot_style``.
        salt: makes the ids of its elements unique in the page.
    """
    buffer = io.BytesIO()
    layout = figure.get_layout_engine()
    if layout is not None:
        layout.execute(figure)  # once: savefig would draw the figure twice for it
        figure.set_layout_engine(None)
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": salt}):
        figure.savefig(buffer, format="svg", metadata={"Date": None}, transparent=True)
    root = ElementTree.fromstring(buffer.getvalue())  # leaves comments out, which hold labels
    for element in root.iter():
        element.tag = element.tag.removeprefix(_SVG)
        if element.tag == "g":
            element.attrib.pop("id", None)  # "axes_1": no reference, and the same in every figure
        if _LINK in element.attrib:
            element.attrib["href"] = element.attrib.pop(_LINK)
        for attribute, value in element.attrib.items():
            if attribute == "style":
                value = _COLOUR.sub(_name_colour, value)  # noqa: PLW2901
            element.attrib[attribute] = " ".join(_MANY_DECIMALS.sub(r"\1", value).split())
        if element.tag != "text":
            element.text = None
        element.tail = None
    kept = [  # no metadata, and no rules of style: they would hold for the whole page
        part for part in root if part.tag != "metadata" and part.find("style") is None
    ]  # fmt: skip
    width, height = (round(72 * inches, 2) for inches in figure.get_size_inches())
    content = Markup("").join(Markup(ElementTree.tostring(part, "unicode")) for part in kept)
    return Chart(content=content, width=width, height=height)


def _name_colour(match: re.Match[str]) -> str:
    variable = PLOT_VARIABLES.get(match[0])
    return f"var(--{variable})" if variable else match[0]


def render_page(
    template: str, title: str, subtitle: Sequence[Cell], content: Mapping[str, Any]
) -> bytes:
    """Render a page as UTF-8.

    Args:
        template: of the sections, which enter themselves in the navigation.
        title: of the page.
        subtitle: what stands below it, cell by cell.
        content: what the template shows.
    """
    environment = _load_environment()
    navigation: list[tuple[str, str]] = []
    body = environment.get_template(template).render(content, navigation=navigation)
    text = environment.get_template("page.html").render(
        title=title,
        subtitle=subtitle,
        navigation=navigation,
        body=Markup(body),  # rendered, and so escaped, above
        colours=COLOURS,
        version=momok.__version__,
    )
    return text.encode()


@cache
def _load_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("momok.reporting.report"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=lambda value: clean(value) if isinstance(value, str) else value,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=["jinja2.ext.do"],
    )
    environment.globals |= {name: getattr(formatting, name) for name in _FORMATS}
    environment.tests["numeric"] = lambda cell: isinstance(cell, Number)
    return environment
