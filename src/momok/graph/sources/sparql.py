"""Graphs from SPARQL endpoints: a query that gives triples, its answer read as it comes."""

from __future__ import annotations

import hashlib
import io
import re
import time
from dataclasses import dataclass
from importlib.metadata import version
from itertools import islice
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode, urljoin, urlsplit

from momok.errors import DataError, FormatError
from momok.extras import import_extra
from momok.graph.sources.compressed import open_function
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.rdf import collect_statements, import_pyoxigraph, split_terms
from momok.graph.sources.rdf_collect import Collection, RdfOptions
from momok.graph.sources.rdf_faults import FaultLog, check_nesting
from momok.graph.sources.rdf_graph import build_raw_graph
from momok.graph.text_files import Finding
from momok.progress import Progress, no_progress

if TYPE_CHECKING:
    import requests

COLUMNS = ("head", "relation", "tail")
_ROWS = 100_000  # of a batch
_GRAPH_TYPES = {
    **dict.fromkeys(("application/n-triples", "text/plain"), "ntriples"),
    **dict.fromkeys(("text/turtle", "application/x-turtle"), "turtle"),
    "application/rdf+xml": "rdfxml",
    "application/n-quads": "nquads",
    "application/trig": "trig",
    "application/ld+json": "jsonld",
}
_TABLE_TYPES = {
    **dict.fromkeys(("application/sparql-results+json", "application/json"), "JSON"),
    **dict.fromkeys(("application/sparql-results+xml", "application/xml", "text/xml"), "XML"),
    "text/tab-separated-values": "TSV",
}
_NESTING = {"JSON": "streaming-jsonld", "XML": "rdfxml"}  # of tables, checked as these formats
_LONGEST_GET, _QUOTED = 2000, 300  # characters: all proxies take; of a server's error to show
_MAX_REDIRECTS = 5
# What may hold words that are none of the query language: IRIs, texts, comments.
_OPAQUE = re.compile(
    r'<[^<>"{}|^`\\\x00-\x20]*>|"""(?:[^\\]|\\.)*?"""|\'\'\'(?:[^\\]|\\.)*?\'\'\''
    r'|"(?:[^"\\\n]|\\.)*"|\'(?:[^\'\\\n]|\\.)*\'|#[^\n]*',
    re.DOTALL,
)


@dataclass(frozen=True)
class SparqlSource:
    """A SPARQL endpoint, what to ask it, and what it may take and give.

    Attributes:
        query: CONSTRUCT or DESCRIBE, or SELECT with ``?head``, ``?relation`` and ``?tail``.
        page: rows asked for at once, where the endpoint does not give all; the query then has no
            LIMIT of its own, and should have an ORDER BY.
        silence: seconds without a byte.
        seconds: for one answer in all.
    """

    url: str
    query: str
    page: int | None = None
    silence: float = 60
    seconds: float = 3600
    size: int = 16 << 30


def parse_query(text: str) -> tuple[str, set[str]]:
    """Find the form of a query that gives triples, and its words outside of braces, in capitals.

    Raises:
        DataError: it gives no triples, or is a SELECT without the three columns.
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
    source: SparqlSource, *, options: RdfOptions | None = None, progress: Progress = no_progress
) -> RawGraph:
    """Read a graph from a SPARQL endpoint.

    What the triples mean is told as for a file (see ``read_rdf``). The answer is read as it comes;
    one that breaks off is an error.

    Raises:
        DataError: the address or query is none, or the endpoint refuses, fails or gives too much.
        FormatError: the answer is none of a SPARQL endpoint, malformed or ends early.
    """
    _check_address(source.url)
    import_pyoxigraph()
    form, words = parse_query(source.query)
    if source.page is not None and not words.isdisjoint(("LIMIT", "OFFSET")):
        raise DataError("the query has a LIMIT or OFFSET of its own; leave it or the pages out")
    if source.page is not None and source.page < 1:
        raise DataError(f"pages of {source.page} rows: expected 1 or more")
    collection = Collection(options or RdfOptions())
    endpoint = _Endpoint(source, form, collection)
    if source.page is None:
        endpoint.read(source.query)
    else:
        endpoint.read_pages(source.page, progress)
    progress(f"reading {endpoint.host}", collection.statements, 0)
    # A picture must be on the web: an endpoint has no business with files of this machine.
    raw = build_raw_graph(
        collection,
        FaultLog(endpoint.host, collection.options.strict),
        lambda picture: picture if picture.startswith(("http://", "https://")) else None,
    )
    note = f"{source.url}: {form}, {collection.statements:,} statements"
    if source.page and "ORDER" not in words:
        note += "; without ORDER BY, pages may repeat some and miss others"
    raw.notes.append(note)
    raw.findings.extend(endpoint.findings)
    return raw


def _check_address(url: str) -> None:
    """Check that an address is one of http or https, with a host and without a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError as error:
        raise DataError(f"{url!r}: is no address ({error})") from None
    if "@" in parts.netloc:
        raise DataError(f"{host}: an address with a user name or password is not taken")
    if parts.scheme not in ("http", "https") or not host or not re.fullmatch("[!-~]+", url):
        raise DataError(
            f"{url!r}: expected an address that begins with http:// or https:// and has no blanks"
        )


class _Endpoint:
    """Asks an endpoint, and reads its answers into a collection."""

    def __init__(self, source: SparqlSource, form: str, collection: Collection) -> None:
        self.source, self.form, self.collection = source, form, collection
        self.url = source.url
        self.host = urlsplit(source.url).hostname or source.url
        self.findings: list[Finding] = []
        self._faults = FaultLog(source.url, strict=True)

    def read_pages(self, page: int, progress: Progress) -> None:
        """Ask for page after page until one is empty: it may give less than was asked for."""
        offset, last = 0, b""
        while True:
            rows, digest = self.read(f"{self.source.query}\nLIMIT {page} OFFSET {offset}")
            if not rows:
                return
            if digest == last:
                raise DataError(
                    f"{self.url}: gives the same page again at OFFSET {offset}; leave the pages out"
                )
            last = digest
            # A row of CONSTRUCT makes several triples: how many rows there were is not known.
            offset += rows if self.form == "SELECT" else page
            progress(f"reading {self.host}", self.collection.statements, 0)

    def read(self, text: str) -> tuple[int, bytes]:
        """Ask a query and read its answer; give its number of rows or triples, and its hash."""
        types = _TABLE_TYPES if self.form == "SELECT" else _GRAPH_TYPES
        deadline = time.monotonic() + self.source.seconds
        requests = import_extra("requests", "fetch", "asking a SPARQL endpoint")
        with requests.Session() as session:
            session.headers = {
                "Accept": ", ".join(f"{x};q={1 - i / 10:.1f}" for i, x in enumerate(types)),
                "Accept-Encoding": "identity",
                "User-Agent": f"momok/{version('momok')}",
            }
            with self._ask(session, text) as response:
                digest = hashlib.blake2b()
                stream = self._open(response, deadline, digest)
                media_type = (
                    response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
                )
                kind = types.get(media_type)
                if kind is None:
                    raise FormatError(
                        f"{self.url}: answers {media_type!r}, expected one of {', '.join(types)}; "
                        "is this the address of a SPARQL endpoint?"
                    )
                before = self.collection.statements + self.collection.lost["no-triple"]
                if self.form == "SELECT":
                    self._read_table(stream, kind)
                else:
                    collect_statements(stream, kind, self.collection, self._faults)
        rows = self.collection.statements + self.collection.lost["no-triple"] - before
        limit = response.headers.get("X-SPARQL-MaxRows", "")  # Virtuoso gives no more than so many
        if limit.isdecimal() and rows >= int(limit) and not self.findings:
            message = f"{self.url}: gives at most {int(limit):,} rows, and gave {rows:,}: use pages"
            self.findings.append(Finding("cut-short", rows, message))
        return rows, digest.digest()

    def _read_table(self, stream: io.BufferedReader[Any], kind: str) -> None:
        ox = import_pyoxigraph()
        if kind in _NESTING:
            stream = check_nesting(stream, _NESTING[kind], self._faults.fail)
        results = None
        try:
            results = ox.parse_query_results(stream, format=getattr(ox.QueryResultsFormat, kind))
            if not isinstance(results, ox.QuerySolutions):
                raise FormatError(f"{self.url}: answers yes or no, expected rows")
            given = {variable.value for variable in results.variables}
            for name in COLUMNS:
                if name not in given:
                    raise FormatError(f"{self.url}: the answer has no column ?{name}")
            while batch := [[row[x] for x in COLUMNS] for row in islice(results, _ROWS)]:
                triples = [
                    ox.Triple(*row)
                    for row in batch
                    if isinstance(row[0], ox.NamedNode | ox.BlankNode)
                    and isinstance(row[1], ox.NamedNode)
                    and row[2] is not None
                ]
                self.collection.lost["no-triple"] += len(batch) - len(triples)
                nquads = ox.serialize(triples, format=ox.RdfFormat.N_TRIPLES)
                if nquads:
                    self.collection.add(*split_terms(nquads))
        except SyntaxError as error:
            self._faults.fail(error.lineno, f"the answer is malformed or breaks off: {error.msg}")
        except MemoryError as error:
            self._faults.fail(None, error)
        finally:
            # An error keeps this frame; the results may only be dropped by the thread they are of.
            del results

    def _ask(self, session: requests.Session, query: str) -> requests.Response:
        """Send a query (SPARQL 1.1 Protocol); give its answer."""
        import requests

        url, limits = self.url, self.source
        try:
            return _follow(session, url, query, min(limits.silence, limits.seconds))
        except requests.Timeout:
            raise DataError(f"{url}: did not answer within {limits.silence:g} seconds") from None
        except requests.RequestException as error:
            raise DataError(f"{url}: cannot be reached: {_find_reason(error)}") from None

    def _open(
        self, response: requests.Response, deadline: float, digest: hashlib.blake2b
    ) -> io.BufferedReader[Any]:
        """Open the content of an answer, which is counted, timed and hashed as it is read."""
        from urllib3.exceptions import HTTPError, ReadTimeoutError

        url, limits, count = self.url, self.source, 0
        status = response.status_code
        if status != 200:
            raise DataError(f"{url}: answers {status} {response.reason}{_quote(response)}")
        encoding = response.headers.get("Content-Encoding", "identity").lower()
        if encoding != "identity":
            raise FormatError(f"{url}: answers packed with {encoding!r}, not as asked for")

        def read(most: int) -> bytes:
            nonlocal count
            try:
                data: bytes = response.raw.read1(most)
            except (HTTPError, OSError, ValueError) as error:
                is_silent = isinstance(error, ReadTimeoutError)
                silence = f"{limits.silence:g} seconds of silence"
                raise DataError(
                    f"{url}: the answer ends early, after {count:,} bytes "
                    f"({silence if is_silent else _find_reason(error)}); ask again, or page by page"
                ) from None
            count += len(data)
            fault = f"took more than {limits.seconds:g} seconds"
            if count > limits.size:
                fault = f"is larger than {limits.size:,} bytes"
            if count > limits.size or time.monotonic() > deadline:
                raise DataError(f"{url}: the answer {fault}; ask for less, or page by page")
            digest.update(data)
            return data

        return open_function(read)


def _follow(session: requests.Session, url: str, query: str, timeout: float) -> requests.Response:
    """Send a query, and again where the server says that it has moved: to itself, or to https."""
    form = {"query": query}
    is_short = len(url) + len(urlencode(form)) < _LONGEST_GET
    where, params = url, form if is_short else None
    options: dict[str, Any] = {"stream": True, "timeout": timeout, "allow_redirects": False}
    for _ in range(_MAX_REDIRECTS):
        if is_short:
            response = session.get(where, params=params, **options)
        else:
            response = session.post(where, data=form, **options)
        if not response.is_redirect:
            return response
        response.close()
        session.close()  # the next one is asked on a connection of its own
        target = urljoin(response.url, response.headers["location"])
        if session.should_strip_auth(response.url, target):
            raise DataError(
                f"{url}: redirects to {target[:_QUOTED]!r}, another server; give that address if "
                "it is the right one"
            )
        where, params = target, None  # the target of a GET has the query
    raise DataError(f"{url}: redirects more than {_MAX_REDIRECTS} times")


def _find_reason(error: BaseException) -> str:
    """Find what the system says at the root of an error."""
    cause: BaseException | None = error
    while cause is not None and not getattr(cause, "strerror", None):
        cause = cause.__cause__ or cause.__context__
    return str(getattr(cause, "strerror", " ".join(f"{type(error).__name__} {error}".split())))


def _quote(response: requests.Response) -> str:
    """Give the first words of what a server says of an error."""
    try:
        text = response.raw.read(4096).decode(errors="replace")
    except Exception:  # whatever breaks the connection: the status says enough
        return ""
    words = " ".join(text.split())[:_QUOTED]
    return f": {words}" if words and not words.startswith("<") else ""
