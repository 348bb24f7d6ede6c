"""From files of facts to numbered labels, with every fault counted and placed.

A block of lines that are all written in the same way is cut into labels by passes over its bytes.
A block with any other line is split line by line and written anew in that way, so that both come to
the same.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from momok.errors import FormatError
from momok.graph.graph import Finding
from momok.graph.label_numbers import LabelNumbers
from momok.graph.layouts import Layout
from momok.graph.lines import read_blocks

__all__ = ["MAX_EXAMPLES", "FactFile", "FactReader", "FindingLog"]

MAX_EXAMPLES = 5
_TAB, _LINE_FEED = ord("\t"), ord("\n")


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


@dataclass(frozen=True)
class FactFile:
    """The well-formed lines of one file of facts.

    Attributes:
        path: the file.
        numbers: the numbers ``[n, 3]`` that the reader gave to head, relation and tail labels.
        line_numbers: the line ``[n]`` of each fact, from 1.
    """

    path: Path
    numbers: NDArray[np.int32]
    line_numbers: NDArray[np.int64]


class FactReader:
    """Reads files of facts; the labels of all of them are numbered together.

    Attributes:
        entities: the numbers of head and tail labels.
        relations: the numbers of relation labels.
    """

    def __init__(self, layout: Layout, log: FindingLog) -> None:
        self.entities = LabelNumbers()
        self.relations = LabelNumbers()
        self._layout = layout
        self._log = log

    def read(self, path: Path) -> FactFile:
        """Read a file.

        Raises:
            DataError: the file is missing or cannot be read.
            FormatError: it is not UTF-8; or a line has not three labels and reading is strict.
        """
        numbers = [np.empty((0, 3), dtype=np.int32)]
        line_numbers = [np.empty(0, dtype=np.int64)]
        malformed = _Malformed(path.name)
        for first_line, block in read_blocks(path):
            straight = self._layout.straighten(block)
            bounds = None if straight is None else _find_labels(straight)
            if straight is not None and bounds is not None:
                lines = np.arange(first_line, first_line + len(bounds[0]))
            else:
                straight, lines = self._split_lines(block, first_line, malformed)
                bounds = _find_labels(straight)
                assert bounds is not None
            numbers.append(self._number(straight, *bounds))
            line_numbers.append(lines)
        self._log.reject(
            "malformed",
            f"lines of {path.name} are malformed and left out",
            malformed.places,
            malformed.count,
        )
        return FactFile(path, np.concatenate(numbers), np.concatenate(line_numbers))

    def _split_lines(
        self, block: bytes, first_line: int, malformed: _Malformed
    ) -> tuple[bytes, NDArray[np.int64]]:
        """Write the facts of a block with tabs between labels; also give their lines."""
        fields = list(map(self._layout.split_line, block.decode().split("\n")[:-1]))
        good = [row for row, labels in enumerate(fields) if len(labels) == 3]
        for row, labels in enumerate(fields):
            if len(labels) not in (0, 3):
                malformed.note(first_line + row, labels)
        straight = "".join("\t".join(fields[row]) + "\n" for row in good)
        return straight.encode(), first_line + np.array(good, dtype=np.int64)

    def _number(
        self, text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int32]:
        numbers = np.empty(starts.shape, dtype=np.int32)
        for vocabulary, columns in ((self.relations, [1]), (self.entities, [0, 2])):
            begins, sizes = starts[:, columns].ravel(), lengths[:, columns].ravel()
            found = vocabulary.number(text, begins, sizes)
            numbers[:, columns] = found.reshape(-1, len(columns))
        return numbers


@dataclass
class _Malformed:
    """Lines that have not three labels: how many, and the places of the first."""

    file: str
    count: int = 0
    places: list[str] = field(default_factory=list)

    def note(self, line: int, labels: list[str]) -> None:
        self.count += 1
        if len(self.places) < MAX_EXAMPLES:
            self.places.append(
                f"{self.file}:{line}: {len(labels)} labels, expected head, relation and "
                f"tail: {' | '.join(labels)[:120]!r}"
            )


def _find_labels(block: bytes) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Find starts and lengths ``[n, 3]`` of labels; None unless all lines have two tabs."""
    signs = np.frombuffer(block, dtype=np.uint8)
    ends = np.flatnonzero((signs == _TAB) | (signs == _LINE_FEED))
    if len(ends) % 3 or (signs[ends].reshape(-1, 3) != (_TAB, _TAB, _LINE_FEED)).any():
        return None
    starts = np.concatenate([[0], ends[:-1] + 1])[: len(ends)]
    return starts.reshape(-1, 3), (ends - starts).reshape(-1, 3)
