"""From what RDF statements said, gathered by ids, to a graph by labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import numpy as np
import polars as pl

from momok.arrays import Bools, Ints
from momok.errors import FormatError
from momok.graph.names import flatten, make_readable
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.sources.rdf_collect import CLAIM, GENERAL_TYPES, RDF_TYPE, Collection, unescape
from momok.graph.sources.rdf_faults import FaultLog
from momok.graph.text_files import Finding, FindingLog

_SHOWN = 5  # kinds of unused literals in a finding
# Blanks and control characters around a text; among them are those that no text should be made of.
_EDGES = r"^[\s\x00-\x1f]+|[\s\x00-\x1f]+$"
_LOSSES = {
    "blank": "statements about things without an IRI (blank nodes) are left out",
    "no-triple": "rows of the answer are no triple (a cell is empty or a text) and are left out",
    "picture": "pictures are no addresses (http:, https:) and are left out",
    "quoted": "statements about other statements (quoted triples) are left out",
    "repeated-number": "numbers are a second value of the same attribute; the first is kept",
    "web-page": "statements about pages on the web (sitelinks, official websites) are left out",
    "without-facts": "things have a name or number and no fact; left out",
}


class _Links(NamedTuple):
    """The statements whose object is no literal, by meaning; all ``[n, 3]`` but ``claims``."""

    facts: Ints  # between entities
    types: Ints  # between an entity and its class
    pictures: Ints  # between an entity and the address of a picture
    claims: dict[int, int]  # from the property that is used in facts to the one that has its name


def build_raw_graph(
    collection: Collection, faults: FaultLog, place_picture: Callable[[str], str | None]
) -> RawGraph:
    """Make the graph of a source.

    Args:
        place_picture: gives the path or URL that a statement means, None for one left out.

    Raises:
        FormatError: there is no fact; or reading is strict and a number is none.
    """
    links = _sort_links(collection)
    if not len(links.facts):
        raise FormatError(_describe_no_facts(collection, faults))
    is_entity = np.zeros(len(collection.nodes.ids), dtype=np.bool_)
    is_entity[links.facts[:, [0, 2]]] = True
    labels = _rename_blank_nodes(list(collection.nodes.ids), Path(faults.source).name)
    relations = list(collection.relations.ids)
    used, relation_ids = np.unique(links.facts[:, 1], return_inverse=True)
    places = np.cumsum(is_entity) - 1  # the ids without gaps
    names = _read_texts(collection.names.choose())
    descriptions = _read_texts(collection.descriptions.choose())
    of_entity = [label if known else None for label, known in zip(labels, is_entity, strict=True)]

    def keep(texts: dict[int, str]) -> dict[str, str]:
        return {label: text for i, text in texts.items() if text and (label := of_entity[i])}

    pictures = _list_pictures(collection, links, labels, place_picture)
    numbers = _choose_numbers(collection, is_entity)
    collection.lost["without-facts"] = _count_without_facts(collection, links, names, is_entity)
    return RawGraph(
        entities=[label for label in of_entity if label is not None],
        relations=[relations[i] for i in used],
        triples={
            UNSPLIT: np.stack(
                [places[links.facts[:, 0]], relation_ids, places[links.facts[:, 2]]], axis=1
            )
        },
        names=keep(names),
        relation_names=_name_relations([relations[i] for i in used], collection, links, names),
        descriptions=keep(descriptions),
        types=keep(_name_types(collection, links, labels, names)),
        pictures={label: found for i, found in pictures.items() if (label := of_entity[i])},
        numbers={
            relations[attribute]: {labels[i]: value for i, value in values.items()}
            for attribute, values in numbers.items()
        },
        findings=_report(collection, faults),
    )


def _sort_links(collection: Collection) -> _Links:
    options, ids = collection.options, collection.relations.ids
    links = np.concatenate([np.empty((0, 3), dtype=np.int64), *collection.links])

    def among(properties: Iterable[str]) -> Bools:
        known = [ids[name] for name in properties if name in ids]
        return np.isin(links[:, 1], known)

    is_picture, is_claim, is_type = (
        among(properties) for properties in (options.pictures, [CLAIM], options.types)
    )
    no_fact = is_picture | is_claim
    if not options.types_as_facts and RDF_TYPE in options.types:
        no_fact |= among([RDF_TYPE])
    claims = {used: named for named, _, used in links[is_claim].tolist()}
    return _Links(links[~no_fact], links[is_type], links[is_picture], claims)


def _describe_no_facts(collection: Collection, faults: FaultLog) -> str:
    if not collection.statements and faults.count:
        return f"{faults.examples[0]}; no statement can be used{faults.hint}"
    if not collection.statements:
        return f"{faults.source}: holds no statement{faults.hint}"
    message = f"{faults.source}: holds {collection.statements:,} statements and no fact"
    if faults.count:
        return f"{message}; {faults.count:,} are malformed, the first is {faults.examples[0]}"
    if collection.lost["blank"]:
        return (
            f"{message} between two IRIs; {collection.lost['blank']:,} have a blank node, which "
            "can be kept as an entity"
        )
    return f"{message}; a fact has an IRI as its subject and one as its object"


def _rename_blank_nodes(labels: list[str], source: str) -> list[str]:
    """Name blank nodes by their order: parsers give some of them random names."""
    blank = (i for i, label in enumerate(labels) if label.startswith("_:"))
    plain = re.sub(r"[^\w.-]", "_", source)  # a file's name may hold anything
    for number, i in enumerate(blank, 1):
        labels[i] = f"_:{plain}-{number}"
    return labels


def _read_texts(chosen: pl.DataFrame) -> dict[int, str]:
    """Undo escapes, and put each text on one line."""
    texts = [flatten(unescape(text)) if "\\" in text else text for text in chosen["text"]]
    tidy = pl.Series(texts, dtype=pl.String).str.replace_all(_EDGES, "")
    return dict(zip(chosen["id"].to_list(), tidy.to_list(), strict=True))


def _name_relations(
    relations: list[str], collection: Collection, links: _Links, names: dict[int, str]
) -> dict[str, str]:
    """Name relations by their own label, or that of the property that claims them (Wikidata)."""
    found: dict[str, str] = {}
    for relation in relations:
        node = collection.nodes.ids.get(relation, -1)
        name = names.get(node) or names.get(links.claims.get(node, -1))
        if name:
            found[relation] = name
    return found


def _name_types(
    collection: Collection, links: _Links, labels: list[str], names: dict[int, str]
) -> dict[int, str]:
    """Give the name of the class of each entity: the first, a general one only without others."""
    ids = collection.nodes.ids
    general = [ids[iri] for iri in GENERAL_TYPES if iri in ids]
    ordered = links.types[np.argsort(np.isin(links.types[:, 2], general), kind="stable")]
    entities, first = np.unique(ordered[:, 0], return_index=True)
    words = {i: names.get(i) or make_readable(labels[i]) for i in set(ordered[first, 2].tolist())}
    classes = map(words.__getitem__, ordered[first, 2].tolist())
    return dict(zip(entities.tolist(), classes, strict=True))


def _list_pictures(
    collection: Collection, links: _Links, labels: list[str], place: Callable[[str], str | None]
) -> dict[int, list[str]]:
    given = [(subject, labels[picture]) for subject, _, picture in links.pictures.tolist()]
    given += [row for part in collection.pictures for row in part.iter_rows()]
    pictures: dict[int, list[str]] = {}
    for i, value in dict.fromkeys(given):
        path = place(unescape(value))
        if path is None:
            collection.lost["picture"] += 1
        else:
            pictures.setdefault(i, []).append(path)
    return pictures


def _choose_numbers(collection: Collection, is_entity: Bools) -> dict[int, dict[int, float]]:
    """Give the first value of each attribute and entity, by their ids."""
    numbers: dict[int, dict[int, float]] = {}
    for part in collection.numbers:
        for attribute, i, value in part.iter_rows():
            if not is_entity[i]:
                continue
            values = numbers.setdefault(attribute, {})
            collection.lost["repeated-number"] += i in values
            values.setdefault(i, value)
    return numbers


def _count_without_facts(
    collection: Collection, links: _Links, names: Iterable[int], is_entity: Bools
) -> int:
    """Count the things that have a name or number and no fact, but for classes and relations."""
    ids = collection.nodes.ids
    told = set(names).union(*(part["id"].to_list() for part in collection.numbers))
    told -= set(np.flatnonzero(is_entity).tolist())
    told -= set(links.types[:, 2].tolist())
    told -= links.claims.keys() | links.claims.values()
    return len(told - {ids[name] for name in collection.relations.ids if name in ids})


def _report(collection: Collection, faults: FaultLog) -> list[Finding]:
    """Say what was lost on the way."""
    path = Path(faults.source)
    log = FindingLog(path.parent, faults.strict)
    message = f"statements of {path.name} are malformed and left out"
    log.report("malformed", message, faults.examples, faults.count)
    log.reject(
        "no-number",
        f"literals of {path.name} are no numbers or dates and are left out",
        (f"{path.name}: {text}" for text in collection.no_numbers),
        collection.lost["no-number"],
    )
    for kind, message in _LOSSES.items():
        log.report(kind, f"{message} ({path.name})", (), collection.lost[kind])
    places = (
        f"{count:,} of {predicate}" + (f" as {datatype}" if datatype else "")
        for (datatype, predicate), count in collection.unused.most_common(_SHOWN)
    )
    message = f"texts and other literals of {path.name} are not used"
    log.report("unused-text", message, places, sum(collection.unused.values()))
    return log.findings
