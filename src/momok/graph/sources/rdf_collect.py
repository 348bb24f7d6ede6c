"""Batches of RDF statements gathered into facts, names, texts, pictures, types and numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import polars as pl
from numpy.typing import NDArray

from momok.graph.sources.raw import number_labels, translate_ids
from momok.graph.sources.rdf_literals import DATE_TYPES, NUMBER_TYPES, parse_literals
from momok.graph.sources.rdf_options import (
    CLAIM,
    RDF_TYPE,
    RdfOptions,
    rank_languages,
)

_COMPACTED = 1_000_000  # rows that may gather before those that lost are dropped


class Numbering:
    """Labels numbered in order of first appearance, over many batches."""

    def __init__(self) -> None:
        self.ids: dict[str, int] = {}

    def number(self, labels: pl.Series) -> NDArray[np.int64]:
        """Give the ids ``[n]`` of n labels."""
        distinct, numbers = number_labels(labels)
        return translate_ids(distinct, self.ids)[numbers]


class Texts:
    """The best text of each entity: best language, then best property, then first by alphabet."""

    def __init__(self, properties: tuple[str, ...], languages: tuple[str, ...]) -> None:
        self.properties = properties
        self._languages = languages
        self._parts: list[pl.DataFrame] = []
        self._rows = 0
        self._limit = _COMPACTED

    def add(self, literals: pl.DataFrame, ids: NDArray[np.int64]) -> None:
        """Take literals with the ids ``[n]`` of their subjects."""
        if not len(literals):
            return
        tags = literals["language"].fill_null("")
        ranks = rank_languages(tags.unique().to_list(), self._languages)
        places = {name: place for place, name in reversed(list(enumerate(self.properties)))}
        part = pl.DataFrame(
            {
                "id": ids,
                "rank": tags.replace_strict(ranks, return_dtype=pl.UInt32),
                "tag": tags,
                "place": literals["predicate"].replace_strict(places, return_dtype=pl.UInt32),
                "text": literals["object"],
            }
        )
        self._parts.append(_keep_best(part))
        self._rows += len(self._parts[-1])
        if self._rows > self._limit:
            self._parts = [_keep_best(pl.concat(self._parts))]
            self._rows = len(self._parts[0])
            self._limit = max(_COMPACTED, 2 * self._rows)

    def finish(self) -> pl.DataFrame:
        """Give one row per entity: ``id`` and ``text``, which has its escapes."""
        if not self._parts:
            return pl.DataFrame(schema={"id": pl.Int64, "text": pl.String})
        return _keep_best(pl.concat(self._parts)).select("id", "text")


def _keep_best(texts: pl.DataFrame) -> pl.DataFrame:
    order = ["id", "rank", "tag", "place", "text"]
    return texts.sort(order).unique("id", keep="first", maintain_order=True)


@dataclass
class Collection:
    """Everything that the statements said, as ids.

    Attributes:
        options: which properties mean what.
        nodes: the numbering of subjects and objects.
        relations: the numbering of properties that stand in facts or hold numbers.
        facts: parts ``[n, 3]`` of the facts.
        names: the best names.
        descriptions: the best texts.
        types: parts ``[n, 2]``: subject and class, both by ``nodes``.
        claims: parts ``[n, 2]``: a property and the one that is used in facts, both by ``nodes``.
        pictures: parts with columns ``id`` and ``value``.
        numbers: parts with columns ``attribute`` (by ``relations``), ``id`` and ``value``.
        statements: how many were read.
        lost: what could not be used: counts by reason.
        unused: literals without a meaning here: counts by datatype and property.
        no_numbers: the first few literals that should be numbers and are none.
    """

    options: RdfOptions
    nodes: Numbering = field(default_factory=Numbering)
    relations: Numbering = field(default_factory=Numbering)
    facts: list[NDArray[np.int64]] = field(default_factory=list)
    types: list[NDArray[np.int64]] = field(default_factory=list)
    claims: list[NDArray[np.int64]] = field(default_factory=list)
    pictures: list[pl.DataFrame] = field(default_factory=list)
    numbers: list[pl.DataFrame] = field(default_factory=list)
    statements: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    unused: Counter[tuple[str, str]] = field(default_factory=Counter)
    no_numbers: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the gatherers of texts."""
        self.names = Texts(self.options.names, self.options.languages)
        self.descriptions = Texts(self.options.descriptions, self.options.languages)

    def add(self, literals: pl.DataFrame, others: pl.DataFrame) -> None:
        """Take a batch of statements (see ``split_terms``)."""
        self.statements += len(literals) + len(others)
        self._add_links(self._drop(others, "quoted", pl.col("object").str.starts_with("<")))
        self._add_literals(self._drop_blank(literals, "subject"))

    def _add_links(self, links: pl.DataFrame) -> None:
        links = self._drop_blank(links, "subject", "object")
        relation = pl.col("predicate")
        is_picture = relation.is_in(self.options.pictures)
        self._add_pictures(links.filter(is_picture))
        is_type = relation.is_in(self.options.types)
        self.types.append(self._number_ends(links.filter(is_type)))
        self.claims.append(self._number_ends(links.filter(relation == CLAIM)))
        no_fact = is_picture | (relation == CLAIM)
        if not self.options.types_as_facts and RDF_TYPE in self.options.types:
            no_fact |= relation == RDF_TYPE
        facts = links.filter(~no_fact)
        ends = self._number_ends(facts)
        relations = self.relations.number(facts["predicate"])
        self.facts.append(np.stack([ends[:, 0], relations, ends[:, 1]], axis=1))

    def _add_literals(self, literals: pl.DataFrame) -> None:
        relation, datatype = pl.col("predicate"), pl.col("datatype")
        roles = literals.select(
            role=pl.when(relation.is_in(self.options.names))
            .then(pl.lit("name"))
            .when(relation.is_in(self.options.descriptions))
            .then(pl.lit("description"))
            .when(relation.is_in(self.options.pictures))
            .then(pl.lit("picture"))
            .when(datatype.is_in(sorted(NUMBER_TYPES | DATE_TYPES)))
            .then(pl.lit("number"))
            .otherwise(pl.lit("none"))
        )["role"]
        for role, texts in (("name", self.names), ("description", self.descriptions)):
            part = literals.filter(roles == role)
            texts.add(part, self.nodes.number(part["subject"]))
        self._add_pictures(literals.filter(roles == "picture"))
        self._add_numbers(literals.filter(roles == "number"))
        unused = literals.filter(roles == "none").group_by("datatype", "predicate").len()
        for kind, name, count in unused.rows():
            self.unused[kind or "", name] += count

    def _add_pictures(self, part: pl.DataFrame) -> None:
        ids = self.nodes.number(part["subject"])
        self.pictures.append(pl.DataFrame({"id": ids, "value": part["object"]}))

    def _add_numbers(self, part: pl.DataFrame) -> None:
        values = parse_literals(part["object"], part["datatype"])
        bad = part.filter(values.is_null())
        self.lost["no-number"] += len(bad)
        room = 5 - len(self.no_numbers)
        for subject, relation, text, _, _ in bad.head(max(room, 0)).rows():
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

    def _number_ends(self, links: pl.DataFrame) -> NDArray[np.int64]:
        ends = pl.concat([links["subject"], links["object"]])
        return self.nodes.number(ends).reshape(2, -1).T

    def _drop_blank(self, statements: pl.DataFrame, *columns: str) -> pl.DataFrame:
        if self.options.keep_blank_nodes:
            return statements
        blank = pl.any_horizontal(pl.col(c).str.starts_with("_:") for c in columns)
        return self._drop(statements, "blank", blank)

    def _drop(self, statements: pl.DataFrame, reason: str, where: pl.Expr) -> pl.DataFrame:
        kept = statements.filter(~where)
        self.lost[reason] += len(statements) - len(kept)
        return kept


def choose_types(pairs: NDArray[np.int64], general: NDArray[np.int64]) -> pl.DataFrame:
    """Choose the class of each entity: the first that is said, but one of ``general`` only last.

    Args:
        pairs: entity and class ``[n, 2]``.
        general: the ids of classes that say little.

    Returns:
        One row per entity: ``id`` and ``type``.
    """
    frame = pl.DataFrame({"id": pairs[:, 0], "type": pairs[:, 1]})
    little = frame["type"].is_in(general.tolist())
    ordered = pl.concat([frame.filter(~little), frame.filter(little)])
    return ordered.unique("id", keep="first", maintain_order=True)
