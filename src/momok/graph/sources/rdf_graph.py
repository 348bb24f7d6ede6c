"""From what RDF statements said, gathered by ids, to a graph by labels."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import polars as pl
from numpy.typing import NDArray

from momok.errors import FormatError
from momok.graph.findings import Finding, FindingLog
from momok.graph.names import flatten, make_readable
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.sources.rdf_collect import Collection, choose_types
from momok.graph.sources.rdf_literals import unescape
from momok.graph.sources.rdf_options import GENERAL_TYPES
from momok.graph.sources.rdf_statements import FaultLog

_SHOWN = 5  # kinds of unused literals in a finding


@dataclass(frozen=True)
class _Nodes:
    """Subjects and objects.

    Attributes:
        labels: by id; blank nodes are renamed by the source and their order.
        used: by id, whether it is an entity: the head or tail of a fact.
    """

    labels: list[str]
    used: NDArray[np.bool_]

    def by_label(self, frame: pl.DataFrame, column: str) -> dict[str, str]:
        """Give a column of texts by the label of the entity in the column ``id``."""
        kept = _keep(frame, self.used)
        pairs = zip(kept["id"].to_list(), kept[column].to_list(), strict=True)
        return {self.labels[i]: text for i, text in pairs if text}


# Blanks and control characters around a text; among them are those that no text should be made of.
_EDGES = r"^[\s\x00-\x1f]+|[\s\x00-\x1f]+$"


def build_raw_graph(
    collection: Collection,
    faults: FaultLog,
    place_picture: Callable[[str], str | None],
    notes: Iterable[str],
) -> RawGraph:
    """Make the graph of a source.

    Args:
        collection: what was gathered.
        faults: the statements that could not be read.
        place_picture: gives the path or URL that a statement means, None for one left out.
        notes: what was taken for what.

    Raises:
        FormatError: there is no fact; or reading is strict and a number is none.
    """
    if not any(map(len, collection.facts)):
        raise FormatError(_say_no_facts(collection, faults))
    facts = np.concatenate(collection.facts)
    name = Path(faults.source).name
    used = np.zeros(len(collection.nodes.ids), dtype=np.bool_)
    used[facts[:, 0]] = used[facts[:, 2]] = True
    nodes = _Nodes(_rename_blank_nodes(list(collection.nodes.ids), name), used)
    relation_labels = list(collection.relations.ids)
    kept, relation_ids = np.unique(facts[:, 1], return_inverse=True)
    places = np.cumsum(used) - 1  # the ids without gaps
    names = _read_texts(collection.names.finish())
    relations = [relation_labels[i] for i in kept]
    return RawGraph(
        entities=[nodes.labels[i] for i in np.flatnonzero(used)],
        relations=relations,
        triples={
            UNSPLIT: np.stack([places[facts[:, 0]], relation_ids, places[facts[:, 2]]], axis=1)
        },
        names=nodes.by_label(names, "text"),
        relation_names=_name_relations(relations, collection, names),
        descriptions=nodes.by_label(_read_texts(collection.descriptions.finish()), "text"),
        types=_name_types(collection, nodes, names),
        pictures=_list_pictures(collection, nodes, place_picture),
        numbers=_list_numbers(collection, nodes, relation_labels),
        findings=_report(collection, faults, _count_without_facts(collection, nodes, names)),
        notes=list(notes),
    )


def _say_no_facts(collection: Collection, faults: FaultLog) -> str:
    if not collection.statements and faults.count:
        return f"{faults.examples[0]}; no statement can be used{faults.hint}"
    if not collection.statements:
        return f"{faults.source}: holds no statement{faults.hint}"
    said = f"{faults.source}: holds {collection.statements:,} statements and no fact"
    if faults.count:
        return f"{said}; {faults.count:,} are malformed, the first is {faults.examples[0]}"
    if collection.lost["blank"]:
        return (
            f"{said} between two IRIs; {collection.lost['blank']:,} have a blank node, which can "
            "be kept as an entity"
        )
    return f"{said}; a fact has an IRI as its subject and one as its object"


def _rename_blank_nodes(labels: list[str], source: str) -> list[str]:
    """Name blank nodes by their order: parsers give some of them random names."""
    blank = (i for i, label in enumerate(labels) if label.startswith("_:"))
    plain = re.sub(r"[^\w.-]", "_", source)  # a file's name may hold anything
    for number, i in enumerate(blank, 1):
        labels[i] = f"_:{plain}-{number}"
    return labels


def _keep(frame: pl.DataFrame, used: NDArray[np.bool_]) -> pl.DataFrame:
    return frame.filter(pl.Series(used[frame["id"].to_numpy()], dtype=pl.Boolean))


def _read_texts(frame: pl.DataFrame) -> pl.DataFrame:
    """Undo escapes, and put each text on one line."""
    escaped = frame["text"].str.contains("\\", literal=True)
    plain = [flatten(unescape(text)) for text in frame["text"].filter(escaped).to_list()]
    texts = frame["text"].to_frame().with_row_index("row")
    changed = texts.filter(escaped).with_columns(text=pl.Series(plain, dtype=pl.String))
    texts = texts.update(changed, on="row", how="left")
    return frame.with_columns(text=texts["text"].str.replace_all(_EDGES, ""))


def _name_relations(
    relations: list[str], collection: Collection, names: pl.DataFrame
) -> dict[str, str]:
    """Name relations by their own label, or that of the property that claims them (Wikidata)."""
    ids = collection.nodes.ids
    claimed = {int(used): int(named) for part in collection.claims for named, used in part}
    wanted = {}
    for relation in relations:
        node = ids.get(relation)
        if node is not None:
            wanted[relation] = [node, claimed.get(node, node)]
    candidates = sorted({node for nodes in wanted.values() for node in nodes})
    known = dict(names.filter(pl.col("id").is_in(candidates)).rows())
    found = {r: next((known[n] for n in nodes if n in known), "") for r, nodes in wanted.items()}
    return {relation: name for relation, name in found.items() if name}


def _name_types(collection: Collection, nodes: _Nodes, names: pl.DataFrame) -> dict[str, str]:
    """Give for each entity the name of its class."""
    pairs = np.concatenate(collection.types)
    ids = collection.nodes.ids
    general = np.array([ids[iri] for iri in GENERAL_TYPES if iri in ids], dtype=np.int64)
    chosen = _keep(choose_types(pairs, general), nodes.used)
    classes = chosen["type"].unique().to_list()
    known = dict(names.filter(pl.col("id").is_in(classes)).rows())
    words = {i: known.get(i) or make_readable(nodes.labels[i]) for i in classes}
    chosen = chosen.with_columns(pl.col("type").replace_strict(words, return_dtype=pl.String))
    return nodes.by_label(chosen, "type")


def _list_pictures(
    collection: Collection, nodes: _Nodes, place: Callable[[str], str | None]
) -> dict[str, list[str]]:
    frame = _keep(pl.concat(collection.pictures), nodes.used)
    pictures: dict[str, list[str]] = {}
    for i, value in frame.unique(maintain_order=True).rows():
        path = place(unescape(value))
        if path is None:
            collection.lost["picture"] += 1
        else:
            pictures.setdefault(nodes.labels[i], []).append(path)
    return pictures


def _list_numbers(
    collection: Collection, nodes: _Nodes, relations: list[str]
) -> dict[str, dict[str, float]]:
    """Give the first value of each attribute and entity."""
    frame = _keep(pl.concat(collection.numbers), nodes.used)
    first = frame.unique(["attribute", "id"], keep="first", maintain_order=True)
    collection.lost["repeated-number"] += len(frame) - len(first)
    numbers: dict[str, dict[str, float]] = {}
    for (attribute,), part in first.group_by("attribute", maintain_order=True):
        values = zip(part["id"].to_list(), part["value"].to_list(), strict=True)
        assert isinstance(attribute, int)
        numbers[relations[attribute]] = {nodes.labels[i]: value for i, value in values}
    return numbers


_LOSSES: Mapping[str, str] = {
    "blank": "statements about things without an IRI (blank nodes) are left out",
    "no-triple": "rows of the answer are no triple (a cell is empty or a text) and are left out",
    "picture": "pictures are no addresses (http:, https:) and are left out",
    "quoted": "statements about other statements (quoted triples) are left out",
    "repeated-number": "numbers are a second value of the same attribute; the first is kept",
}


def _count_without_facts(collection: Collection, nodes: _Nodes, names: pl.DataFrame) -> int:
    """Count the things that have a name or number and no fact, but for classes and relations."""
    named = np.zeros_like(nodes.used)
    named[names["id"].to_numpy()] = True
    for numbers in collection.numbers:
        named[numbers["id"].to_numpy()] = True
    named &= ~nodes.used
    for part in collection.types:
        named[part[:, 1]] = False
    for part in collection.claims:
        named[part] = False
    ids = collection.nodes.ids
    named[[ids[relation] for relation in collection.relations.ids if relation in ids]] = False
    return int(named.sum())


def _report(collection: Collection, faults: FaultLog, without_facts: int) -> list[Finding]:
    """Say what was lost on the way."""
    path = Path(faults.source)
    log = FindingLog(path.parent, faults.strict)
    log.report(
        "malformed",
        f"statements of {path.name} are malformed and left out",
        faults.examples,
        faults.count,
    )
    log.reject(
        "no-number",
        f"literals of {path.name} are no numbers or dates and are left out",
        (f"{path.name}: {text}" for text in collection.no_numbers),
        collection.lost["no-number"],
    )
    for kind, message in _LOSSES.items():
        log.report(f"{kind}", f"{message} ({path.name})", (), collection.lost[kind])
    message = f"things in {path.name} have a name or number and no fact; left out"
    log.report("without-facts", message, (), without_facts)
    _report_unused(collection, path.name, log)
    return log.findings


def _report_unused(collection: Collection, source: str, log: FindingLog) -> None:
    places = (
        f"{count:,} of {predicate}" + (f" as {datatype}" if datatype else "")
        for (datatype, predicate), count in collection.unused.most_common(_SHOWN)
    )
    total = sum(collection.unused.values())
    log.report("unused-text", f"texts and other literals of {source} are not used", places, total)
