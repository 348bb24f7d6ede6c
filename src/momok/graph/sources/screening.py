"""RDF text looked over on its way to the parser.

The parser takes well-meant text of any size. What it would not survive is stopped here: bytes that
are no UTF-8 (it loses the rest of the file), lines and documents without end, nesting without end
(its memory grows with the square of the depth, or its stack ends), XML entities that multiply.
Formats of one statement a line lose only the line; in others the fault is an error.
"""

from __future__ import annotations

import codecs
import io
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, BinaryIO, NoReturn

import numpy as np

from momok.graph.sources.faults import FaultLog
from momok.graph.sources.line_screening import (
    MAX_ITEM,
    MAX_QUOTED,
    say_bad_byte,
    screen_lines,
)

if TYPE_CHECKING:
    from collections.abc import Buffer  # type: ignore[attr-defined]  # Python 3.12

MAX_DEPTH = 256  # nested JSON or XML; at 2000 the parser takes gigabytes
MAX_DOCUMENT = 128 << 20  # bytes of JSON-LD that must be held as a whole; takes 24 times as much
MAX_ENTITY = 1 << 10  # bytes of an XML entity: enough for the start of an IRI
_CHUNK = 1 << 18


class ScreenedStream(io.RawIOBase):
    """The text of a file, screened, without a byte-order mark; read by the parser.

    Attributes:
        delivered: bytes given to the parser so far.
    """

    def __init__(self, file: BinaryIO, format_name: str, faults: FaultLog) -> None:
        self.delivered = 0
        self._rest = memoryview(b"")
        self._chunks = _SCREENS[format_name](_drop_mark(_read_chunks(file), faults), faults)

    def readable(self) -> bool:
        """Say that it can be read."""
        return True

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer as far as is ready; 0 at the end.

        Raises:
            FormatError: the text cannot be used, or not all of it and reading is strict.
        """
        view = memoryview(buffer)
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        part = self._rest[: len(view)]
        self._rest = self._rest[len(part) :]
        view[: len(part)] = part
        self.delivered += len(part)
        return len(part)


def _read_chunks(file: BinaryIO) -> Iterator[bytes]:
    while chunk := file.read(_CHUNK):
        yield chunk


def _drop_mark(chunks: Iterator[bytes], faults: FaultLog) -> Iterator[bytes]:
    first = next(chunks, b"")
    if first.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        faults.fail(1, "is UTF-16; save the file as UTF-8")
    yield first.removeprefix(codecs.BOM_UTF8)
    yield from chunks


def _screen_text(chunks: Iterable[bytes], faults: FaultLog) -> Iterator[bytes]:
    """Let UTF-8 pass."""
    decoder, line = codecs.getincrementaldecoder("utf-8")(), 1
    for chunk in _end_with(chunks, b""):
        try:
            decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:  # of what the decoder held back, and the chunk
            line += error.object.count(b"\n", 0, error.start)
            faults.fail(line, say_bad_byte(error.object[error.start]))
        line += chunk.count(b"\n")
        if chunk:
            yield chunk


def _end_with(chunks: Iterable[bytes], last: bytes) -> Iterator[bytes]:
    yield from chunks
    yield last


def _screen_turtle(chunks: Iterable[bytes], faults: FaultLog) -> Iterator[bytes]:
    """Stop quoted triples, which may nest; "<<" in texts counts too, so that none is missed."""
    count, line, last = 0, 1, b""
    for chunk in _screen_text(chunks, faults):
        count += (last + chunk).count(b"<<")
        line += chunk.count(b"\n")
        if count > MAX_QUOTED:
            faults.fail(
                line,
                f"more than {MAX_QUOTED:,} times '<<', which quotes triples; momok takes plain "
                "ones: convert the file to N-Triples",
            )
        last = b"<" if chunk.endswith(b"<") else b""
        yield chunk


def _screen_json(chunks: Iterable[bytes], faults: FaultLog) -> Iterator[bytes]:
    """Stop nesting without end."""
    depth, line, within_text, carry = 0, 1, False, b""
    for chunk in _screen_text(chunks, faults):
        piece = carry + chunk
        carry = piece[len(piece.rstrip(b"\\")) :]  # what it escapes comes with the next chunk
        piece = piece[: len(piece) - len(carry)]
        plain = piece.replace(rb"\\", b"").replace(rb"\"", b"").split(b'"')
        outside = b"".join(plain[within_text::2])
        within_text ^= len(plain) % 2 == 0
        steps = np.zeros(256, dtype=np.int64)
        steps[list(b"[{")], steps[list(b"]}")] = 1, -1
        depths = depth + np.cumsum(steps[np.frombuffer(outside, dtype=np.uint8)])
        line += chunk.count(b"\n")
        if len(depths):
            depth = int(depths[-1])
            if depths.max() > MAX_DEPTH:
                faults.fail(line, f"nested more than {MAX_DEPTH} deep at or before this line")
        yield chunk


def _screen_document(chunks: Iterable[bytes], faults: FaultLog) -> Iterator[bytes]:
    """Stop what the parser holds as a whole and is too large for that."""
    size = 0
    for chunk in _screen_json(chunks, faults):
        size += len(chunk)
        if size > MAX_DOCUMENT:
            faults.fail(
                None,
                f"is JSON-LD of more than {MAX_DOCUMENT >> 20} MiB; where @context comes first "
                "and @id before other keys, name the format streaming-jsonld, else convert it to "
                "N-Triples",
            )
        yield chunk


def _screen_xml(chunks: Iterable[bytes], faults: FaultLog) -> Iterator[bytes]:
    """Stop what is no well-formed XML, nesting without end and entities that multiply."""
    from xml.parsers import expat

    check = _XmlCheck(faults)
    for chunk in _end_with(_screen_text(chunks, faults), b""):
        try:
            check.parser.Parse(chunk, not chunk)
        except expat.ExpatError as error:
            said = expat.errors.messages.get(error.code, str(error))
            faults.fail(error.lineno, f"is not well-formed XML: {said}")
        if chunk:
            yield chunk


class _XmlCheck:
    """Follows the structure of a document."""

    def __init__(self, faults: FaultLog) -> None:
        from xml.parsers import expat

        self.parser = expat.ParserCreate("utf-8")
        self.parser.buffer_text = True
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._add_text
        self.parser.EntityDeclHandler = self._declare
        self._faults = faults
        self._depth = 0
        self._length = 0

    def _start(self, _name: str, _attributes: object) -> None:
        self._depth += 1
        self._length = 0
        if self._depth > MAX_DEPTH:
            self._fail(f"nested more than {MAX_DEPTH} deep")

    def _end(self, _name: str) -> None:
        self._depth -= 1
        self._length = 0

    def _add_text(self, text: str) -> None:
        self._length += len(text)
        if self._length > MAX_ITEM:
            self._fail(f"the text of an element is longer than {MAX_ITEM:,} characters")

    def _declare(self, name: str, _parameter: bool, value: str | None, *_other: object) -> None:
        if value is None:
            self._fail(f"the entity {name!r} lies in another file; such files are not read")
        if "&" in value or "%" in value or len(value) > MAX_ENTITY:
            self._fail(f"the entity {name!r} is long or made of others, as bombs are")

    def _fail(self, message: str) -> NoReturn:
        self._faults.fail(self.parser.CurrentLineNumber, message)


_SCREENS: dict[str, Callable[[Iterable[bytes], FaultLog], Iterator[bytes]]] = {
    "ntriples": screen_lines,
    "nquads": screen_lines,
    "turtle": _screen_turtle,
    "trig": _screen_turtle,
    "jsonld": _screen_document,
    "streaming-jsonld": _screen_json,
    "rdfxml": _screen_xml,
}
