r"""UTF-8 files, whose lines end with ``\n`` or ``\r\n`` and nothing else.

``str.splitlines`` would also split at U+2028, U+0085 and others, which labels may hold.
"""

from __future__ import annotations

import codecs
from pathlib import Path

from momok.errors import DataError, FormatError


def read_text(path: Path) -> str:
    r"""Read a UTF-8 file; a byte order mark is left out, ``\r\n`` becomes ``\n``.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    return read_utf8(path).decode().replace("\r\n", "\n")


def read_lines(path: Path) -> list[str]:
    """Read the lines of a UTF-8 file.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    lines = read_text(path).split("\n")
    return lines[:-1] if not lines[-1] else lines


def read_utf8(path: Path) -> bytes:
    """Read a file and check that it is UTF-8; a byte order mark is left out.

    Raises:
        DataError: the file is missing or cannot be read.
        FormatError: it is not UTF-8.
    """
    try:
        content = path.read_bytes().removeprefix(codecs.BOM_UTF8)
        content.decode()
    except FileNotFoundError:
        raise DataError(f"{path}: the file is missing") from None
    except OSError as error:
        raise DataError(f"{path}: cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = 1 + content.count(b"\n", 0, error.start)
        raise FormatError(
            f"{path}:{line}: byte 0x{content[error.start]:02x} is not UTF-8; save the file as UTF-8"
        ) from None
    return content
