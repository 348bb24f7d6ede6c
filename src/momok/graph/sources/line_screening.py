"""Text of one RDF statement a line, in which a fault may cost its own line and no other."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

import numpy as np
from numpy.typing import NDArray

from momok.graph.sources.faults import FaultLog

MAX_ITEM = 4 << 20  # bytes of a line, or of the text of one XML element
MAX_QUOTED = 1000  # "<<" that may nest; at 20,000 the parser's stack ends
_ESCAPED_END = re.compile(rb"\\\r?(?=\n|\Z)")
_BAD_ESCAPE = re.compile(rb"\\u(?![0-9A-Fa-f]{4})|\\U(?![0-9A-Fa-f]{8})")
# In a line of N-Triples: a text, an IRI, a comment, the brackets of quoted triples.
_CLOSED = re.compile(rb'"(?:[^"\\]|\\.)*"|<[^<>"{}|^`\x00-\x20]*>|#.*|<<\(|\)>>')


def screen_lines(chunks: Iterable[bytes], faults: FaultLog) -> Iterator[bytes]:
    """Blank lines that would harm; a line is a statement, so that nothing else is lost."""
    tail, line, skipping = b"", 1, False
    for chunk in chunks:
        if skipping:
            end = chunk.find(b"\n")
            if end < 0:
                continue
            chunk, skipping = chunk[end:], False  # noqa: PLW2901
        block = tail + chunk
        cut = block.rfind(b"\n") + 1
        yield _clean_lines(block[:cut], line, faults)
        line += block.count(b"\n", 0, cut)
        tail = block[cut:]
        if len(tail) > MAX_ITEM:
            faults.note(line, f"the line is longer than {MAX_ITEM:,} bytes")
            tail, skipping = b"", True
    yield _clean_lines(tail, line, faults)


def _clean_lines(block: bytes, line: int, faults: FaultLog) -> bytes:
    """Blank the lines of a block, which begins with line number ``line``, that would harm."""
    suspects = _find_suspects(block)
    if not len(suspects):
        return block
    lines = block.split(b"\n")
    for number in suspects.tolist():
        fault = _find_fault(lines[number])
        if fault:
            faults.note(line + number, fault)
            lines[number] = b""
    return b"\n".join(lines)


def _find_suspects(block: bytes) -> NDArray[np.int64]:
    """Find the lines that are worth a closer look, without a loop over lines.

    They have a byte beyond ASCII in a block that is no UTF-8, an odd number of quotes or escaped
    ones, half an escape, a backslash at the end, or angle brackets other than in pairs.
    """
    if not block:
        return np.empty(0, dtype=np.int64)
    signs = np.frombuffer(block, dtype=np.uint8)
    starts = np.concatenate([[0], np.flatnonzero(signs[:-1] == ord("\n")) + 1])
    quotes = np.add.reduceat(signs == ord('"'), starts, dtype=np.int32)
    steps = (signs == ord("<")).astype(np.int8) - (signs == ord(">")).astype(np.int8)
    depth = np.cumsum(steps, dtype=np.int32)
    before = np.concatenate([[0], depth[starts[1:] - 1]])
    after = np.append(before[1:], depth[-1])
    lowest, highest = (f.reduceat(depth, starts) - before for f in (np.minimum, np.maximum))
    suspect = (quotes % 2 == 1) | (lowest < 0) | (highest > 1) | (after != before)
    if b'\\"' in block or b'"""' in block:
        suspect |= quotes > 2
        suspect |= (quotes == 2) & np.logical_or.reduceat(signs == ord("\\"), starts)
    escapes = [match.start() for match in _BAD_ESCAPE.finditer(block)]
    escapes += [match.start() for match in _ESCAPED_END.finditer(block)]
    suspect[np.searchsorted(starts, escapes, side="right") - 1] = True
    if _find_bad_byte(block) is not None:
        suspect |= np.logical_or.reduceat(signs > 127, starts)
    return np.flatnonzero(suspect)


def _find_fault(line: bytes) -> str:
    """Say what in a line would harm, "" for nothing."""
    bad = _find_bad_byte(line)
    if bad is not None:
        return say_bad_byte(line[bad])
    if line.count(b"<<") > MAX_QUOTED:
        return f"more than {MAX_QUOTED:,} times '<<'"
    if _BAD_ESCAPE.search(line.replace(rb"\\", b"")):  # its digits would be sought beyond the line
        return "an escape \\u or \\U lacks digits"
    rest = _CLOSED.sub(b"", line)
    if rest.rstrip(b"\r").endswith(b"\\"):  # it would escape the line's end
        return "ends with a backslash"
    long = b'"""' in line and not line.lstrip().startswith(b"#")
    return "an IRI or text is opened and not closed" if long or b'"' in rest or b"<" in rest else ""


def _find_bad_byte(text: bytes) -> int | None:
    try:
        text.decode()
    except UnicodeDecodeError as error:
        return error.start
    return None


def say_bad_byte(byte: int) -> str:
    """Say what is wrong with a byte."""
    return f"byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"
