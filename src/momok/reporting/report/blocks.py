"""What a page is made of: texts with traceable numbers, tables, charts. The templates render it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, TypeAlias

from markupsafe import Markup

from momok.graph import MultimodalGraph
from momok.reporting.report.numbers import Number, clean_text, shorten

__all__ = [
    "Badge",
    "Cell",
    "Chart",
    "Charts",
    "Code",
    "Column",
    "Facts",
    "Label",
    "Notice",
    "Part",
    "Row",
    "Section",
    "Sentence",
    "Spread",
    "Swatch",
    "Table",
    "Text",
    "name_entity",
    "name_relation",
]


@dataclass(frozen=True, kw_only=True)
class Label:
    """A name that came with the data: shown isolated, its label when pointed at."""

    kind: ClassVar[str] = "label"

    text: str
    title: str = ""
    label: str = ""  # the key in the graph, for tests and programs


@dataclass(frozen=True, kw_only=True)
class Badge:
    """A word set apart: "changed", "unseen"."""

    kind: ClassVar[str] = "badge"

    text: str
    tone: str = "plain"  # plain, good, warn, bad


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean and, where there are several values, their standard deviation."""

    kind: ClassVar[str] = "spread"

    mean: Number
    deviation: Number | None = None


@dataclass(frozen=True, kw_only=True)
class Code:
    """A value or file as it stands in a file."""

    kind: ClassVar[str] = "code"

    text: str


@dataclass(frozen=True, kw_only=True)
class Swatch:
    """A decision head with the colour that it has in the plots."""

    kind: ClassVar[str] = "swatch"

    text: str
    variable: str


Part: TypeAlias = "Number | Label | Badge | Spread | Code | Swatch | str"
Sentence: TypeAlias = tuple[Part, ...]
Cell: TypeAlias = "Part | Sentence"


@dataclass(frozen=True, kw_only=True)
class Column:
    """A column's head."""

    title: Cell
    number: bool = True
    note: str = ""  # said when pointed at


@dataclass(frozen=True, kw_only=True)
class Row:
    """A row; the header is the cell that names it."""

    header: Cell
    cells: Sequence[Cell]
    strong: bool = False
    marked: bool = False


@dataclass(frozen=True, kw_only=True)
class Table:
    """A table: groups of rows, each with a title or "" for none."""

    kind: ClassVar[str] = "table"

    caption: str
    columns: Sequence[Column]
    groups: Sequence[tuple[str, Sequence[Row]]]
    note: str = ""
    folded: bool = False  # behind a click on its caption


@dataclass(frozen=True, kw_only=True)
class Chart:
    """A figure of the page."""

    kind: ClassVar[str] = "chart"

    svg: Markup
    title: str
    caption: str = ""
    wide: bool = False  # takes the whole width; on a narrow screen it scrolls


@dataclass(frozen=True, kw_only=True)
class Notice:
    """Something the reader must know; "bad" casts doubt on the numbers."""

    kind: ClassVar[str] = "notice"

    sentence: Sentence
    tone: str = "warn"  # plain, warn, bad


@dataclass(frozen=True, kw_only=True)
class Charts:
    """Figures side by side where the page is wide."""

    kind: ClassVar[str] = "charts"

    charts: Sequence[Chart]


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Terms and what is said of each."""

    kind: ClassVar[str] = "facts"

    rows: Sequence[tuple[str, Cell]]
    title: str = ""


@dataclass(frozen=True, kw_only=True)
class Text:
    """A paragraph."""

    kind: ClassVar[str] = "text"

    sentence: Sentence


@dataclass(frozen=True, kw_only=True)
class Section:
    """A part of a page: its heading, and tables, charts, texts and cards below it.

    Blocks have a ``kind``, by which the template knows how to render them.
    """

    slug: str
    title: str
    blocks: Sequence[Any]


def name_entity(graph: MultimodalGraph, entity: int) -> Label:
    """The name of an entity, with its label to point at where that says more."""
    return _name(graph.entity_names[entity], graph.entities.labels[entity])


def name_relation(graph: MultimodalGraph, relation: int) -> Label:
    """The name of a relation."""
    return _name(graph.relation_names[relation], graph.relations.labels[relation])


def _name(name: str, label: str) -> Label:
    shown = shorten(name, 72) or shorten(label, 72) or "(no name)"
    title = shorten(label) if clean_text(label) != shown else ""
    return Label(text=shown, title=title, label=shorten(label))
