"""Batches of RDF statements gathered into links, names, texts, pictures and numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl

from momok.arrays import Ints
from momok.graph.sources.raw import number_labels, translate_ids
from momok.graph.sources.rdf_terms import (
    DATE_TYPES,
    NUMBER_TYPES,
    SITELINK,
    SKOLEM,
    RdfOptions,
    parse_literals,
    rank_languages,
)

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
