"""RDF files of any size and format: facts, names, texts, pictures, types and numbers."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from momok.errors import DataError
from momok.graph.sources.compressed import name_content, open_source
from momok.graph.sources.raw import UNSPLIT, RawGraph
from momok.graph.sources.rdf_collect import Collection
from momok.graph.sources.rdf_graph import build_raw_graph
from momok.graph.sources.rdf_statements import (
    RDF_FORMATS,
    FaultLog,
    guess_format,
    import_pyoxigraph,
    parse_statements,
    split_terms,
)
from momok.graph.sources.rdf_terms import RdfOptions
from momok.progress import Progress, no_progress

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
        path: the file.
        format: one of ``RDF_FORMATS``; None to tell it by the name.
        options: languages and meanings of properties.
        progress: is told of what is done.

    Raises:
        DataError: the file is missing, or its format cannot be told.
        FormatError: it is malformed or damaged, has no fact, or looks hostile.
        MissingExtraError: the parser or a reader of zstd is not installed.
    """
    options = options or RdfOptions()
    import_pyoxigraph()
    if format not in (None, *RDF_FORMATS):
        raise DataError(f"format {format!r}: expected one of {', '.join(RDF_FORMATS)}")
    faults = FaultLog(str(path), options.strict)
    collection = Collection(options)
    with open_source(path) as file:
        guessed = guess_format(file.peek(_START)[:_START])
        chosen = format or _find_format(path) or guessed
        if chosen is None:
            endings = ", ".join(ending for several in RDF_FORMATS.values() for ending in several)
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
    """Read all statements of a document into a collection.

    Raises:
        FormatError, MissingExtraError: see ``parse_statements``.
    """
    name = Path(faults.source).name
    for nquads in parse_statements(file, format, faults):
        if nquads:
            collection.add(*split_terms(nquads))
            progress(f"reading {name}", collection.statements, 0)


def _find_format(path: Path) -> str | None:
    suffix = Path(name_content(path)).suffix.lower()
    return next((name for name, endings in RDF_FORMATS.items() if suffix in endings), None)


def _place_picture(source: Path, picture: str) -> str:
    """Give the path or URL that a statement means; paths are relative to the source's folder."""
    parts = urlsplit(picture)
    if parts.scheme == "file":
        return str(source.parent / unquote(parts.path))
    return picture if "://" in picture else str(source.parent / picture)
