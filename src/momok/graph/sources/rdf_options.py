"""What the properties of RDF mean for a graph: names, texts, pictures, types."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

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

_LANGUAGE = re.compile(r"[A-Za-z]{1,8}(-[A-Za-z0-9]{1,8})*")


def _schema(name: str) -> tuple[str, str]:
    return "http://schema.org/" + name, "https://schema.org/" + name


@dataclass(frozen=True, kw_only=True)
class RdfOptions:
    """Which statements are what; of several properties the first that is there counts.

    Attributes:
        languages: of names and texts, the most wanted first. ``en`` takes ``en-GB`` too, where
            there is no plain ``en``. Then come texts without a language, then any.
        names: properties that hold a name.
        descriptions: properties that hold a longer text.
        pictures: properties that hold the path or address of a picture.
        types: properties that hold a class; all but rdf:type are relations too.
        types_as_facts: rdf:type is a relation too, and classes are entities.
        keep_blank_nodes: things without an IRI are entities; else what is said of them is lost.
        strict: statements that cannot be used are errors.

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
    last = 3 * len(lower)
    ranks = {}
    for tag in tags:
        own = tag.partition("--")[0].lower()  # without the direction of writing
        ranks[tag] = min(
            (
                3 * place + step
                for place, language in enumerate(lower)
                for step, fits in enumerate(
                    (
                        own == language,
                        own.startswith(language + "-"),
                        language.startswith(own + "-"),
                    )
                )
                if fits and own
            ),
            default=last if not own else last + 1,
        )
    return ranks
