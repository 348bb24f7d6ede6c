"""Facts as ids, with dictionaries beside them: OpenKE and MyGO folders.

OpenKE::

    entity2id.txt relation2id.txt       a line with the count, then "label id"
    train2id.txt valid2id.txt test2id.txt   the count, then "head tail relation" (in this order)

MyGO::

    entities.txt relations.txt          a label a line, the line (from 0) is the id
    train.txt valid.txt test.txt        "head relation tail": labels, or ids

A MyGO folder whose labels are numbers often has the ``entity2id.txt`` of the benchmark it was made
from beside them; its labels are taken then.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from momok.errors import DataError, FormatError
from momok.graph.fact_reader import FindingLog
from momok.graph.graph import SPLIT_NAMES
from momok.graph.lines import read_lines
from momok.graph.sources.id_folders import Columns, read_id_triples
from momok.graph.sources.raw import RawGraph
from momok.graph.triples import Triples

__all__ = ["is_mygo_folder", "is_openke_folder", "read_mygo", "read_openke"]

_HEAD_TAIL_RELATION = Columns(head=0, relation=2, tail=1)


def is_openke_folder(path: Path) -> bool:
    """Tell an OpenKE folder by its train facts."""
    return (path / "train2id.txt").is_file()


def is_mygo_folder(path: Path) -> bool:
    """Tell a MyGO folder by its list of entities."""
    return (path / "entities.txt").is_file() and (path / "train.txt").is_file()


def read_openke(path: Path, *, strict: bool = False) -> RawGraph:
    """Read an OpenKE folder; its splits are kept, and those it lacks are left out.

    Raises:
        DataError: a file is missing.
        FormatError: a dictionary is malformed, ids are not 0 to n - 1, the columns look like those
            of another order; or reading is strict and a line cannot be used.
    """
    log = FindingLog(path, strict)
    entities = _read_counted_ids(path / "entity2id.txt", log)
    relations = _read_counted_ids(path / "relation2id.txt", log)
    sizes = len(entities), len(relations)
    triples: dict[str, Triples] = {
        split: read_id_triples(file, _HEAD_TAIL_RELATION, sizes, log)
        for split in SPLIT_NAMES
        if (file := path / f"{split}2id.txt").is_file()
    }
    if "train" not in triples:
        raise DataError(f"{path / 'train2id.txt'}: the file is missing")
    return RawGraph(
        entities=entities,
        relations=relations,
        triples=triples,
        findings=log.findings,
        name=path.resolve().name,
    )


def read_mygo(path: Path, *, strict: bool = False) -> RawGraph:
    """Read a MyGO folder; its splits are kept.

    Raises:
        DataError: a file is missing.
        FormatError: a list is malformed; or reading is strict and a line cannot be used.
    """
    log = FindingLog(path, strict)
    entities, relations = _read_list(path / "entities.txt"), _read_list(path / "relations.txt")
    notes: list[str] = []
    triples = _read_mygo_triples(path, entities, relations, log, notes)
    return RawGraph(
        entities=_replace_numbers(entities, path / "entity2id.txt", log, notes),
        relations=_replace_numbers(relations, path / "relation2id.txt", log, notes),
        triples=triples,
        findings=log.findings,
        notes=notes,
        name=path.resolve().name,
    )


def _read_mygo_triples(
    path: Path, entities: list[str], relations: list[str], log: FindingLog, notes: list[str]
) -> dict[str, Triples]:
    from momok.graph.sources.fact_tables import read_table
    from momok.graph.sources.options import TableOptions

    triples: dict[str, Triples] = {}
    lists = (entities, relations, entities)
    for split in SPLIT_NAMES:
        file = path / f"{split}.txt"
        read = read_table(file, TableOptions(header=False, strict=log.strict))
        log.findings.extend(read.findings)
        maps = [
            _map_tokens(tokens, known)
            for tokens, known in zip(
                (read.entities, read.relations, read.entities), lists, strict=True
            )
        ]
        facts = np.stack([maps[c][read.triples["all"][:, c]] for c in range(3)], axis=1)
        known = (facts >= 0).all(axis=1)
        unknown = np.flatnonzero(~known)
        log.reject(
            "unknown-label",
            f"lines of {file.name} have a label that entities.txt and relations.txt do not list; "
            f"left out",
            (f"{file.name}: {_say_fact(read, row)}" for row in unknown[:5]),
            len(unknown),
        )
        triples[split] = facts[known]
    if not len(triples["train"]):
        raise FormatError(f"{path / 'train.txt'}: no fact has labels that entities.txt lists")
    if not set(entities) >= set(map(str, range(len(entities)))):
        notes.append("labels of the facts are looked up in entities.txt, or else taken as its ids")
    return triples


def _say_fact(read: RawGraph, row: np.int64) -> str:
    head, relation, tail = read.triples["all"][row].tolist()
    return f"{read.entities[head]} | {read.relations[relation]} | {read.entities[tail]}"[:120]


def _map_tokens(tokens: list[str], labels: list[str]) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Give the ids of labels, or of what are the ids themselves; -1 for others."""
    ids = {label: position for position, label in enumerate(labels)}
    direct = {str(position): position for position in range(len(labels))}
    numbers = direct if not any(token in ids for token in tokens) else ids
    return np.array([numbers.get(token, -1) for token in tokens], dtype=np.int64)


def _replace_numbers(labels: list[str], path: Path, log: FindingLog, notes: list[str]) -> list[str]:
    """Replace labels that are mere numbers by those that a dictionary beside them gives."""
    numbers = list(map(str, range(len(labels))))
    if labels != numbers or not path.is_file():
        return labels
    named = _read_counted_ids(path, log)
    if len(named) != len(labels):
        raise FormatError(
            f"{path}: lists {len(named):,} labels for the {len(labels):,} ids of the facts"
        )
    notes.append(f"{path.name} gives the labels of the ids")
    return named


def _read_list(path: Path) -> list[str]:
    """Read one label a line."""
    lines: dict[str, int] = {}
    for number, line in enumerate(read_lines(path), 1):
        label = line.strip()
        if not label:
            raise FormatError(
                f"{path}:{number}: is blank; each line is a label, and its place the id"
            )
        if label in lines:
            raise FormatError(f"{path}:{number}: {label!r} is listed already, line {lines[label]}")
        lines[label] = number
    if not lines:
        raise FormatError(f"{path}: lists nothing; expected a label in each line")
    return list(lines)


def _read_counted_ids(path: Path, log: FindingLog) -> list[str]:
    """Read ``label id`` lines after an optional line with their count; any order of ids."""
    lines = read_lines(path)
    has_count = bool(lines) and lines[0].strip().isdecimal()
    labels: dict[int, str] = {}
    seen: dict[str, int] = {}
    for number, line in enumerate(lines[has_count:], 1 + has_count):
        trimmed = line.rstrip(" \t")
        if not trimmed:
            continue
        label, tab, digits = trimmed.rpartition("\t" if "\t" in trimmed else " ")
        label = label.strip(" \t")
        if not tab or not label or not digits.isdecimal():
            raise FormatError(f"{path}:{number}: expected a label and its id, found {line[:120]!r}")
        if label in seen:
            raise FormatError(f"{path}:{number}: {label!r} has an id already, line {seen[label]}")
        if int(digits) in labels:
            raise FormatError(
                f"{path}:{number}: the id {digits} is that of {labels[int(digits)]!r} already"
            )
        labels[int(digits)], seen[label] = label, number
    if not labels:
        raise FormatError(f"{path}: lists nothing; expected a label and its id in each line")
    if max(labels) >= len(labels):
        missing = next(i for i in range(len(labels)) if i not in labels)
        raise FormatError(f"{path}: lists {len(labels):,} labels and none has the id {missing}")
    if has_count and int(lines[0]) != len(labels):
        places = (f"{path.name}:1: {lines[0].strip()}",)
        message = f"labels are listed in {path.name}, not as many as its first line says"
        log.reject("count", message, places, len(labels))
    return [labels[i] for i in range(len(labels))]
