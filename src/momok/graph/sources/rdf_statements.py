"""RDF statements in batches of columns, whatever format they come in.

The parser gives one object per statement. It writes them again as N-Quads, the one form in which
terms are easy to tell apart, and from there on they are columns: nothing else loops over
statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

import polars as pl

from momok.errors import MissingExtraError
from momok.graph.sources.faults import FaultLog
from momok.graph.sources.screening import ScreenedStream

if TYPE_CHECKING:
    from types import ModuleType

RDF_FORMATS: dict[str, tuple[str, ...]] = {
    "ntriples": (".nt", ".ntriples"),
    "turtle": (".ttl", ".turtle", ".n3"),
    "rdfxml": (".rdf", ".owl", ".xml", ".rdfxml"),
    "jsonld": (".jsonld", ".json"),
    "streaming-jsonld": (),
    "nquads": (".nq", ".nquads"),
    "trig": (".trig",),
}
"""The formats, each with the endings of its files."""

_PARSERS = {
    "ntriples": "N_TRIPLES",
    "turtle": "TURTLE",
    "rdfxml": "RDF_XML",
    "jsonld": "JSON_LD",
    "streaming-jsonld": "STREAMING_JSON_LD",
    "nquads": "N_QUADS",
    "trig": "TRIG",
}
_BY_LINE = {"ntriples", "nquads"}
_FORGIVING = _BY_LINE | {"turtle", "trig"}  # whose parser finds the next statement after a fault
_ROWS = 200_000  # statements of a batch
_BYTES = 64 << 20  # or of text that it is made of
_MANY = 1000  # faults; if they are more than the statements, the file is something else
_PLACE = re.compile(r"^Parser error (?:at|between) line .*?: ")


def import_pyoxigraph() -> ModuleType:
    """Import the RDF parser.

    Raises:
        MissingExtraError: it is not installed.
    """
    try:
        import pyoxigraph
    except ImportError:
        raise MissingExtraError("pyoxigraph", "data", "reading RDF") from None
    return pyoxigraph


def tell_format(start: bytes) -> str | None:
    """Guess a format from the first bytes of a document; None where they fit none."""
    text = start.decode(errors="replace").removeprefix("\ufeff").lstrip()
    lines = (line for line in text.splitlines() if line.strip() and not line.startswith("#"))
    first = next(lines, "")
    if text.startswith("<?xml") or "<rdf:RDF" in text:
        return "rdfxml"
    if text.startswith(("{", "[")):
        return "jsonld" if '"@' in text else None
    if first.lower().startswith(("@prefix", "prefix ", "@base", "base ")):
        return "turtle"
    if re.match(r"(<[^<>\s]*>|_:\S+)\s+<[^<>\s]*>\s+\S", first):
        return "ntriples"
    return None


def parse_statements(file: BinaryIO, format_name: str, faults: FaultLog) -> Iterator[bytes]:
    """Parse a document; give its statements as N-Quads, many at a time.

    Args:
        file: the document, unpacked.
        format_name: one of ``RDF_FORMATS``.
        faults: told of the statements that cannot be used.

    Raises:
        FormatError: a fault that may have taken more than its own statement with it, or more
            faults than statements; or reading is strict and there is a fault.
        MissingExtraError: the parser is not installed.
    """
    ox = import_pyoxigraph()
    stream = ScreenedStream(file, format_name, faults)
    parser = ox.parse(stream, format=getattr(ox.RdfFormat, _PARSERS[format_name]))
    statements = _Statements(parser, stream, format_name, faults)
    while not statements.ended:
        yield ox.serialize(statements.take(), format=ox.RdfFormat.N_QUADS)


class _Statements:
    """Gives the statements of a parser in batches; notes those that are faulty."""

    def __init__(
        self, parser: Iterator[Any], stream: ScreenedStream, format_name: str, faults: FaultLog
    ) -> None:
        self.ended = False
        self._parser, self._stream = parser, stream
        self._format, self._faults = format_name, faults
        self._count = 0
        self._line: int | None = None  # of the last fault

    def take(self) -> Iterator[Any]:
        """Give the statements of a batch."""
        last, end = self._count + _ROWS, self._stream.delivered + _BYTES
        while self._count < last and self._stream.delivered < end:
            try:
                statement = next(self._parser)
            except StopIteration:
                self.ended = True
                return
            except SyntaxError as error:
                self._note(error)
            except MemoryError:  # the parser's buffer of 16 MiB is full; asked again, it is still
                self._faults.fail(None, "has a term or comment of more than 16 MiB")
            else:
                self._count += 1
                yield statement

    def _note(self, error: SyntaxError) -> None:
        message = _PLACE.sub("", error.msg)
        if self._format not in _FORGIVING:
            self._faults.fail(error.lineno, message)
        if self._format not in _BY_LINE:
            if "Unexpected end" in message:  # what was opened has swallowed the rest of the file
                self._faults.fail(error.lineno, f"{message}: begun here and never ended")
        elif error.lineno == self._line:
            return
        self._line = error.lineno
        self._faults.note(error.lineno, f"{message} (column {error.offset})")
        if self._faults.count >= _MANY and self._faults.count > self._count:
            self._faults.give_up(self._count)


def split_terms(nquads: bytes) -> tuple[pl.DataFrame, pl.DataFrame]:
    """Split statements into columns; graphs are left out.

    Args:
        nquads: as the parser writes them: one blank between terms, one statement a line.

    Returns:
        Statements whose object is a literal, and the others, in order. Both have ``subject`` (an
        IRI without brackets, or ``_:name``), ``predicate`` and ``object`` (for a literal its text,
        with escapes; quoted triples begin with ``<``); literals also have ``language`` and
        ``datatype``, null where not given.
    """
    lines = pl.read_lines(nquads, name="line")["line"].str.strip_suffix(" .")
    terms = lines.str.splitn(" ", 3).struct.unnest()
    terms.columns = ["subject", "predicate", "object"]
    literal = terms["object"].str.starts_with('"')
    literals, others = terms.filter(literal), terms.filter(~literal)
    # What follows a literal's last quote, "@" or "^^"; then, after a blank, comes the graph.
    parts = literals["object"].str.extract_groups(
        r'^"(?<object>.*)"(?:@(?<language>[A-Za-z0-9-]+)|\^\^<(?<datatype>[^<> ]*)>)?'
        r"(?: (?:<[^<> ]*>|_:[^ ]+))?$"
    )
    literals = literals.drop("object").with_columns(parts.struct.unnest())
    graphless = others.with_columns(pl.col("object").str.replace(r" [^ ]+$", ""))
    return (
        literals.with_columns(_bare("subject"), _bare("predicate")),
        graphless.with_columns(_bare("subject"), _bare("predicate"), _bare("object")),
    )


def _bare(column: str) -> pl.Expr:
    return pl.col(column).str.strip_prefix("<").str.strip_suffix(">")
