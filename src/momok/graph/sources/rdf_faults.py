"""Faults of RDF: counted, and refused on the way to a parser that would not survive them.

Those are nesting without end (the parser's memory grows with the square of the depth, or its stack
ends), XML entities that multiply, and JSON-LD too large to be held as a whole.
"""

from __future__ import annotations

import io
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, BinaryIO, NoReturn

import numpy as np

from momok.errors import FormatError
from momok.graph.sources.compressed import open_function
from momok.graph.text_files import MAX_EXAMPLES

MAX_QUOTED = 1000  # "<<" that may nest; at 20,000 the parser's stack ends
_MAX_DEPTH = 256  # of JSON or XML; at 2000 the parser takes gigabytes
_MAX_DOCUMENT = 128 << 20  # bytes of JSON-LD held as a whole, which takes 24 times as much memory
_PLACE = re.compile(r"^Parser error (?:at|between) line .*?: ")
_MAX_ENTITY = 1 << 10  # bytes of an XML entity: enough for the start of an IRI
Check = Callable[[bytes], None]  # is shown every part of a document, b"" at the end
Fail = Callable[[int | None, str], NoReturn]  # raises the error for a line and what is wrong there


@dataclass
class FaultLog:
    """Counts statements that cannot be used and keeps the first few; strict ones stop there.

    Attributes:
        source: what is read, as messages name it.
        strict: the first fault is an error.
        hint: what may be at the root of it all; it ends the message of a fault that is an error.
        examples: the first few, as ``facts.nt:17: ...``.
    """

    source: str
    strict: bool = False
    hint: str = ""
    count: int = 0
    examples: list[str] = field(default_factory=list)

    def reject(self, line: int | None, fault: Exception | str) -> None:
        """Count a statement that cannot be used.

        Raises:
            FormatError: reading is strict.
        """
        if self.strict:
            self.fail(line, fault)
        self.count += 1
        if len(self.examples) < MAX_EXAMPLES:
            self.examples.append(self._describe(line, fault))

    def fail(self, line: int | None, fault: Exception | str) -> NoReturn:
        """Raise the FormatError of a fault that ends the reading."""
        raise FormatError(self._describe(line, fault) + self.hint) from None

    def _describe(self, line: int | None, fault: Exception | str) -> str:
        where = self.source if line is None else f"{self.source}:{line}"
        if isinstance(fault, SyntaxError):
            message = _PLACE.sub("", fault.msg)
            if fault.offset:
                message += f" (column {fault.offset})"
            is_utf8 = not message.startswith("Invalid UTF-8")
            fault = message if is_utf8 else "is not UTF-8; save the file as UTF-8"
        elif isinstance(fault, MemoryError):
            fault = "has a term or comment of more than 16 MiB"
        return f"{where}: {' '.join(str(fault).split())}"


def check_nesting(file: BinaryIO, format_name: str, fail: Fail) -> io.BufferedReader[Any]:
    """Pass a document on; stop it where it nests deeper than any parser should follow.

    ``fail`` raises the error for a line and what is wrong with it.
    """
    makers: dict[str, Callable[[Fail], Check]] = {
        "turtle": _check_turtle,
        "trig": _check_turtle,
        "jsonld": lambda fail: _check_json(fail, _MAX_DOCUMENT),
        "streaming-jsonld": _check_json,
        "rdfxml": _check_xml,
    }
    check = makers[format_name](fail)
    is_ended = False

    def read(most: int) -> bytes:
        nonlocal is_ended
        data = file.read(most)
        if not is_ended:
            check(data)
        is_ended = not data
        return data

    return open_function(read)


def _check_turtle(fail: Fail) -> Check:
    """Stop quoted triples, which may nest; "<<" in texts counts too, so that none is missed."""
    count, line, last = 0, 1, b""

    def check(chunk: bytes) -> None:
        nonlocal count, line, last
        count += (last + chunk).count(b"<<")
        line += chunk.count(b"\n")
        last = chunk[-1:] if chunk.endswith(b"<") else b""
        if count > MAX_QUOTED:
            fail(
                line,
                f"more than {MAX_QUOTED:,} times '<<', which quotes triples; momok takes plain "
                "ones: convert the file to N-Triples",
            )

    return check


def _check_json(fail: Fail, max_size: float = float("inf")) -> Check:
    depth, line, size, within_text, carry = 0, 1, 0, False, b""

    def check(chunk: bytes) -> None:
        nonlocal depth, line, size, within_text, carry
        line, size = line + chunk.count(b"\n"), size + len(chunk)
        if size > max_size:
            fail(
                None,
                f"is JSON-LD of more than {_MAX_DOCUMENT >> 20} MiB; where @context comes first "
                "and @id before other keys, name the format streaming-jsonld, else convert it to "
                "N-Triples",
            )
        piece = carry + chunk
        carry = piece[len(piece.rstrip(b"\\")) :]  # what it escapes comes with the next chunk
        piece = piece[: len(piece) - len(carry)]
        parts = piece.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside = np.frombuffer(b"".join(parts[within_text::2]), dtype=np.uint8)
        within_text ^= len(parts) % 2 == 0
        opened = (outside == ord("[")) | (outside == ord("{"))
        closed = (outside == ord("]")) | (outside == ord("}"))
        depths = depth + np.cumsum(opened.astype(np.int64) - closed)
        if len(depths):
            depth = int(depths[-1])
            if depths.max() > _MAX_DEPTH:
                fail(line, f"nested more than {_MAX_DEPTH} deep at or before this line")

    return check


def _check_xml(fail: Fail) -> Check:
    """Stop what is no well-formed XML, nesting without end and entities that multiply."""
    from xml.parsers import expat

    parser = expat.ParserCreate("utf-8")
    depth = 0

    def start(_name: str, _attributes: object) -> None:
        nonlocal depth
        depth += 1
        if depth > _MAX_DEPTH:
            fail(parser.CurrentLineNumber, f"nested more than {_MAX_DEPTH} deep")

    def end(_name: str) -> None:
        nonlocal depth
        depth -= 1

    def declare(name: str, _parameter: bool, value: str | None, *_: object) -> None:
        fault = "is long or made of others, as bombs are"
        if value is None:
            fault = "lies in another file; such files are not read"
        elif not ("&" in value or "%" in value or len(value) > _MAX_ENTITY):
            return
        fail(parser.CurrentLineNumber, f"the entity {name!r} {fault}")

    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.EntityDeclHandler = declare

    def check(chunk: bytes) -> None:
        try:
            parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            fail(
                error.lineno,
                f"is not well-formed XML in UTF-8: {expat.errors.messages[error.code]}",
            )

    return check
