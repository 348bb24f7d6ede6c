"""The folder that benchmarks are published in.

It holds::

    entity2id.txt relation2id.txt   "label id", ids from 0
    train.txt valid.txt test.txt    "head relation tail", a " ." at the end is tolerated
    entity_names.tsv                optional: label, display name

Labels are separated by tabs, or, in lines without a tab, by blanks; angle brackets around a
label are not part of it. Files are UTF-8.
"""

from __future__ import annotations

from pathlib import Path

from momok.graph.fact_reader import index_splits, read_facts, split_benchmark_lines
from momok.graph.features import load_all_features
from momok.graph.graph import SPLIT_NAMES, MultimodalGraph
from momok.graph.names import Vocabulary, make_readable, read_id_list, strip_brackets
from momok.graph.text_files import FindingLog, read_lines


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
        FormatError: ids are not 0 to n - 1, a label has two, a split is empty, or reading is strict
            and a line cannot be used.
        FeatureError: a folder ``features`` holds what does not fit.
    """
    log = FindingLog(path, strict)
    entities = Vocabulary(tuple(read_id_list(path / "entity2id.txt")[0]))
    relations = Vocabulary(tuple(read_id_list(path / "relation2id.txt")[0]))
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
