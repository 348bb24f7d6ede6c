"""The page as one HTML file from a template, its figures and pictures: nothing is fetched."""

from __future__ import annotations

import base64
import io
import re
from collections.abc import Iterable, Mapping, Sequence
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
from momok.graph import MultimodalGraph
from momok.graph.pictures import PictureError, ignore_picture_warnings, open_picture
from momok.prediction import Predictor
from momok.reporting.plots import save_plot
from momok.reporting.report import formatting
from momok.reporting.report.contents import RunContents
from momok.reporting.report.formatting import Cell, Number, clean, name_entity, write
from momok.reporting.style import COLOURS, PLOT_VARIABLES

_SIDE = 96  # pixels of a picture: shown at half of that, sharp on dense screens
_QUALITY = 82
_SVG = "{http://www.w3.org/2000/svg}"
_LINK = "{http://www.w3.org/1999/xlink}href"
_COLOUR = re.compile(r"#[0-9a-f]{6}\b")
_SOURCE = (
    "the run alone; every number in a table or tile carries its full value and, as "
    "<code>data-source</code>, the file and place it was read from"
)
_MANY_DECIMALS = re.compile(r"(\.\d\d)\d+")


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure as SVG; the template adds the element itself, with its description."""

    content: Markup
    width: float
    height: float


def embed_figures(
    figures: Iterable[tuple[str, Figure]], run: RunContents, folder: Path | None
) -> dict[str, Chart]:
    """Draw figures for a page, by name; they are saved too where there is a folder for them."""
    charts = {}
    for name, figure in figures:
        charts[name] = embed_figure(figure, name)
        if folder is not None:
            figure.set_layout_engine("constrained")  # the title takes room
            save_plot(figure, folder / name, run.title_figure(name))
    return charts


def embed_figure(figure: Figure, salt: str) -> Chart:
    """Draw a figure for a page: its text stays text, its colours follow the page.

    Args:
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


class Pictures:
    """Shows entities with their pictures, decoded and encoded anew.

    Nothing of a file but its pixels gets into the page. Files that are no pictures are counted and
    left out.

    Args:
        note: why there are none, "" where there are.
    """

    def __init__(self, graph: MultimodalGraph, files: Mapping[int, Path], note: str = "") -> None:
        self._graph = graph
        self._files = files
        self._shown: dict[int, Markup] = {}
        self.note = note
        self.unreadable = 0

    def show(self, entity: int) -> Markup:
        """The name of an entity, after its picture where it has one."""
        if entity not in self._shown:
            picture = Markup("")
            if entity in self._files:
                alt = f"Picture of {self._graph.entity_names[entity][:80]}"
                picture = encode_picture(self._files[entity], alt)
                self.unreadable += not picture
            name = name_entity(self._graph, entity)
            self._shown[entity] = write('<span class="entity">{}{}</span>', picture, name)
        return self._shown[entity]


def find_pictures(predictor: Predictor, *, wanted: bool) -> Pictures:
    """The pictures of a run's entities, which stay in the folder that its graph was read from."""
    source = predictor.scorer.source
    if not wanted:
        return Pictures(predictor.graph, {}, "Pictures were left out (--no-pictures).")
    note = "" if source.pictures else source.state.remark or "the graph has no pictures"
    return Pictures(predictor.graph, source.pictures, note and f"Without pictures: {note}.")


def encode_picture(path: Path, alt: str) -> Markup:
    """A small copy of a picture as an ``<img>`` element; empty where the file is no picture."""
    try:
        with ignore_picture_warnings():
            picture = open_picture(path, side=2 * _SIDE, transparency=True)
    except PictureError:
        return Markup("")
    picture.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    picture.save(buffer, "WEBP", quality=_QUALITY)
    code = base64.b64encode(buffer.getvalue()).decode()
    return write(
        '<img src="data:image/webp;base64,{}" alt="{}" width="{}" height="{}">',
        code, alt, max(picture.width // 2, 1), max(picture.height // 2, 1),
    )  # fmt: skip


def render_page(
    template: str,
    title: str,
    subtitle: Sequence[Cell],
    content: Mapping[str, Any],
    *,
    source: str = _SOURCE,
) -> bytes:
    """Render a page as UTF-8.

    Args:
        source: where its numbers are from, for its foot.
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
        source=Markup(source),
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
    environment.globals |= {k: f for k, f in vars(formatting).items() if callable(f)}
    environment.tests["numeric"] = lambda cell: isinstance(cell, Number)
    return environment
