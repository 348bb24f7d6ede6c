"""The folder that benchmarks are published in.

It holds::

    entity2id.txt relation2id.txt   "label id", ids 0, 1, 2, ...
    train.txt valid.txt test.txt    "head relation tail", a " ." at the end is tolerated
    entity_names.tsv                optional: label, display name

Labels are separated by tabs, or, in lines without a tab, by blanks; angle brackets around a
label are not part of it. Files are UTF-8.
"""

from __future__ import annotations

from pathlib import Path

from momok.errors import FormatError
from momok.graph.fact_reader import index_splits, read_facts, split_benchmark_lines
from momok.graph.features import load_all_features
from momok.graph.findings import FindingLog
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.lines import read_lines
from momok.graph.names import make_readable, strip_brackets
from momok.graph.vocabulary import Vocabulary


def is_benchmark_folder(path: Path) -> bool:
    """Whether a folder is a published benchmark, by its list of entities."""
    return (path / "entity2id.txt").is_file()


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
    entities = read_ids(path / "entity2id.txt")
    relations = read_ids(path / "relation2id.txt")
    files = {
        split: read_facts(path / f"{split}.txt", split_benchmark_lines, log)
        for split in SPLIT_NAMES
    }
    triples = index_splits(files, entities, relations, log)
    features = load_all_features(path / "features", entities, log) if modalities else {}
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


def read_ids(path: Path) -> Vocabulary:
    """Read the labels of ``entity2id.txt`` or ``relation2id.txt``: ``label id``, ids from 0.

    Raises:
        DataError: the file is missing.
        FormatError: ids are not 0, 1, 2, ... in order, or a label has two.
    """
    labels: dict[str, int] = {}  # label to line number
    for number, line in enumerate(read_lines(path), 1):
        trimmed = line.rstrip(" \t")
        if not trimmed:
            continue
        label, tab, digits = trimmed.rpartition("\t" if "\t" in trimmed else " ")
        label = strip_brackets(label.strip(" \t"))
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
        label = strip_brackets(label.strip(" "))
        if label in entities:
            given[label] = name.strip()
        elif line:
            unknown.append(f"{path.name}:{number}: no entity {label[:120]!r}")
    log.reject("unknown-label", f"lines of {path.name} name no entity", unknown, len(unknown))
    return tuple(given.get(label) or make_readable(label) for label in entities.labels)
