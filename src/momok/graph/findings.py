"""What reading finds in the files of a graph, counted, with the first places."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from momok.errors import FormatError

MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """Something about the data that its user should know, counted.

    Attributes:
        kind: ``malformed``, ``unknown-label``, ``duplicate``, ``overlap``, ``unseen-entity``,
            ``missing-picture``, ``feature-rows`` or ``recorded-split``.
        count: how many lines, facts, rows or files.
        message: one sentence: what was found and what was done about it.
        examples: the first few, each with its place: ``train.txt:17: ...``.
    """

    kind: str
    count: int
    message: str
    examples: tuple[str, ...] = ()


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
