"""From numbered labels to facts of ids; what cannot be used or says nothing new is dropped."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.errors import FormatError
from momok.graph.fact_reader import FactFile, FindingLog
from momok.graph.graph import SPLIT_NAMES, SplitName
from momok.graph.names import say_near_misses
from momok.graph.triples import (
    Triples,
    encode_triples,
    first_occurrences,
    is_member,
    mark_unseen,
)
from momok.graph.vocabulary import Vocabulary

__all__ = ["LabelIds", "index_splits", "match_labels"]


@dataclass(frozen=True)
class LabelIds:
    """The ids of numbered labels.

    Attributes:
        labels: the labels by number, as files of facts spell them.
        ids: their ids ``[n]``; -1 for a label that the vocabulary does not list.
        vocabulary: what the ids are of.
    """

    labels: Sequence[str]
    ids: NDArray[np.int64]
    vocabulary: Vocabulary


def match_labels(
    labels: Sequence[str], vocabulary: Vocabulary, *, brackets: bool = False
) -> LabelIds:
    """Find the ids of labels.

    Args:
        labels: labels by number.
        vocabulary: the ids by label.
        brackets: a label that is not listed may be one in angle brackets.
    """
    known = vocabulary.ids
    ids = np.fromiter((known.get(label, -1) for label in labels), np.int64, len(labels))
    for number in np.flatnonzero(ids < 0).tolist() if brackets else ():
        label = labels[number]
        if label[:1] == "<" and label[-1:] == ">":
            ids[number] = known.get(label[1:-1], -1)
    return LabelIds(labels, ids, vocabulary)


@dataclass(frozen=True)
class _IndexedSplit:
    """Facts ``[n, 3]`` of one file, their keys ``[n]`` and lines ``[n]``."""

    path: Path
    triples: Triples
    keys: NDArray[np.int64]
    line_numbers: NDArray[np.int64]

    def place(self, row: int | np.integer[Any]) -> str:
        return f"{self.path.name}:{self.line_numbers[row]}"

    def take(self, rows: NDArray[np.int64]) -> _IndexedSplit:
        return _IndexedSplit(
            self.path, self.triples[rows], self.keys[rows], self.line_numbers[rows]
        )


def index_splits(
    files: Mapping[SplitName, FactFile],
    entities: LabelIds,
    relations: LabelIds,
    log: FindingLog,
) -> dict[SplitName, Triples]:
    """Turn numbers to ids and drop what cannot be used or says nothing new.

    Args:
        files: the well-formed lines of train, valid and test.
        entities: the ids of entity labels.
        relations: those of relation labels.
        log: told of unknown labels, repeated facts, facts shared by splits, and facts with an
            entity that train never shows.

    Returns:
        The distinct facts ``[n, 3]`` of each split in the order of the file.

    Raises:
        FormatError: a split is left without a fact; or a label is unknown and reading is strict.
    """
    indexed = {
        split: _drop_duplicates(_index_labels(files[split], entities, relations, log), log)
        for split in SPLIT_NAMES
    }
    for split, facts in indexed.items():
        if not len(facts.triples):
            raise FormatError(_say_empty(split, facts.path, log))
    _report_overlaps(indexed, log)
    for split in ("valid", "test"):
        part, train = indexed[split], indexed["train"].triples
        unseen = np.flatnonzero(mark_unseen(train, part.triples, len(entities.vocabulary)))
        log.report(
            "unseen-entity",
            f"facts of {part.path.name} have an entity that is in no train fact",
            (part.place(row) for row in unseen),
            len(unseen),
        )
    return {split: facts.triples for split, facts in indexed.items()}


def _index_labels(
    file: FactFile, entities: LabelIds, relations: LabelIds, log: FindingLog
) -> _IndexedSplit:
    triples = np.empty(file.numbers.shape, dtype=np.int64)
    for column, labels in enumerate((entities, relations, entities)):
        triples[:, column] = labels.ids[file.numbers[:, column]]
    line_numbers = file.line_numbers
    known = (triples >= 0).all(axis=1)
    if not known.all():
        unknown = np.flatnonzero(~known)
        places = (
            f"{file.path.name}:{line_numbers[row]}: "
            + _say_unknown(file.numbers[row], triples[row], entities, relations)
            for row in unknown
        )
        message = f"lines of {file.path.name} have a label that the graph does not list; left out"
        log.reject("unknown-label", message, places, len(unknown))
        triples, line_numbers = triples[known], line_numbers[known]
    keys = encode_triples(triples, len(entities.vocabulary), len(relations.vocabulary))
    return _IndexedSplit(file.path, triples, keys, line_numbers)


def _say_unknown(
    numbers: NDArray[np.int32], ids: NDArray[np.int64], entities: LabelIds, relations: LabelIds
) -> str:
    column = int(np.flatnonzero(ids < 0)[0])
    kind, known = ("relation", relations) if column == 1 else ("entity", entities)
    label = known.labels[numbers[column]]
    return f"unknown {kind} {label!r}" + say_near_misses(label, known.vocabulary.labels)


def _drop_duplicates(facts: _IndexedSplit, log: FindingLog) -> _IndexedSplit:
    kept, first = first_occurrences(facts.keys)
    if len(kept) == len(facts.keys):
        return facts
    repeated = np.flatnonzero(first != np.arange(len(first)))
    log.report(
        "duplicate",
        f"lines of {facts.path.name} repeat a fact; each fact is kept once",
        (
            f"{facts.place(row)}: the fact of line {facts.line_numbers[first[row]]}"
            for row in repeated
        ),
        len(repeated),
    )
    return facts.take(kept)


def _report_overlaps(indexed: Mapping[SplitName, _IndexedSplit], log: FindingLog) -> None:
    pairs: tuple[tuple[SplitName, SplitName], ...] = (
        ("valid", "train"),
        ("test", "train"),
        ("valid", "test"),
    )
    for split, other in pairs:
        facts, others = indexed[split], indexed[other]
        shared = np.flatnonzero(is_member(facts.keys, others.keys))
        line_by_key = others.line_numbers
        places = (
            f"{facts.place(row)}: the fact of {others.path.name}:"
            f"{line_by_key[np.flatnonzero(others.keys == facts.keys[row])[0]]}"
            for row in shared
        )
        message = f"facts of {facts.path.name} are also in {others.path.name}"
        log.report("overlap", message, places, len(shared))


def _say_empty(split: str, path: Path, log: FindingLog) -> str:
    said = f"{path}: the {split} split is empty; it needs at least one fact"
    culprits = [f for f in log.findings if path.name in f.message]
    if culprits:
        return f"{said} ({culprits[0].message}; {culprits[0].examples[0]})"
    return said
