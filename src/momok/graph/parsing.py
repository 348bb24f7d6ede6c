"""From lines of labels to facts of ids, with every fault counted and placed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.errors import DataError, FormatError
from momok.graph.graph import SPLIT_NAMES, Finding, SplitName
from momok.graph.names import say_near_misses
from momok.graph.triples import (
    Triples,
    encode_triples,
    first_occurrences,
    is_member,
    mark_unseen,
)

__all__ = ["FindingLog", "SplitFile", "index_splits", "read_lines", "read_split_file"]

MAX_EXAMPLES = 5


@dataclass
class FindingLog:
    """Collects what is wrong with the files; strict ones stop at the first line they cannot use."""

    folder: Path
    strict: bool
    findings: list[Finding] = field(default_factory=list)

    def report(self, kind: str, message: str, places: Iterable[str], count: int) -> None:
        """Note a fault that leaves the data usable.

        Args:
            kind: one of the kinds of ``Finding``.
            message: what was found; it follows the count.
            places: where, as ``train.txt:17: ...``; only the first few are made.
            count: how many.
        """
        if count:
            examples = tuple(islice(places, MAX_EXAMPLES))
            self.findings.append(Finding(kind, count, f"{count:,} {message}", examples))

    def reject(self, kind: str, message: str, places: Iterable[str], count: int) -> None:
        """Note lines that cannot be used.

        Raises:
            FormatError: reading is strict; the first place is named.
        """
        if count and self.strict:
            raise FormatError(f"{self.folder}{os.sep}{next(iter(places))}")
        self.report(kind, message, places, count)


def read_lines(path: Path) -> list[str]:
    r"""Read the lines of a UTF-8 file, which end with ``\n`` or ``\r\n`` and nothing else.

    ``str.splitlines`` would also split at U+2028, U+0085 and others, which labels may hold.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise FormatError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    lines = text.replace("\r\n", "\n").split("\n")
    return lines[:-1] if not lines[-1] else lines


@dataclass(frozen=True)
class SplitFile:
    """The well-formed lines of one file of facts.

    Attributes:
        path: the file.
        labels: head, relation and tail label of each fact.
        line_numbers: the line of each fact, from 1.
    """

    path: Path
    labels: list[list[str]]
    line_numbers: NDArray[np.int64]


def read_split_file(
    path: Path, split_line: Callable[[str], list[str]], log: FindingLog
) -> SplitFile:
    """Read a file of facts; ``split_line`` gives the labels of a line, none for a blank one.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8; or a line has not three labels and reading is strict.
    """
    fields = [split_line(line) for line in read_lines(path)]
    good = [number for number, labels in enumerate(fields, 1) if len(labels) == 3]
    bad = [number for number, labels in enumerate(fields, 1) if len(labels) not in (0, 3)]
    if len(good) < len(fields):
        places = (
            f"{path.name}:{number}: {len(fields[number - 1])} labels, expected head, relation and "
            f"tail: {' | '.join(fields[number - 1])[:120]!r}"
            for number in bad
        )
        log.reject(
            "malformed", f"lines of {path.name} are malformed and left out", places, len(bad)
        )
        fields = [fields[number - 1] for number in good]
    return SplitFile(path, fields, np.array(good, dtype=np.int64))


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
    files: Mapping[SplitName, SplitFile],
    entity_ids: Mapping[str, int],
    relation_ids: Mapping[str, int],
    sizes: tuple[int, int],
    log: FindingLog,
) -> dict[SplitName, Triples]:
    """Turn labels to ids and drop what cannot be used or says nothing new.

    Args:
        files: the well-formed lines of train, valid and test.
        entity_ids: ids by label; several spellings may share one.
        relation_ids: likewise.
        sizes: N and R.
        log: told of unknown labels, repeated facts, facts shared by splits, and facts with an
            entity that train never shows.

    Returns:
        The distinct facts ``[n, 3]`` of each split in the order of the file.

    Raises:
        FormatError: a split is left without a fact; or a label is unknown and reading is strict.
    """
    indexed = {
        split: _drop_duplicates(
            _index_labels(files[split], entity_ids, relation_ids, sizes, log), log
        )
        for split in SPLIT_NAMES
    }
    for split, facts in indexed.items():
        if not len(facts.triples):
            raise FormatError(_say_empty(split, facts.path, log))
    _report_overlaps(indexed, log)
    for split in ("valid", "test"):
        part = indexed[split]
        unseen = np.flatnonzero(mark_unseen(indexed["train"].triples, part.triples, sizes[0]))
        log.report(
            "unseen-entity",
            f"facts of {part.path.name} have an entity that is in no train fact",
            (part.place(row) for row in unseen),
            len(unseen),
        )
    return {split: facts.triples for split, facts in indexed.items()}


def _index_labels(
    file: SplitFile,
    entity_ids: Mapping[str, int],
    relation_ids: Mapping[str, int],
    sizes: tuple[int, int],
    log: FindingLog,
) -> _IndexedSplit:
    triples = np.empty((len(file.labels), 3), dtype=np.int64)
    for column, ids in enumerate((entity_ids, relation_ids, entity_ids)):
        triples[:, column] = [ids.get(labels[column], -1) for labels in file.labels]
    known = (triples >= 0).all(axis=1)
    if not known.all():
        unknown = np.flatnonzero(~known)
        places = (
            f"{file.path.name}:{file.line_numbers[row]}: "
            + _say_unknown(file.labels[row], triples[row], entity_ids, relation_ids)
            for row in unknown
        )
        message = f"lines of {file.path.name} have a label that the graph does not list; left out"
        log.reject("unknown-label", message, places, len(unknown))
        triples = triples[known]
    keys = encode_triples(triples, *sizes)
    return _IndexedSplit(file.path, triples, keys, file.line_numbers[known])


def _say_unknown(
    labels: Sequence[str],
    ids: NDArray[np.int64],
    entity_ids: Mapping[str, int],
    relation_ids: Mapping[str, int],
) -> str:
    column = int(np.flatnonzero(ids < 0)[0])
    kind, known = ("relation", relation_ids) if column == 1 else ("entity", entity_ids)
    one_spelling = {i: label for label, i in known.items()}  # the last: without brackets
    return f"unknown {kind} {labels[column]!r}" + say_near_misses(
        labels[column], one_spelling.values()
    )


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
