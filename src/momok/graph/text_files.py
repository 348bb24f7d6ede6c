r"""Text files, and what reading them finds: counted, with the first places.

They are UTF-8, and their lines end with ``\n`` or ``\r\n`` and nothing else: ``str.splitlines``
would also split at U+2028, U+0085 and others, which labels may hold.
"""

from __future__ import annotations

import codecs
import os
import stat
from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import polars as pl

from momok.errors import DataError, FormatError


def read_text(path: Path) -> str:
    r"""Read a UTF-8 file; a byte order mark is left out, ``\r\n`` becomes ``\n``."""
    return decode_text(_read_bytes(path), path).replace("\r\n", "\n")


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 file."""
    lines = read_text(path).split("\n")
    return lines[:-1] if not lines[-1] else lines


def read_line_frame(path: Path) -> pl.DataFrame:
    """Read the lines of a UTF-8 file as columns ``line`` (from 1) and ``text``."""
    return split_lines(_read_bytes(path), path)


def split_lines(content: bytes, path: Path) -> pl.DataFrame:
    """Split the content of a UTF-8 file, which errors name, to ``line`` (from 1) and ``text``."""
    try:
        lines = pl.read_lines(content, row_index_name="line", row_index_offset=1, name="text")
    except pl.exceptions.PolarsError:
        decode_text(content, path)
        raise
    return lines.with_columns(pl.col("line").cast(pl.Int64))


def is_ordinary_file(path: Path) -> bool:
    """Tell a file from folders, pipes, devices and what is missing."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except (OSError, ValueError):  # a name that is too long, or has a null character
        return False


def _read_bytes(path: Path) -> bytes:
    try:
        return path.read_bytes().removeprefix(codecs.BOM_UTF8)
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def decode_text(content: bytes, path: Path) -> str:
    """Decode the content of a file, which the error names."""
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise FormatError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None


MAX_EXAMPLES = 5


@dataclass(frozen=True)
class Finding:
    """Something about the data that its user should know, counted.

    Attributes:
        kind: ``malformed``, ``unknown-label``, ``duplicate``, ``overlap``, ``unseen-entity``,
            ``missing-picture``, ``feature-rows``, ``recorded-split``, ``changed``, ``weight`` or
            ``unknown-fact``.
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
            folder = "" if self.folder == Path() else f"{self.folder}{os.sep}"
            raise FormatError(f"{folder}{next(iter(places))}")
        self.report(kind, message, places, count)
