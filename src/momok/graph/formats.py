"""Graphs on disk: the folder that benchmarks are published in, and momok's own.

A benchmark folder::

    entity2id.txt relation2id.txt   "label id", ids 0, 1, 2, ...
    train.txt valid.txt test.txt    "head relation tail", a " ." at the end is tolerated
    entity_names.tsv                optional: label, display name

Labels are separated by tabs, or, in lines without a tab, by blanks; angle brackets around a
label are not part of it.

momok's own folder::

    graph.json                      {"format": "momok-graph", "version": 1, "name": ...}
    entities.tsv                    header: label, name, description, picture, type, any others
    relations.tsv                   optional; header: label, name
    train.tsv valid.tsv test.tsv    head, relation and tail label, no header
    features/                       see momok.graph.features
    pictures/                       the files that entities.tsv names, "|" between several
    numbers.tsv                     optional, see momok.graph.entities_file

Columns are separated by tabs and never quoted; only ``label`` is required. Both are UTF-8.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from momok.errors import FeatureError, FormatError
from momok.graph.entities_file import Table, read_pictures, read_table
from momok.graph.fact_reader import (
    FactFile,
    FindingLog,
    index_splits,
    list_relations,
    read_facts,
    split_benchmark_lines,
    split_momok_lines,
)
from momok.graph.features import Features, list_modalities, load_features
from momok.graph.graph import SPLIT_NAMES, Finding, MultimodalGraph
from momok.graph.lines import read_lines, read_text
from momok.graph.names import make_readable
from momok.graph.vocabulary import Vocabulary
from momok.graph.writing import FORMAT, VERSION, write_momok_folder

__all__ = [
    "is_benchmark_folder",
    "is_momok_folder",
    "read_benchmark_folder",
    "read_momok_folder",
    "write_momok_folder",
]


def is_benchmark_folder(path: Path) -> bool:
    """Tell a benchmark folder by its list of entities."""
    return (path / "entity2id.txt").is_file()


def is_momok_folder(path: Path) -> bool:
    """Tell momok's own folder by its ``graph.json``."""
    return (path / "graph.json").is_file()


def read_benchmark_folder(
    path: Path, *, strict: bool = False, modalities: bool = True
) -> MultimodalGraph:
    """Read a graph as the benchmarks are published, split as published.

    Args:
        path: the folder.
        strict: malformed lines and unknown labels are errors.
        modalities: read features; without, a folder whose features do not fit can be looked at.

    Raises:
        DataError: a file is missing.
        FormatError: ids are not 0, 1, 2, ... in order, a label has two ids, a split is empty, or
            reading is strict and a line cannot be used.
        FeatureError: a folder ``features`` holds what does not fit.
    """
    log = FindingLog(path, strict)
    entities = _read_ids(path / "entity2id.txt")
    relations = _read_ids(path / "relation2id.txt")
    files = {
        split: read_facts(path / f"{split}.txt", split_benchmark_lines, log)
        for split in SPLIT_NAMES
    }
    triples = index_splits(files, entities, relations, log)
    features = _read_features(path, entities, log) if modalities else {}
    return MultimodalGraph(
        name=path.resolve().name,
        entities=entities,
        relations=relations,
        train=triples["train"],
        valid=triples["valid"],
        test=triples["test"],
        features=features,
        entity_names=_read_names(path / "entity_names.tsv", entities, log),
        findings=tuple(log.findings),
        source=str(path),
    )


def read_momok_folder(
    path: Path, *, strict: bool = False, modalities: bool = True
) -> MultimodalGraph:
    """Read a graph in momok's own format; a split recorded in ``graph.json`` is kept.

    Args:
        path: the folder.
        strict: malformed lines, unknown labels, missing pictures and feature rows of unknown
            entities are errors.
        modalities: read features and find pictures; without, a folder where these do not fit can
            be looked at.

    Raises:
        DataError: a file is missing.
        FormatError: a file does not follow the format, a label is listed twice, a picture lies
            outside the folder, a split is empty, or reading is strict and a line cannot be used.
        FeatureError: features do not fit the entities.
    """
    log = FindingLog(path, strict)
    about = _read_graph_json(path / "graph.json")
    table = read_table(path / "entities.tsv")
    entities = Vocabulary(table.labels)
    files = {
        split: read_facts(path / f"{split}.tsv", split_momok_lines, log) for split in SPLIT_NAMES
    }
    relation_table = _read_relations(path / "relations.tsv", files.values())
    relations = Vocabulary(relation_table.labels)
    triples = index_splits(files, entities, relations, log)
    pictures = read_pictures(path, table, log) if modalities else {}
    features = _read_features(path, entities, log) if modalities else {}
    return MultimodalGraph(
        name=about.get("name") or path.resolve().name,
        entities=entities,
        relations=relations,
        train=triples["train"],
        valid=triples["valid"],
        test=triples["test"],
        features=features,
        entity_names=_fill_names(table),
        relation_names=_fill_names(relation_table),
        descriptions=table.column("description"),
        entity_types=table.column("type"),
        attributes=table.others("name", "description", "picture", "type"),
        pictures={row: several[0] for row, several in pictures.items()},
        all_pictures=pictures,
        split=about.get("split", "published"),
        split_notes=tuple(about.get("split_notes", ())),
        findings=(*log.findings, *_find_recorded_split(about)),
        source=str(path),
        about=about.get("description", ""),
        licence=about.get("licence", ""),
    )


def _strip_brackets(label: str) -> str:
    return label[1:-1] if len(label) > 2 and label[0] == "<" and label[-1] == ">" else label


def _read_ids(path: Path) -> Vocabulary:
    """Read ``label id`` lines, in which ids count from 0."""
    labels: dict[str, int] = {}  # label to line number
    for number, line in enumerate(read_lines(path), 1):
        trimmed = line.rstrip(" \t")
        if not trimmed:
            continue
        label, tab, digits = trimmed.rpartition("\t" if "\t" in trimmed else " ")
        label = _strip_brackets(label.strip(" \t"))
        if not tab or not label or not digits.isdecimal():
            raise FormatError(f"{path}:{number}: expected a label and its id, found {line[:120]!r}")
        if label in labels:
            raise FormatError(
                f"{path}:{number}: {label!r} has an id already, on line {labels[label]}; "
                f"each label is listed once"
            )
        if int(digits) != len(labels):
            raise FormatError(
                f"{path}:{number}: {label!r} has id {digits}, expected {len(labels)}; "
                f"ids count 0, 1, 2, ... in the order of the lines"
            )
        labels[label] = number
    if not labels:
        raise FormatError(f"{path}: lists nothing; expected a label and its id in each line")
    return Vocabulary(tuple(labels))


def _read_names(path: Path, entities: Vocabulary, log: FindingLog) -> tuple[str, ...]:
    """Read display names where the file exists; others are made from the labels."""
    given: dict[str, str] = {}
    lines = read_lines(path) if path.is_file() else []
    unknown: list[str] = []
    for number, line in enumerate(lines, 1):
        label, _, name = line.partition("\t")
        label = _strip_brackets(label.strip(" "))
        if label in entities:
            given[label] = name.strip()
        elif line:
            unknown.append(f"{path.name}:{number}: no entity {label[:120]!r}")
    log.reject("unknown-label", f"lines of {path.name} name no entity", unknown, len(unknown))
    return tuple(given.get(label) or make_readable(label) for label in entities.labels)


def _read_graph_json(path: Path) -> dict[str, Any]:
    try:
        about = json.loads(read_text(path).removesuffix("\n"))
    except json.JSONDecodeError as error:
        raise FormatError(f"{path}:{error.lineno}: is not JSON: {error.msg}") from None
    if not isinstance(about, dict) or about.get("format") != FORMAT:
        raise FormatError(f'{path}: expected an object with "format": "{FORMAT}"')
    if about.get("version") != VERSION:
        raise FormatError(
            f"{path}: version {about.get('version')!r} of the format; this momok reads {VERSION}"
        )
    if about.get("split", "published") not in ("published", "clean"):
        raise FormatError(f"{path}: split {about['split']!r}, expected 'published' or 'clean'")
    for key in ("name", "description", "licence"):
        if not isinstance(about.get(key, ""), str):
            raise FormatError(f"{path}: {key!r} must be a text")
    notes = about.get("split_notes", [])
    if not isinstance(notes, list) or not all(isinstance(note, str) for note in notes):
        raise FormatError(f"{path}: 'split_notes' must be a list of texts")
    return about


def _find_recorded_split(about: Mapping[str, Any]) -> list[Finding]:
    if "split" not in about:
        return []
    said = f"graph.json records the split as {about['split']}: its facts are left as they are"
    return [Finding("recorded-split", 1, said)]


def _read_relations(path: Path, files: Iterable[FactFile]) -> Table:
    """Read the relations, or find them in the facts in order of first appearance."""
    return read_table(path) if path.is_file() else Table(list_relations(files), {}, range(0))


def _fill_names(table: Table) -> tuple[str, ...]:
    names = table.column("name")
    return tuple(
        name or make_readable(label) for name, label in zip(names, table.labels, strict=True)
    )


def _read_features(path: Path, entities: Vocabulary, log: FindingLog) -> dict[str, Features]:
    """Read all modalities of the folder ``features``."""
    folder = path / "features"
    read = {m: load_features(folder, m, entities) for m in list_modalities(folder)}
    for modality, features in read.items():
        count = len(features.unmatched)
        if count and log.strict:
            raise FeatureError(
                f"{folder / modality}.json: {count} rows name no entity of the graph, "
                f"the first is {features.unmatched[0]!r}"
            )
        places = (f"features/{modality}.json: {label!r}" for label in features.unmatched)
        log.report("feature-rows", f"rows of modality {modality} name no entity", places, count)
    return read
