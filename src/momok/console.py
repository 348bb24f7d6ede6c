"""Where commands print, and how text of unknown origin is made safe to print."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from typing import TYPE_CHECKING, Any, TextIO

if TYPE_CHECKING:
    from rich.console import Console

_PIPE_WIDTH = 120  # columns where the output is no terminal
# What stands for our signs in an encoding that lacks them; bars and curves stay readable.
_PLAIN = dict(zip("▁▂▃▄▅▆▇█▓▒░▏—–→✓✗…", "1234567#=-.|--~+x.", strict=True)) | {"→": "->"}


def console() -> Console:
    """A console on stdout, for results. Text is printed as it is: no markup, no emoji codes."""
    return _open(sys.stdout)


def error_console() -> Console:
    """A console on stderr, for progress and remarks."""
    return _open(sys.stderr)


def print_line(text: str) -> None:
    """Print a line of any length, which is never broken: paths and commands can be copied."""
    console().print(make_printable(text), soft_wrap=True)


def print_json(value: Any) -> None:
    """Print JSON in readable letters; control characters are escaped, which a terminal obeys."""
    import click

    click.echo(format_json(value).encode(), nl=False)  # UTF-8, whatever the terminal has


def format_json(value: Any) -> str:
    """JSON in readable letters, with all control characters escaped."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def make_printable(text: str) -> str:
    r"""One line without control characters: those of a label are shown escaped, as ``\x1b``."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode("ascii")
        for character in text
    )


def shorten_middle(text: str, longest: int) -> str:
    """The text, with an ellipsis in its middle where it is longer: names of a kind end apart."""
    if len(text) <= longest:
        return text
    kept = longest - 1
    return f"{text[: kept - kept // 2].rstrip()}…{text[len(text) - kept // 2 :].lstrip()}"


def _open(stream: TextIO) -> Console:
    from rich.console import Console

    if isinstance(stream, io.TextIOWrapper):  # a name that the encoding lacks is no crash
        codecs.register_error("momok-plain", _replace)
        stream.reconfigure(errors="momok-plain")
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE_WIDTH
    return Console(file=stream, width=width, markup=False, emoji=False, highlight=False)


def _replace(error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeEncodeError)
    lacking = error.object[error.start : error.end]
    escaped = (c.encode("ascii", "backslashreplace").decode() for c in lacking)
    return "".join(_PLAIN.get(c, e) for c, e in zip(lacking, escaped, strict=True)), error.end
