"""Where commands print, and how text of unknown origin is made safe to print."""

from __future__ import annotations

import io
import os
import sys
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 120  # columns where the output is no terminal


def console() -> Console:
    """A console on stdout, for results. Text is printed as it is: no markup, no emoji codes."""
    return _open(sys.stdout)


def error_console() -> Console:
    """A console on stderr, for progress and remarks."""
    return _open(sys.stderr)


def make_printable(text: str) -> str:
    r"""One line without control characters: those of a label are shown escaped, as ``\x1b``."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def _open(stream: TextIO) -> Console:
    from rich.console import Console

    if isinstance(stream, io.TextIOWrapper):  # a name that the encoding lacks is no crash
        stream.reconfigure(errors="backslashreplace")
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)
