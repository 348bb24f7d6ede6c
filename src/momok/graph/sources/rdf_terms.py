"""What the terms of RDF mean for a graph: properties, languages, numbers, dates and escapes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import polars as pl

from momok.errors import ConfigError

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
_ESCAPE = re.compile(r"\\(?:u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|(.))")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "b": "\b", "f": "\f"}
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
        descriptions: properties that hold a longer text.
        pictures: properties that hold the path or address of a picture.
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
    r"""Undo the escapes of N-Quads: ``\n``, ``\"``, ``\u00e9`` and so on."""
    if "\\" not in text:
        return text
    return _ESCAPE.sub(_undo, text)


def _undo(match: re.Match[str]) -> str:
    short, long, sign = match.groups()
    code = short or long
    return chr(int(code, 16)) if code else _ESCAPED.get(sign, sign)
