"""RDF files of any size and format: facts, names, texts, pictures, types and numbers."""

from __future__ import annotations

from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import BinaryIO
from urllib.parse import unquote, urlsplit

from momok.errors import DataError
from momok.graph.sources.compressed import name_content, open_source
from momok.graph.sources.faults import FaultLog
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.rdf_collect import Collection
from momok.graph.sources.rdf_graph import build_raw_graph
from momok.graph.sources.rdf_options import RdfOptions
from momok.graph.sources.rdf_statements import (
    RDF_FORMATS,
    import_pyoxigraph,
    parse_statements,
    split_terms,
    tell_format,
)

_START = 4096  # bytes that are looked at to tell a format
_FAMILIES = ({"ntriples", "nquads", "turtle", "trig"}, {"jsonld", "streaming-jsonld"}, {"rdfxml"})
_LARGER = {("ntriples", "turtle"), ("nquads", "turtle")}  # of a family, the second is more


def read_rdf(
    path: Path,
    *,
    format: str | None = None,
    options: RdfOptions | None = None,
    member: str | None = None,
    stage: Callable[[str], None] = lambda _: None,
) -> RawGraph:
    """Read an RDF file; it may be packed.

    A statement between two IRIs is a fact, unless its property is one that ``options`` give
    another meaning. Names and texts are taken in the preferred language, numbers and dates are
    numbers (the first value of each attribute), other literals are counted and left out. Graphs
    of N-Quads and TriG are one. Malformed statements of N-Triples, N-Quads, Turtle and TriG are
    left out and counted; in RDF/XML and JSON-LD the first is an error.

    Args:
        path: the file.
        format: one of ``RDF_FORMATS``; None to tell it by the name.
        options: languages and meanings of properties.
        member: which file of a zip archive.
        stage: is told how far it is.

    Raises:
        DataError: the file is missing, or its format cannot be told.
        FormatError: it is malformed or damaged, has no fact, or looks hostile.
        MissingExtraError: the parser, the table library or zstd is not installed.
    """
    options = options or RdfOptions()
    import_pyoxigraph()
    chosen = format or _find_format(path, member)
    if chosen not in RDF_FORMATS:
        raise DataError(f"format {chosen!r}: expected one of {', '.join(RDF_FORMATS)}")
    faults = FaultLog(str(path), options.strict)
    collection = Collection(options)
    with open_source(path, member=member) as file:
        faults.hint = _hint(file, chosen)
        collect_statements(file, chosen, collection, faults, stage)
    return build_raw_graph(
        collection,
        faults,
        lambda picture: _place_picture(path, picture),
        [_say(path, chosen, collection)],
    )


def collect_statements(
    file: BinaryIO,
    format: str,
    collection: Collection,
    faults: FaultLog,
    stage: Callable[[str], None] = lambda _: None,
) -> None:
    """Read all statements of a document into a collection.

    Raises:
        FormatError, MissingExtraError: see ``parse_statements``.
    """
    name = Path(faults.source).name
    for nquads in parse_statements(file, format, faults):
        if nquads:
            collection.add(*split_terms(nquads))
            stage(f"reading {name}: {collection.statements:,} statements")


def _find_format(path: Path, member: str | None) -> str:
    name = name_content(path, member=member)
    suffix = Path(name).suffix.lower()
    found = next((kind for kind, endings in RDF_FORMATS.items() if suffix in endings), None)
    if found is None:
        with open_source(path, member=member) as file:
            found = _tell_by_start(file)
    if found is None:
        endings = ", ".join(ending for several in RDF_FORMATS.values() for ending in several)
        raise DataError(
            f"{path}: the name {name!r} tells no format of RDF; expected one of {endings}, or say "
            f"the format: {', '.join(RDF_FORMATS)}"
        )
    return found


def _tell_by_start(file: BinaryIO) -> str | None:
    assert isinstance(file, BufferedReader)
    return tell_format(file.peek(_START)[:_START])


def _hint(file: BinaryIO, chosen: str) -> str:
    """Say which format a document looks like, where that is another than the one chosen."""
    looks = _tell_by_start(file)
    if looks is None or looks == chosen:
        return ""
    related = any({looks, chosen} <= family for family in _FAMILIES)
    if related and (chosen, looks) not in _LARGER:
        return ""
    return f"; it is read as {chosen} and looks like {looks}: say the format if that is it"


def _place_picture(source: Path, picture: str) -> str:
    """Give the path or URL that a statement means; paths are relative to the source's folder."""
    parts = urlsplit(picture)
    if parts.scheme == "file":
        return str(source.parent / unquote(parts.path))
    return picture if "://" in picture else str(source.parent / picture)


def _say(path: Path, format: str, collection: Collection) -> str:
    facts = sum(map(len, collection.facts))
    languages = ", ".join(collection.options.languages) or "any"
    return (
        f"{path.name}: RDF, read as {format}: {collection.statements:,} statements, {facts:,} of "
        f"them facts; names and texts in {languages} where there are some"
    )
