"""Graphs from SPARQL endpoints, by a query that gives triples."""

from __future__ import annotations

import io
import re
from itertools import islice
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from momok.errors import DataError, FormatError
from momok.graph.findings import Finding
from momok.graph.sources.endpoint import RequestLimits, check_address, send_query
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.rdf import collect_statements
from momok.graph.sources.rdf_collect import Collection
from momok.graph.sources.rdf_graph import build_raw_graph
from momok.graph.sources.rdf_nesting import check_nesting
from momok.graph.sources.rdf_options import RdfOptions
from momok.graph.sources.rdf_statements import FaultLog, import_pyoxigraph, split_terms
from momok.progress import Progress, no_progress

COLUMNS = ("head", "relation", "tail")
_ROWS = 100_000  # of a batch
_GRAPH_TYPES = {
    "application/n-triples": "ntriples",
    "text/plain": "ntriples",
    "text/turtle": "turtle",
    "application/x-turtle": "turtle",
    "application/rdf+xml": "rdfxml",
    "application/n-quads": "nquads",
    "application/trig": "trig",
    "application/ld+json": "jsonld",
}
_TABLE_TYPES = {
    "application/sparql-results+json": "JSON",
    "application/json": "JSON",
    "application/sparql-results+xml": "XML",
    "application/xml": "XML",
    "text/xml": "XML",
    "text/tab-separated-values": "TSV",
}
_NESTING = {"JSON": "streaming-jsonld", "XML": "rdfxml"}  # of tables, checked as these formats
# What may hold words that are none of the query language: IRIs, texts, comments.
_OPAQUE = re.compile(
    r'<[^<>"{}|^`\\\x00-\x20]*>|"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\''
    r'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*',
    re.DOTALL,
)


def parse_query(text: str) -> tuple[str, set[str]]:
    """Find the form of a query, and its keywords outside of all braces, in capitals.

    Returns:
        CONSTRUCT or DESCRIBE, which give triples, or SELECT, which must give ``?head``,
        ``?relation`` and ``?tail``; and the words.

    Raises:
        DataError: it is none that gives triples, or has not the three columns.
    """
    outside, previous = _OPAQUE.sub(" ", text), ""
    while previous != outside:  # braces from the inside out; sub-queries go with them
        previous, outside = outside, re.sub(r"\{[^{}]*\}", " ", outside)
    words = re.sub(r"\bPREFIX\s+\S*:|\bBASE\b", " ", outside, flags=re.IGNORECASE).split()
    form = words[0].upper() if words else ""
    if form not in ("SELECT", "CONSTRUCT", "DESCRIBE"):
        raise DataError(
            f"the query begins with {form[:40] or 'nothing'!r}: expected CONSTRUCT, or SELECT with "
            "?head, ?relation and ?tail"
        )
    if form == "SELECT":
        selected = re.split(r"\b(?:FROM|WHERE)\b", outside, flags=re.IGNORECASE)[0]
        missing = [name for name in COLUMNS if not re.search(rf"[?$]{name}\b", selected)]
        if missing and "*" not in selected:
            raise DataError(
                f"the query selects no ?{missing[0]}: expected SELECT ?head ?relation ?tail"
            )
    return form, {word.upper() for word in words}


def read_sparql(
    url: str,
    query: str,
    *,
    options: RdfOptions | None = None,
    page: int | None = None,
    limits: RequestLimits | None = None,
    progress: Progress = no_progress,
) -> RawGraph:
    """Read a graph from a SPARQL endpoint.

    What the triples mean is told as for a file (see ``read_rdf``). The answer is read as it comes;
    one that breaks off is an error.

    Args:
        url: the address of the endpoint.
        query: CONSTRUCT or DESCRIBE, or SELECT with ``?head``, ``?relation`` and ``?tail``.
        options: languages and meanings of properties.
        page: rows asked for at once, where the endpoint does not give all; the query then has no
            LIMIT of its own, and should have an ORDER BY.
        limits: of time and size, for each page.
        progress: is told of what is done.

    Raises:
        DataError: the address or query is not one, or the endpoint refuses, fails or is silent.
        FormatError: the answer is none of a SPARQL endpoint, malformed, too large, or ends early.
        MissingExtraError: the parser is not installed.
    """
    check_address(url)
    import_pyoxigraph()
    form, words = parse_query(query)
    if page is not None and not words.isdisjoint(("LIMIT", "OFFSET")):
        raise DataError("the query has a LIMIT or OFFSET of its own; leave it or the pages out")
    if page is not None and page < 1:
        raise DataError(f"pages of {page} rows: expected 1 or more")
    collection = Collection(options or RdfOptions())
    endpoint = _Endpoint(url, form, limits or RequestLimits(), collection)
    if page is None:
        endpoint.read(query)
    else:
        _read_pages(endpoint, query, page, progress)
    progress(f"reading {endpoint.host}", collection.statements, 0)
    note = f"{url}: {form}, {collection.statements:,} statements"
    if page and "ORDER" not in words:
        note += "; without ORDER BY, pages may repeat some and miss others"
    faults = FaultLog(endpoint.host, collection.options.strict)
    raw = build_raw_graph(collection, faults, _take_address, [note])
    raw.findings.extend(endpoint.findings)
    return raw


def _take_address(picture: str) -> str | None:
    """Take a picture that is on the web: an endpoint has no business with files of this machine."""
    return picture if picture.startswith(("http://", "https://")) else None


def _read_pages(endpoint: _Endpoint, query: str, page: int, progress: Progress) -> None:
    """Ask for page after page until one is empty: an endpoint may give less than was asked for."""
    offset, last = 0, b""
    while True:
        rows, digest = endpoint.read(f"{query}\nLIMIT {page} OFFSET {offset}")
        if not rows:
            return
        if digest == last:
            raise DataError(
                f"{endpoint.url}: gives the same page again at OFFSET {offset}; leave the pages out"
            )
        last = digest
        # A row of CONSTRUCT makes several triples: how many rows there were is not known.
        offset += rows if endpoint.form == "SELECT" else page
        progress(f"reading {endpoint.host}", endpoint.collection.statements, 0)


class _Endpoint:
    """Reads the answers of an endpoint into a collection."""

    def __init__(self, url: str, form: str, limits: RequestLimits, collection: Collection) -> None:
        self.url, self.form, self.collection = url, form, collection
        self.host = urlsplit(url).hostname or url
        self.findings: list[Finding] = []
        self._limits = limits
        self._faults = FaultLog(url, strict=True)

    def read(self, text: str) -> tuple[int, bytes]:
        """Ask a query and read its answer; give its number of rows or triples, and its hash."""
        is_table = self.form == "SELECT"
        types = _TABLE_TYPES if is_table else _GRAPH_TYPES
        accept = ", ".join(f"{kind};q={1 - rank / 10:.1f}" for rank, kind in enumerate(types))
        with send_query(self.url, text, accept, self._limits) as (headers, stream, digest):
            media_type = headers.get("Content-Type", "").partition(";")[0].strip().lower()
            kind = types.get(media_type)
            if kind is None:
                raise FormatError(
                    f"{self.url}: answers {media_type!r}, expected one of {', '.join(types)}; is "
                    "this the address of a SPARQL endpoint?"
                )
            if is_table:
                rows = self._read_table(stream, kind)
            else:
                before = self.collection.statements
                collect_statements(stream, kind, self.collection, self._faults)
                rows = self.collection.statements - before
        limit = headers.get("X-SPARQL-MaxRows", "")  # Virtuoso gives no more than so many
        if limit.isdecimal() and rows >= int(limit) and not self.findings:
            message = f"{self.url}: gives at most {int(limit):,} rows, and gave {rows:,}: use pages"
            self.findings.append(Finding("cut-short", rows, message))
        return rows, digest.digest()

    def _read_table(self, stream: io.BufferedReader[Any], kind: str) -> int:
        ox = import_pyoxigraph()
        if kind in _NESTING:
            stream = check_nesting(stream, _NESTING[kind], self._faults.fail)
        results = None
        try:
            results = ox.parse_query_results(stream, format=getattr(ox.QueryResultsFormat, kind))
            if not isinstance(results, ox.QuerySolutions):
                raise FormatError(f"{self.url}: answers yes or no, expected rows")
            given = {variable.value for variable in results.variables}
            missing = [name for name in COLUMNS if name not in given]
            if missing:
                raise FormatError(f"{self.url}: the answer has no column ?{missing[0]}")
            rows = 0
            while batch := list(islice(results, _ROWS)):
                rows += len(batch)
                self._add(ox, batch)
        except SyntaxError as error:
            self._faults.fail(error.lineno, f"the answer is malformed or breaks off: {error.msg}")
        except MemoryError as error:
            self._faults.fail(None, error)
        finally:
            # An error keeps this frame; the results may only be dropped by the thread they are of.
            del results
        return rows

    def _add(self, ox: ModuleType, batch: list[Any]) -> None:
        """Take rows as triples; those that are none are counted."""
        rows = [[row[name] for name in COLUMNS] for row in batch]
        good = [
            ox.Triple(head, relation, tail)
            for head, relation, tail in rows
            if isinstance(head, ox.NamedNode | ox.BlankNode)
            and isinstance(relation, ox.NamedNode)
            and tail is not None
        ]
        self.collection.lost["no-triple"] += len(rows) - len(good)
        if good:
            self.collection.add(*split_terms(ox.serialize(good, format=ox.RdfFormat.N_TRIPLES)))
