"""RDF statements gathered into links, names, texts, pictures and numbers, by what terms mean."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from momok.arrays import Ints
from momok.errors import ConfigError
from momok.graph.sources.raw import number_labels, translate_ids

_RDFS = "http://www.w3.org/2000/01/rdf-schema#"
_SKOS = "http://www.w3.org/2004/02/skos/core#"
_FOAF = "http://xmlns.com/foaf/0.1/"
_TERMS = "http://purl.org/dc/terms/"
_WIKIDATA = "http://www.wikidata.org/prop/direct/"
_OWL = "http://www.w3.org/2002/07/owl#"
RDF_TYPE = "http://www.w3.org/1999/02/22-rdf-syntax-ns#type"
CLAIM = "http://wikiba.se/ontology#directClaim"
"""From a property of Wikidata, which has the name, to the one in its facts, which has none."""

GENERAL_TYPES = frozenset(
    (
        *(_OWL + "Thing", _OWL + "NamedIndividual", _RDFS + "Resource", _SKOS + "Concept"),
        *("http://wikiba.se/ontology#Item", "http://schema.org/Thing", "https://schema.org/Thing"),
    )
)
"""Types that say little: taken where there is no other."""

SKOLEM = "/.well-known/genid/"
"""Part of IRIs that stand for blank nodes (RDF 1.1, section 3.5); Wikidata's unknown values."""

SITELINK = r"^https?://[\w-]+\.(?:m\.)?wik[a-z]+\.org/wiki/"
"""The page on a thing in a Wikipedia or one of its sister projects."""

XSD = "http://www.w3.org/2001/XMLSchema#"
NUMBER_TYPES = frozenset(
    XSD + name
    for name in (
        *("integer", "decimal", "double", "float", "int", "long", "short", "byte"),
        *("nonNegativeInteger", "positiveInteger", "nonPositiveInteger", "negativeInteger"),
        *("unsignedInt", "unsignedLong", "unsignedShort", "unsignedByte"),
    )
)
DATE_TYPES = frozenset(
    XSD + name for name in ("date", "dateTime", "dateTimeStamp", "gYearMonth", "gYear")
)
_YEAR = r"^([+-]?\d+)"
_DATE = _YEAR + r"-(\d{2})(?:-(\d{2}))?"
_MONTHS = (31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)  # days, in a common year
_DAYS_IN = dict(enumerate(_MONTHS, 1))
_DAYS_BEFORE = {month: sum(_MONTHS[: month - 1]) for month in _DAYS_IN}
_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


def _schema(name: str) -> tuple[str, str]:
    return "http://schema.org/" + name, "https://schema.org/" + name


@dataclass(frozen=True, kw_only=True)
class RdfOptions:
    """Which statements are what; of several properties the first that is there counts.

    Attributes:
        languages: of names and texts, the most wanted first. ``en`` takes ``en-GB`` too, where
            there is no plain ``en``. Then come texts without a language, then any.
        web_pages: properties that hold a page on the web, which is no entity: left out, as is
            what schema.org's properties say of pages of Wikipedia.
        types: properties that hold a class; all but rdf:type are relations too.
        types_as_facts: rdf:type is a relation too, and classes are entities.
        keep_blank_nodes: things without an IRI are entities; else what is said of them is lost.

    Raises:
        ConfigError: a language is no tag as in BCP 47.
    """

    languages: tuple[str, ...] = ("en",)
    names: tuple[str, ...] = (
        *(_RDFS + "label", _SKOS + "prefLabel", *_schema("name"), _FOAF + "name"),
        *(_TERMS + "title", "http://purl.org/dc/elements/1.1/title"),
    )
    descriptions: tuple[str, ...] = (
        *(*_schema("description"), "http://dbpedia.org/ontology/abstract", _RDFS + "comment"),
        *(_TERMS + "description", "http://purl.org/dc/elements/1.1/description"),
        _SKOS + "definition",
    )
    pictures: tuple[str, ...] = (
        *(_FOAF + "depiction", *_schema("image"), _FOAF + "img", _WIKIDATA + "P18"),
    )
    web_pages: tuple[str, ...] = (
        *(_WIKIDATA + name for name in ("P856", "P973", "P1581", "P953", "P2699")),
        *(_FOAF + name for name in ("homepage", "page", "isPrimaryTopicOf", "weblog")),
        *(*_schema("url"), "http://dbpedia.org/ontology/wikiPageExternalLink"),
    )
    types: tuple[str, ...] = (RDF_TYPE, _WIKIDATA + "P31")
    types_as_facts: bool = False
    keep_blank_nodes: bool = False
    strict: bool = False

    def __post_init__(self) -> None:
        """Check the languages."""
        for language in self.languages:
            if not _LANGUAGE.fullmatch(language):
                raise ConfigError(f"language {language!r}: expected a tag as in en or pt-BR")


def rank_languages(tags: Iterable[str], wanted: tuple[str, ...]) -> dict[str, int]:
    """Rank language tags, "" for none: the lower the better (RFC 4647, lookup).

    For each wanted language in turn: the tag itself, a longer one (``en-GB`` for ``en``), a shorter
    one (``pt`` for ``pt-BR``). Then no language, then any other.
    """
    lower = [language.lower() for language in wanted]
    ranks = {}
    for tag in tags:
        own = tag.partition("--")[0].lower()  # without the direction of writing
        fitting = (
            3 * place + (own != language) + (not own.startswith(language))
            for place, language in enumerate(lower)
            if f"{own}-".startswith(f"{language}-") or f"{language}-".startswith(f"{own}-")
        )
        ranks[tag] = min(fitting, default=3 * len(lower) + bool(own)) if own else 3 * len(lower)
    return ranks


def parse_literals(texts: pl.Series, datatypes: pl.Series) -> pl.Series:
    """Read literals of ``NUMBER_TYPES`` and ``DATE_TYPES``; null for what is none or not finite."""
    frame = pl.DataFrame({"text": texts, "datatype": datatypes})
    is_date = frame["datatype"].is_in(sorted(DATE_TYPES))
    # The time zone of a year, as in 1990-05:00, is no month.
    year_only = pl.when(pl.col("datatype") == XSD + "gYear")
    dates = year_only.then(pl.col("text").str.extract(_YEAR, 1)).otherwise(pl.col("text"))
    frame = frame.with_columns(date=dates)
    numbers = frame["text"].str.strip_chars().cast(pl.Float64, strict=False)
    values = compute_decimal_years(frame["date"]).zip_with(is_date, numbers)
    return values.set(~values.is_finite().fill_null(value=False), None)


def compute_decimal_years(dates: pl.Series) -> pl.Series:
    """Turn dates to years: 1990-07-02 is 1990.4986 (182 of 365 days), null for what is no date.

    Month and day may be missing or ``00`` (unknown) and count as the first; what follows the day
    is ignored. Years are those of the proleptic Gregorian calendar.
    """
    year = pl.col("date").str.extract(_YEAR).cast(pl.Int64, strict=False)
    month, day = (
        pl.col("date").str.extract(_DATE, group).cast(pl.Int64).fill_null(1).clip(lower_bound=1)
        for group in (2, 3)
    )
    parts = dates.alias("date").to_frame().select(year=year, month=month, day=day)
    leap = (pl.col("year") % 4 == 0) & ((pl.col("year") % 100 != 0) | (pl.col("year") % 400 == 0))
    month, day = pl.col("month"), pl.col("day")
    days = month.replace_strict(_DAYS_BEFORE, default=None) + (leap & (month > 2)) + day - 1
    last = month.replace_strict(_DAYS_IN, default=None) + (leap & (month == 2))
    length = pl.when(leap).then(366).otherwise(365)
    return parts.select(pl.when(day <= last).then(pl.col("year") + days / length)).to_series()


def unescape(text: str) -> str:
    r"""Undo the escapes of N-Quads, which are those of JSON: ``\n``, ``\"``, ``\u00e9``."""
    if "\\" not in text:
        return text
    plain: str = json.loads(f'"{text}"', strict=False)
    return plain


_COMPACTED = 1_000_000  # rows that may gather before those that lost are dropped
_MAX_EXAMPLES = 5


class Numbering:
    """Labels numbered in order of first appearance, over many batches."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def number(self, labels: pl.Series) -> Ints:
        """Give the ids ``[n]`` of n labels."""
        distinct, numbers = number_labels(labels)
        return translate_ids(distinct, self.ids)[numbers]


class Texts:
    """The best text of each entity: best language, then best property, then first by alphabet."""

    def __init__(self, properties: tuple[str, ...], languages: tuple[str, ...]) -> None:
        self._places = {name: place for place, name in reversed(list(enumerate(properties)))}
        self._languages = languages
        schema = {"id": pl.Int64, "rank": pl.UInt32, "tag": pl.String, "place": pl.UInt32}
        self._parts = [pl.DataFrame(schema=schema | {"text": pl.String})]
        self._rows, self._limit = 0, _COMPACTED

    def add(self, literals: pl.DataFrame, ids: Ints) -> None:
        """Take literals with the ids ``[n]`` of their subjects."""
        if not len(literals):
            return
        tags = literals["language"].fill_null("")
        ranks = rank_languages(tags.unique().to_list(), self._languages)
        part = pl.DataFrame(
            {
                "id": ids,
                "rank": tags.replace_strict(ranks, return_dtype=pl.UInt32),
                "tag": tags,
                "place": literals["predicate"].replace_strict(self._places, return_dtype=pl.UInt32),
                "text": literals["object"],
            }
        )
        self._parts.append(part)
        self._rows += len(part)
        if self._rows > self._limit:
            self.choose()

    def choose(self) -> pl.DataFrame:
        """Give one row per entity: ``id`` and ``text``, which has its escapes."""
        texts = pl.concat(self._parts).sort(pl.all())
        best = texts.unique("id", keep="first", maintain_order=True)
        self._parts, self._rows, self._limit = [best], 0, max(_COMPACTED, len(best))
        return best.select("id", "text")


@dataclass
class Collection:
    """Everything that the statements said, as ids.

    Attributes:
        links: parts ``[n, 3]``: subject, property and object, none of them a literal.
        pictures: parts with columns ``id`` and ``value``, of pictures given as literals.
        numbers: parts with columns ``attribute`` (by ``relations``), ``id`` and ``value``.
        lost: what could not be used: counts by reason.
        unused: literals without a meaning here: counts by datatype and property.
        no_numbers: the first few literals that should be numbers and are none.
    """

    options: RdfOptions
    nodes: Numbering = field(default_factory=Numbering)
    relations: Numbering = field(default_factory=Numbering)
    links: list[Ints] = field(default_factory=list)
    names: Texts = field(init=False)
    descriptions: Texts = field(init=False)
    pictures: list[pl.DataFrame] = field(default_factory=list)
    numbers: list[pl.DataFrame] = field(default_factory=list)
    statements: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    unused: Counter[tuple[str, str]] = field(default_factory=Counter)
    no_numbers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names = Texts(self.options.names, self.options.languages)
        self.descriptions = Texts(self.options.descriptions, self.options.languages)

    def add(self, literals: pl.DataFrame, others: pl.DataFrame) -> None:
        """Take a batch of statements (see ``split_terms``)."""
        self.statements += len(literals) + len(others)
        links = self._drop(others, "quoted", pl.col("object").str.starts_with("<"))
        if not self.options.keep_blank_nodes:
            is_blank, is_blank_object = (
                pl.col(name).str.starts_with("_:") | pl.col(name).str.contains(SKOLEM, literal=True)
                for name in ("subject", "object")
            )
            literals = self._drop(literals, "blank", is_blank)
            links = self._drop(links, "blank", is_blank | is_blank_object)
        is_page = pl.col("subject").str.contains(SITELINK)
        is_page &= pl.col("predicate").str.contains("^https?://schema.org/")
        is_link = pl.col("predicate").is_in(self.options.web_pages)
        links = self._drop(links, "web-page", is_page | is_link)
        literals = self._drop(literals, "web-page", is_page)
        subjects, objects = self.nodes.number(
            pl.concat([links["subject"], links["object"]])
        ).reshape(2, -1)
        relations = self.relations.number(links["predicate"])
        self.links.append(np.stack([subjects, relations, objects], axis=1))
        self._add_literals(literals)

    def _add_literals(self, literals: pl.DataFrame) -> None:
        relation, datatype = pl.col("predicate"), pl.col("datatype")
        roles = (
            ("name", relation.is_in(self.options.names)),
            ("description", relation.is_in(self.options.descriptions)),
            ("picture", relation.is_in(self.options.pictures)),
            ("number", datatype.is_in(sorted(NUMBER_TYPES | DATE_TYPES)).fill_null(value=False)),
        )
        parts: dict[str, pl.DataFrame] = {}
        for role, fits in roles:
            parts[role], literals = literals.filter(fits), literals.filter(~fits)
        self.names.add(parts["name"], self.nodes.number(parts["name"]["subject"]))
        self.descriptions.add(
            parts["description"], self.nodes.number(parts["description"]["subject"])
        )
        pictures = parts["picture"]
        ids = self.nodes.number(pictures["subject"])
        self.pictures.append(pl.DataFrame({"id": ids, "value": pictures["object"]}))
        self._add_numbers(parts["number"])
        for kind, name, count in literals.group_by("datatype", "predicate").len().rows():
            self.unused[kind or "", name] += count

    def _add_numbers(self, part: pl.DataFrame) -> None:
        values = parse_literals(part["object"], part["datatype"])
        bad = part.filter(values.is_null())
        self.lost["no-number"] += len(bad)
        for subject, relation, text, *_ in bad.head(_MAX_EXAMPLES - len(self.no_numbers)).rows():
            self.no_numbers.append(f"{text[:80]!r} as {relation} of {subject}")
        part = part.filter(values.is_not_null())
        self.numbers.append(
            pl.DataFrame(
                {
                    "attribute": self.relations.number(part["predicate"]),
                    "id": self.nodes.number(part["subject"]),
                    "value": values.drop_nulls(),
                }
            )
        )

    def _drop(self, statements: pl.DataFrame, reason: str, where: pl.Expr) -> pl.DataFrame:
        kept = statements.filter(~where)
        self.lost[reason] += len(statements) - len(kept)
        return kept
