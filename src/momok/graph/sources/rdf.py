"""RDF files of any size and format: facts, names, texts, pictures, types and numbers.

The parser gives one object per statement. It writes them again as N-Quads, the one form in which
terms are easy to tell apart, and from there on they are columns: nothing else loops over
statements.
"""

from __future__ import annotations

import codecs
import io
import re
from collections.abc import Callable, Iterator
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit

import polars as pl

from momok.errors import DataError, FormatError
from momok.extras import import_extra
from momok.graph.sources.compressed import name_content, open_source
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.sources.rdf_collect import Collection, RdfOptions
from momok.graph.sources.rdf_faults import MAX_QUOTED, FaultLog, check_nesting
from momok.graph.sources.rdf_graph import build_raw_graph
from momok.progress import Progress, no_progress

RDF_FORMATS: dict[str, tuple[str, ...]] = {
    "ntriples": ("N_TRIPLES", ".nt", ".ntriples"),
    "turtle": ("TURTLE", ".ttl", ".turtle", ".n3"),
    "rdfxml": ("RDF_XML", ".rdf", ".owl", ".xml", ".rdfxml"),
    "jsonld": ("JSON_LD", ".jsonld", ".json"),
    "streaming-jsonld": ("STREAMING_JSON_LD",),
    "nquads": ("N_QUADS", ".nq", ".nquads"),
    "trig": ("TRIG", ".trig"),
}
"""The formats, each with the parser's name for it and the endings of its files."""

_CHUNK = 1 << 18  # bytes read at once
_BATCH_SIZE = 32 << 20  # bytes of N-Quads
_BATCH_ROWS = 50_000  # or statements of formats that are not read by lines
_MAX_LINE = 8 << 20  # bytes
_MAX_FAULTS = 1000  # if they are more than the statements, the file is something else
_START = 4096  # bytes that a format is guessed from
# Read as the first, and taken for the second by its start, a document is nothing odd.
_COMPATIBLE = {
    *(("turtle", "ntriples"), ("trig", "ntriples"), ("nquads", "ntriples"), ("trig", "turtle")),
    ("streaming-jsonld", "jsonld"),
}


def read_rdf(
    path: Path,
    *,
    format: str | None = None,
    options: RdfOptions | None = None,
    progress: Progress = no_progress,
) -> RawGraph:
    """Read an RDF file; it may be compressed.

    A statement between two IRIs is a fact, unless its property is one that ``options`` give
    another meaning. Names and texts are taken in the preferred language, numbers and dates are
    numbers (the first value of each attribute), other literals are counted and left out. Graphs
    of N-Quads and TriG are one. Malformed lines of N-Triples and N-Quads are left out and
    counted; in other formats the first fault is an error.

    Args:
        format: one of ``RDF_FORMATS``; None to tell it by the name.

    Raises:
        DataError: the file is missing, or its format cannot be told.
        FormatError: it is malformed or damaged, has no fact, or looks hostile.
    """
    options = options or RdfOptions()
    import_pyoxigraph()
    if format not in (None, *RDF_FORMATS):
        raise DataError(f"format {format!r}: expected one of {', '.join(RDF_FORMATS)}")
    faults = FaultLog(str(path), options.strict)
    collection = Collection(options)
    with open_source(path) as file:
        guessed = guess_format(file.peek(_START)[:_START])
        suffix = Path(name_content(path)).suffix.lower()
        told = (name for name, (_, *ends) in RDF_FORMATS.items() if suffix in ends)
        chosen = format or next(told, guessed)
        if chosen is None:
            endings = ", ".join(end for _, *several in RDF_FORMATS.values() for end in several)
            raise DataError(
                f"{path}: neither its name nor its start tells a format of RDF; expected one of "
                f"{endings}, or say the format: {', '.join(RDF_FORMATS)}"
            )
        if guessed not in (None, chosen) and (chosen, guessed) not in _COMPATIBLE:
            faults.hint = (
                f"; it is read as {chosen} and looks like {guessed}: say the format if that is it"
            )
        collect_statements(file, chosen, collection, faults, progress)
    raw = build_raw_graph(collection, faults, lambda picture: _place_picture(path, picture))
    raw.notes.append(
        f"{path.name}: RDF, read as {chosen}: {collection.statements:,} statements, "
        f"{len(raw.triples[UNSPLIT]):,} of them facts; names and texts in "
        f"{', '.join(options.languages) or 'any'} where there are some"
    )
    return raw


def collect_statements(
    file: io.BufferedReader[Any],
    format: str,
    collection: Collection,
    faults: FaultLog,
    progress: Progress = no_progress,
) -> None:
    """Read all statements of a document into a collection."""
    name = Path(faults.source).name
    for nquads in parse_statements(file, format, faults):
        if nquads:
            collection.add(*split_terms(nquads))
            progress(f"reading {name}", collection.statements, 0)


def _place_picture(source: Path, picture: str) -> str:
    """Give the path or URL that a statement means; paths are relative to the source's folder."""
    parts = urlsplit(picture)
    if parts.scheme == "file":
        return str(source.parent / unquote(parts.path))
    return picture if "://" in picture else str(source.parent / picture)


def import_pyoxigraph() -> ModuleType:
    """Import the RDF parser, or say how it is installed."""
    module: ModuleType = import_extra("pyoxigraph", "data", "reading RDF")
    return module


def guess_format(start: bytes) -> str | None:
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


def parse_statements(
    file: io.BufferedReader[Any], format_name: str, faults: FaultLog
) -> Iterator[bytes]:
    """Parse a decompressed document; give its statements as N-Quads, many at a time.

    A fault in N-Triples or N-Quads costs its line. In other formats it is an error: it may have
    taken more than its own statement with it.
    """
    ox = import_pyoxigraph()
    parser_format = getattr(ox.RdfFormat, RDF_FORMATS[format_name][0])

    def convert(text: bytes) -> bytes:
        statements = ox.parse(text, format=parser_format)
        quads: bytes = ox.serialize(statements, format=ox.RdfFormat.N_QUADS)
        return quads

    _skip_mark(file, faults)
    try:
        if format_name in ("ntriples", "nquads"):
            yield from _parse_lines(file, convert, faults)
        else:
            stream = check_nesting(file, format_name, faults.fail)
            parser = ox.parse(stream, format=parser_format)
            while batch := ox.serialize(islice(parser, _BATCH_ROWS), format=ox.RdfFormat.N_QUADS):
                yield batch
    except (SyntaxError, MemoryError) as error:
        faults.fail(getattr(error, "lineno", None), error)


def _skip_mark(file: io.BufferedReader[Any], faults: FaultLog) -> None:
    start = file.peek(3)
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        faults.fail(1, "is UTF-16; save the file as UTF-8")
    if start.startswith(codecs.BOM_UTF8):
        file.read(len(codecs.BOM_UTF8))


def _parse_lines(
    file: BinaryIO, convert: Callable[[bytes], bytes], faults: FaultLog
) -> Iterator[bytes]:
    """Parse a document of one statement a line by blocks of lines."""
    batch, size, statements = list[bytes](), 0, 0
    for first, block in _read_blocks(file, faults):
        quads = _parse_block(block, first, convert, faults)
        batch.append(quads)
        size += len(quads)
        statements += quads.count(b"\n")
        if faults.count >= _MAX_FAULTS and faults.count > statements:
            raise FormatError(
                f"{faults.examples[0]}; {faults.count:,} lines so far cannot be used, and "
                f"{statements:,} can{faults.hint}"
            )
        if size > _BATCH_SIZE:
            yield b"".join(batch)
            batch, size = [], 0
    yield b"".join(batch)


def _read_blocks(file: BinaryIO, faults: FaultLog) -> Iterator[tuple[int, bytes]]:
    """Give whole lines, many at a time, with the number of the first."""
    line, rest = 1, b""
    while chunk := file.read(_CHUNK):
        block, end, rest = (rest + chunk).rpartition(b"\n")
        yield line, block + end
        line += block.count(b"\n") + len(end)
        if len(rest) > _MAX_LINE:
            faults.reject(line, f"the line is longer than {_MAX_LINE >> 20} MiB")
            while (part := file.readline(_CHUNK)) and not part.endswith(b"\n"):
                pass
            line, rest = line + 1, b""
    yield line, rest


def _parse_block(
    block: bytes, first: int, convert: Callable[[bytes], bytes], faults: FaultLog
) -> bytes:
    """Parse lines; where there is a fault, each by itself, so that none takes others with it."""
    try:
        if block.count(b"<<") <= MAX_QUOTED:
            return convert(block)
    except SyntaxError:
        pass
    good = []
    for number, line in enumerate(block.split(b"\n"), first):
        if line.count(b"<<") > MAX_QUOTED:
            faults.reject(number, f"more than {MAX_QUOTED:,} times '<<', which quotes triples")
            continue
        try:
            good.append(convert(line))
        except SyntaxError as error:
            faults.reject(number, error)
    return b"".join(good)


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
