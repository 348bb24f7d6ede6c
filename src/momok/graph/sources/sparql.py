"""Graphs from SPARQL endpoints, by a query that gives triples."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from itertools import islice
from types import ModuleType
from typing import Any
from urllib.parse import urlsplit

from momok.errors import DataError, FormatError
from momok.graph.graph import Finding
from momok.graph.sources.endpoint import Answer, RequestLimits, check_address, send_query
from momok.graph.sources.faults import FaultLog
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.rdf import collect_statements
from momok.graph.sources.rdf_collect import Collection
from momok.graph.sources.rdf_graph import build_raw_graph
from momok.graph.sources.rdf_options import RdfOptions
from momok.graph.sources.rdf_statements import import_pyoxigraph, split_terms
from momok.graph.sources.screening import ScreenedStream

COLUMNS = ("head", "relation", "tail")
_ROWS = 100_000  # of a batch
_GRAPHS = "application/n-triples, text/turtle;q=0.9, application/rdf+xml;q=0.5"
_TABLES = (
    "application/sparql-results+json, application/sparql-results+xml;q=0.8, "
    "text/tab-separated-values;q=0.3"
)
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
_SCREENS = {"JSON": "streaming-jsonld", "XML": "rdfxml", "TSV": "ntriples"}
# What may hold words that are none of the query language: IRIs, texts, comments.
_OPAQUE = re.compile(
    r'<[^<>"{}|^`\\\x00-\x20]*>|"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\''
    r'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*',
    re.DOTALL,
)


@dataclass(frozen=True)
class SparqlQuery:
    """A query that gives triples.

    Attributes:
        text: as it is sent.
        form: CONSTRUCT or DESCRIBE, which give triples, or SELECT, which gives ``?head``,
            ``?relation`` and ``?tail``.
        limited: whether it has a LIMIT or OFFSET of its own.
        ordered: whether it has an ORDER BY, without which pages may overlap.
    """

    text: str
    form: str
    limited: bool
    ordered: bool


def parse_query(text: str) -> SparqlQuery:
    """Find the form of a query.

    Raises:
        DataError: it is none that gives triples, or has not the three columns.
    """
    outside = _OPAQUE.sub(" ", text)
    previous = None
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
        heading = re.split(r"\b(?:FROM|WHERE)\b", outside, flags=re.IGNORECASE)[0]
        given = set(re.findall(r"[?$](\w+)", heading))
        missing = [name for name in COLUMNS if name not in given]
        if missing and "*" not in heading:
            raise DataError(
                f"the query selects no ?{missing[0]}: expected SELECT ?head ?relation ?tail"
            )
    upper = {word.upper() for word in words}
    return SparqlQuery(
        text, form, limited=bool({"LIMIT", "OFFSET"} & upper), ordered="ORDER" in upper
    )


def read_sparql(
    url: str,
    query: str,
    *,
    options: RdfOptions | None = None,
    page: int | None = None,
    limits: RequestLimits | None = None,
    stage: Callable[[str], None] = lambda _: None,
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
        stage: is told how far it is.

    Raises:
        DataError: the address or query is not one, or the endpoint refuses, fails or is silent.
        FormatError: the answer is none of a SPARQL endpoint, malformed, too large, or ends early.
        MissingExtraError: the parser is not installed.
    """
    check_address(url)
    import_pyoxigraph()
    limits = limits or RequestLimits()
    parsed = parse_query(query)
    if page is not None and parsed.limited:
        raise DataError("the query has a LIMIT or OFFSET of its own; leave it or the pages out")
    if page is not None and page < 1:
        raise DataError(f"pages of {page} rows: expected 1 or more")
    reader = _Reader(url, parsed, limits or RequestLimits(), Collection(options or RdfOptions()))
    if page is None:
        reader.read(query)
    else:
        _read_pages(reader, page, stage)
    stage(f"reading {reader.host}: {reader.collection.statements:,} statements")
    note = f"{url}: {parsed.form}, {reader.collection.statements:,} statements"
    if page and not parsed.ordered:
        note += "; without ORDER BY, pages may repeat some and miss others"
    told = FaultLog(reader.host, reader.collection.options.strict)
    raw = build_raw_graph(reader.collection, told, _take_address, [note])
    raw.findings.extend(reader.findings)
    return raw


def _take_address(picture: str) -> str | None:
    """Take a picture that is on the web: an endpoint has no business with files of this machine."""
    return picture if picture.startswith(("http://", "https://")) else None


def _read_pages(reader: _Reader, page: int, stage: Callable[[str], None]) -> None:
    """Ask for page after page until one is empty: an endpoint may give less than was asked for."""
    offset, seen = 0, b""
    while True:
        answer = reader.read(f"{reader.query.text}\nLIMIT {page} OFFSET {offset}")
        if not answer.rows:
            return
        if answer.digest == seen:
            raise DataError(
                f"{reader.url}: gives the same page again at OFFSET {offset}; leave the pages out"
            )
        seen = answer.digest
        # A row of CONSTRUCT makes several triples: how many rows there were is not known.
        offset += answer.rows if reader.query.form == "SELECT" else page
        stage(f"reading {reader.host}: {reader.collection.statements:,} statements")


@dataclass(frozen=True)
class _Page:
    """What one request gave: rows, or triples, and the hash of the answer."""

    rows: int
    digest: bytes


class _Reader:
    """Reads the answers of an endpoint into a collection."""

    def __init__(
        self, url: str, query: SparqlQuery, limits: RequestLimits, collection: Collection
    ) -> None:
        self.url, self.query, self.collection = url, query, collection
        self.host = urlsplit(url).hostname or url
        self.findings: list[Finding] = []
        self._limits = limits
        self._faults = FaultLog(url, strict=True)

    def read(self, text: str) -> _Page:
        """Ask a query and read its answer."""
        table = self.query.form == "SELECT"
        accept = _TABLES if table else _GRAPHS
        with send_query(self.url, text, accept, self._limits) as answer:
            types = _TABLE_TYPES if table else _GRAPH_TYPES
            kind = types.get(answer.media_type)
            if kind is None:
                raise FormatError(
                    f"{self.url}: answers {answer.media_type!r}, expected one of "
                    f"{', '.join(types)}; is this the address of a SPARQL endpoint?"
                )
            if table:
                rows = self._read_table(answer, kind)
            else:
                before = self.collection.statements
                collect_statements(answer.stream, kind, self.collection, self._faults)
                rows = self.collection.statements - before
            self._note_limit(answer, rows)
            return _Page(rows, answer.digest())

    def _read_table(self, answer: Answer, kind: str) -> int:
        ox = import_pyoxigraph()
        stream = ScreenedStream(answer.stream, _SCREENS[kind], self._faults)
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
        except MemoryError:
            self._faults.fail(None, "the answer has a term of more than 16 MiB")
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

    def _note_limit(self, answer: Answer, rows: int) -> None:
        """Note that an endpoint gives no more than so many rows, where it says so (Virtuoso)."""
        limit = answer.headers.get("X-SPARQL-MaxRows", "")
        if limit.isdecimal() and rows >= int(limit) and not self.findings:
            said = f"{self.url}: gives at most {int(limit):,} rows, and gave {rows:,}: use pages"
            self.findings.append(Finding("cut-short", rows, said))
