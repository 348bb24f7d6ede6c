r"""Lines of UTF-8 files, which end with ``\n`` or ``\r\n`` and nothing else.

``str.splitlines`` would also split at U+2028, U+0085 and others, which labels may hold.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from momok.errors import DataError, FormatError

__all__ = ["read_blocks", "read_lines", "read_text"]

BLOCK = 1 << 19  # bytes; what is made of a block stays in a processor's cache


def read_text(path: Path) -> str:
    r"""Read a UTF-8 file; a byte order mark is left out, ``\r\n`` becomes ``\n``.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    with _saying_what_fails(path):
        content = path.read_bytes()
    return _decode(content.removeprefix(codecs.BOM_UTF8), path, 1).replace("\r\n", "\n")


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 file.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    lines = read_text(path).split("\n")
    return lines[:-1] if not lines[-1] else lines


def read_blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    r"""Read a UTF-8 file in blocks of whole lines, each line ended by ``\n``.

    Yields:
        The number of the first line, from 1, and the lines as UTF-8.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    with _saying_what_fails(path):
        file = path.open("rb")
    line = 1
    with file:
        while True:
            with _saying_what_fails(path):
                block = file.read(BLOCK)
                block += file.readline()
            if line == 1:
                block = block.removeprefix(codecs.BOM_UTF8)
            if not block:
                return
            _decode(block, path, line)
            if b"\r" in block:
                block = block.replace(b"\r\n", b"\n")
            yield line, block if block.endswith(b"\n") else block + b"\n"
            line += block.count(b"\n")


@contextmanager
def _saying_what_fails(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error


def _decode(content: bytes, path: Path, first_line: int) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        line = first_line + content.count(b"\n", 0, error.start)
        raise FormatError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
