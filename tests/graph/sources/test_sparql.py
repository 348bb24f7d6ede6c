"""SPARQL endpoints: a real Oxigraph server on loopback, and one that misbehaves."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from momok.errors import DataError, FormatError, MomokError
from momok.graph.sources.raw import RawGraph
from momok.graph.sources.rdf_collect import RdfOptions
from momok.graph.sources.sparql import SparqlSource, parse_query, read_sparql

E = "http://example.org/"
FACTS = 250
GRAPH = "".join(
    f"<{E}e{i}> <{E}next> <{E}e{i + 1}> .\n"
    f'<{E}e{i}> <http://www.w3.org/2000/01/rdf-schema#label> "thing {i}"@en, "Ding {i}"@de .\n'
    f"<{E}e{i}> <{E}size> {i} .\n"
    for i in range(FACTS)
)
SELECT = f"""
PREFIX e: <{E}>  # where {{ the facts are
SELECT ?head ?relation ?tail WHERE {{ ?head ?relation ?tail FILTER(?relation != e:nothing) }}
"""
CONSTRUCT = f"CONSTRUCT {{ ?a <{E}near> ?b }} WHERE {{ ?a <{E}next> ?b }}"


def read(url: str, query: str, options: RdfOptions | None = None, **asked: Any) -> RawGraph:
    return read_sparql(SparqlSource(url, query, **asked), options=options)


@pytest.fixture(scope="module")
def endpoint() -> Iterator[str]:
    """A real Oxigraph server with the graph."""
    binary = shutil.which("oxigraph", path=str(Path(sys.executable).parent))
    if binary is None:
        pytest.skip("the server oxigraph is not installed (pip install oxigraph)")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    server = subprocess.Popen(
        [binary, "serve", "--bind", address],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(address)
        request = urllib.request.Request(
            f"http://{address}/store?default",
            data=GRAPH.encode(),
            headers={"Content-Type": "text/turtle"},
            method="PUT",
        )
        with urllib.request.urlopen(request, timeout=20) as response:
            assert response.status in (201, 204)
        yield f"http://{address}/query"
    finally:
        server.terminate()
        server.wait(10)


def wait_for(address: str) -> None:
    host, port = address.split(":")
    for _ in range(200):
        try:
            socket.create_connection((host, int(port)), timeout=1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the server did not start")


@pytest.mark.parametrize("page", [None, 100, 1000])
def test_select_from_a_real_server(endpoint: str, page: int | None) -> None:
    ordered = SELECT + ("ORDER BY ?head ?relation ?tail" if page else "")
    raw = read(endpoint, ordered, page=page)
    assert len(raw.entities) == FACTS + 1
    assert raw.relations == [E + "next"]
    facts = {(raw.entities[h], raw.entities[t]) for h, _, t in raw.triples["all"]}
    assert facts == {(f"{E}e{i}", f"{E}e{i + 1}") for i in range(FACTS)}
    assert len(raw.triples["all"]) == FACTS
    assert raw.names[f"{E}e7"] == "thing 7"
    assert raw.numbers[f"{E}size"][f"{E}e7"] == 7.0


@pytest.mark.parametrize("page", [None, 100])
def test_construct_from_a_real_server(endpoint: str, page: int | None) -> None:
    query = CONSTRUCT + (" ORDER BY ?a" if page else "")
    raw = read(endpoint, query, page=page)
    assert raw.relations == [E + "near"]
    assert len(raw.triples["all"]) == FACTS


def test_languages_and_long_queries(endpoint: str) -> None:
    query = SELECT + "#" + "x" * 5000  # too long for an address: sent as a form
    raw = read(endpoint, query, options=RdfOptions(languages=("de",)))
    assert raw.names[f"{E}e0"] == "Ding 0"


def test_pages_without_an_order_are_told(endpoint: str) -> None:
    raw = read(endpoint, SELECT, page=500)
    assert "without ORDER BY" in raw.notes[0]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("SELECT ?head ?relation ?tail WHERE { ?head ?relation", r"answers 400 .*expected"),
        (f"CONSTRUCT {{ ?a <{E}x> ?b }} WHERE {{ ?a <{E}none> ?b }}", "holds no statement"),
        ("SELECT * WHERE { ?s ?p ?o }", r"has no column \?head"),
        (f"CONSTRUCT WHERE {{ ?a <{E}size> ?b }}", "statements and no fact"),
    ],
)
def test_what_a_real_server_refuses_or_lacks(endpoint: str, query: str, expected: str) -> None:
    with pytest.raises(MomokError, match=expected) as caught:
        read(endpoint, query)
    assert "\n" not in str(caught.value)


# --- queries -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("query", "form", "limited", "ordered"),
    [
        (SELECT, "SELECT", False, False),
        (SELECT + "ORDER BY ?head LIMIT 3", "SELECT", True, True),
        ("select * where { ?head ?relation ?tail }", "SELECT", False, False),
        ("construct where { ?a ?b ?c } limit 3", "CONSTRUCT", True, False),
        ("BASE <http://x/> PREFIX a: <b#c> DESCRIBE a:x", "DESCRIBE", False, False),
        ("CONSTRUCT WHERE { ?a ?b 'LIMIT 3' } # OFFSET 3", "CONSTRUCT", False, False),
        ("CONSTRUCT {?a ?b ?c} { {SELECT * {?a ?b ?c} LIMIT 3} }", "CONSTRUCT", False, False),
        ('SELECT ?head ("x}" AS ?relation) ?tail { ?head ?b ?tail }', "SELECT", False, False),
    ],
)
def test_queries_are_understood(query: str, form: str, limited: bool, ordered: bool) -> None:
    found, words = parse_query(query)
    is_limited = not words.isdisjoint(("LIMIT", "OFFSET"))
    assert (found, is_limited, "ORDER" in words) == (form, limited, ordered)


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("", "begins with 'nothing'"),
        ("ASK { ?a ?b ?c }", "begins with 'ASK'"),
        ("DELETE WHERE { ?a ?b ?c }", "begins with 'DELETE'"),
        ("SELECT ?s ?p ?o WHERE { ?s ?p ?o }", r"selects no \?head"),
        ("SELECT ?head ?tail WHERE { ?head ?relation ?tail }", r"selects no \?relation"),
    ],
)
def test_queries_that_give_no_triples(query: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected):
        read("http://127.0.0.1:9/", query)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://example.org/", "begins with http"),
        ("file:///etc/passwd", "begins with http"),
        ("example.org/sparql", "begins with http"),
        ("http://", "begins with http"),
        ("http://[::1/", "is no address"),
        ("http://x:port/", "is no address"),
        ("http://user:secret@example.org/", "user name or password"),
        ("http://example.org/a b", "has no blanks"),
        ("http://example.org/\r\nX: y", "has no blanks"),
    ],
)
def test_addresses_that_are_not_asked(url: str, expected: str) -> None:
    with pytest.raises(DataError, match=expected) as caught:
        read(url, CONSTRUCT)
    assert "secret" not in str(caught.value)


def test_pages_of_a_query_with_a_limit() -> None:
    with pytest.raises(DataError, match="LIMIT or OFFSET of its own"):
        read("http://127.0.0.1:9/", CONSTRUCT + " LIMIT 5", page=10)
    with pytest.raises(DataError, match="pages of 0 rows"):
        read("http://127.0.0.1:9/", CONSTRUCT, page=0)


# --- a server that misbehaves --------------------------------------------------------------------

Reply = Callable[[BaseHTTPRequestHandler], None]


@pytest.fixture
def serve() -> Iterator[Callable[[Reply], str]]:
    """Serves every request by a function, at an address that is given back."""
    servers: list[ThreadingHTTPServer] = []

    def start(reply: Reply) -> str:
        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                self.close_connection = True
                with suppress(OSError):  # the other side has had enough
                    reply(self)

            def do_POST(self) -> None:
                self.do_GET()

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_address[1]}/sparql"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def answer(
    content: bytes, media_type: str = "application/n-triples", status: int = 200, **headers: str
) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(status)
        handler.send_header("Content-Type", media_type)
        for name, value in ({"Content_Length": str(len(content))} | headers).items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(content)

    return reply


def answer_in_chunks(content: bytes, media_type: str, *, cut: bool = False) -> Reply:
    def reply(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Content-Type", media_type)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        for start in range(0, len(content), 100):
            chunk = content[start : start + 100]
            handler.wfile.write(b"%x\r\n%s\r\n" % (len(chunk), chunk))
        if not cut:
            handler.wfile.write(b"0\r\n\r\n")

    return reply


def stay_silent(handler: BaseHTTPRequestHandler) -> None:
    time.sleep(1.0)
    del handler


def stop_midway(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/n-triples")
    handler.end_headers()
    handler.wfile.write(b"# silence\n")
    handler.wfile.flush()
    time.sleep(0.7)


def drip(handler: BaseHTTPRequestHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Type", "application/n-triples")
    handler.end_headers()
    for _ in range(40):
        handler.wfile.write(b"# slow\n")
        handler.wfile.flush()
        time.sleep(0.05)


def redirect(target: str) -> Reply:
    return answer(b"", status=302, Location=target)


NT = b"".join(b"<%sa> <%sr> <%sb%d> .\n" % (*(E.encode(),) * 3, i) for i in range(50))
ROWS = [
    {name: {"type": "uri", "value": E + name + str(i)} for name in ("head", "relation", "tail")}
    for i in range(50)
]
JSON_TYPE = "application/sparql-results+json"
TABLE = json.dumps(
    {"head": {"vars": ["head", "relation", "tail"]}, "results": {"bindings": ROWS}}
).encode()
LIMITS = {"silence": 0.5, "seconds": 0.8, "size": 100_000}
BOMB = b'<!DOCTYPE s [<!ENTITY a "x"><!ENTITY b "&a;&a;">]><sparql>&b;</sparql>'

FAULTS: dict[str, tuple[str, Reply, str]] = {
    "404": ("C", answer(b"no such page", "text/plain", 404), "answers 404 Not Found: no such"),
    "500 with a page": ("C", answer(b"<html>" * 500, "text/html", 500), r"answers 500 [\w ]+$"),
    "429": ("C", answer(b"later", "text/plain", 429), "answers 429 Too Many Requests: later"),
    "a web page": ("C", answer(b"<html>hello", "text/html"), "answers 'text/html', expected"),
    "a table for triples": ("C", answer(TABLE, JSON_TYPE), "expected one of application/n-triples"),
    "triples for a table": ("S", answer(NT), "expected one of application/sparql-results"),
    "cut short": ("C", answer(NT, Content_Length=str(len(NT) + 9)), "answer ends early"),
    "cut chunks": (
        "C",
        answer_in_chunks(NT, "application/n-triples", cut=True),
        "answer ends early",
    ),
    "a cut table": ("S", answer(TABLE[:-40], JSON_TYPE), "malformed or breaks off"),
    "a table in chunks, cut": (
        "S",
        answer_in_chunks(TABLE, JSON_TYPE, cut=True),
        "answer ends early",
    ),
    "an error in the answer": ("S", answer(TABLE[:900] + b"\nError", JSON_TYPE), "malformed or"),
    "malformed triples": ("C", answer(NT + b"oops\n" + NT), r"/sparql:51: "),
    "bytes that are no UTF-8": ("C", answer(NT + b"\xff\n"), ":51: is not UTF-8"),
    "silence": ("C", stay_silent, "did not answer within 0.5 seconds"),
    "silence midway": ("C", stop_midway, "ends early, after 10 bytes .0.5 seconds of silence"),
    "drops": ("C", drip, r"took more than 0\.8 seconds"),
    "too much": ("C", answer(NT * 50), "larger than 100,000 bytes"),
    "packed": ("C", answer(NT, Content_Encoding="gzip"), "packed with 'gzip'"),
    "a redirect to a file": ("C", redirect("file:///etc/passwd"), "another server"),
    "a redirect to ftp": ("C", redirect("ftp://127.0.0.1/x"), "another server"),
    "a redirect elsewhere": ("C", redirect("http://127.0.0.2/sparql"), "another server"),
    "a redirect in circles": ("C", redirect("/sparql"), "redirects more than 5 times"),
    "yes or no": ("S", answer(b'{"head":{},"boolean":true}', JSON_TYPE), "yes or no"),
    "no columns": ("S", answer(b'{"head":{"vars":["s"]},"results":{"bindings":[]}}', JSON_TYPE),
                   r"no column \?head"),
    "deep JSON": ("S", answer(b'{"head":' + b"[" * 900, JSON_TYPE), "nested more than 256"),
    "an XML bomb": ("S", answer(BOMB, "application/sparql-results+xml"), "as bombs are"),
    "nothing": ("C", answer(b""), "holds no statement"),
    "no HTTP": ("C", lambda h: (h.wfile.write(b"SSH-2.0\r\n"), None)[1], "cannot be re"),
}  # fmt: skip


@pytest.mark.parametrize("fault", FAULTS)
def test_a_faulty_server_is_told_in_one_line(serve: Callable[[Reply], str], fault: str) -> None:
    form, reply, expected = FAULTS[fault]
    url = serve(reply)
    with pytest.raises(MomokError, match=expected) as caught:
        read(url, CONSTRUCT if form == "C" else SELECT, **LIMITS)
    assert "\n" not in str(caught.value)


def test_nobody_listens() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(DataError, match="cannot be reached: Connection refused"):
        read(f"http://127.0.0.1:{port}/", CONSTRUCT)


def test_answers_in_chunks_are_whole(serve: Callable[[Reply], str]) -> None:
    raw = read(serve(answer_in_chunks(TABLE, JSON_TYPE)), SELECT, **LIMITS)
    assert len(raw.triples["all"]) == 50


@pytest.mark.parametrize("query", [CONSTRUCT, CONSTRUCT + "#" + "x" * 5000])
def test_a_redirect_to_the_same_server_is_followed(
    serve: Callable[[Reply], str], query: str
) -> None:
    asked: list[str] = []

    def reply(handler: BaseHTTPRequestHandler) -> None:
        asked.append(handler.path)
        (answer(NT) if handler.path.startswith("/moved") else redirect("/moved"))(handler)

    raw = read(serve(reply), query)
    assert len(raw.triples["all"]) == 50
    assert len(asked) == 2


def test_rows_that_are_no_triples_are_counted(serve: Callable[[Reply], str]) -> None:
    rows = [
        *ROWS,
        {"head": ROWS[0]["head"]},
        {**ROWS[0], "relation": {"type": "literal", "value": "x"}},
    ]
    table = {"head": {"vars": ["head", "relation", "tail"]}, "results": {"bindings": rows}}
    raw = read(serve(answer(json.dumps(table).encode(), JSON_TYPE)), SELECT)
    assert [(f.kind, f.count) for f in raw.findings] == [("no-triple", 2)]


def test_an_endpoint_that_gives_less_than_was_asked_for(serve: Callable[[Reply], str]) -> None:
    """Of 50 rows it gives at most 15 at once: pages of 20 must not miss the others."""

    def reply(handler: BaseHTTPRequestHandler) -> None:
        query = parse_qs(urlsplit(handler.path).query)["query"][0]
        offset = int(query.rsplit("OFFSET", 1)[1])
        table = {"head": {"vars": ["head", "relation", "tail"]},
                 "results": {"bindings": ROWS[offset : offset + 15]}}  # fmt: skip
        answer(json.dumps(table).encode(), JSON_TYPE)(handler)

    assert len(read(serve(reply), SELECT, page=20).triples["all"]) == 50


def test_an_endpoint_that_does_not_heed_pages(serve: Callable[[Reply], str]) -> None:
    with pytest.raises(DataError, match="gives the same page again at OFFSET 50"):
        read(serve(answer(TABLE, JSON_TYPE)), SELECT, page=100)


def test_an_endpoint_that_says_it_gives_no_more(serve: Callable[[Reply], str]) -> None:
    reply = answer(TABLE, JSON_TYPE, X_SPARQL_MaxRows="50")
    raw = read(serve(reply), SELECT)
    assert [(f.kind, f.count) for f in raw.findings] == [("cut-short", 50)]


@pytest.mark.parametrize("kind", ["xml", "tsv"])
def test_tables_in_other_formats(serve: Callable[[Reply], str], kind: str) -> None:
    import pyoxigraph as ox

    results = ox.Store()
    results.bulk_load(NT, format=ox.RdfFormat.N_TRIPLES)
    found = results.query("SELECT ?head ?relation ?tail { ?head ?relation ?tail }")
    formats = {"xml": ("application/sparql-results+xml", ox.QueryResultsFormat.XML),
               "tsv": ("text/tab-separated-values", ox.QueryResultsFormat.TSV)}  # fmt: skip
    media_type, format_ = formats[kind]
    content = found.serialize(format=format_)
    assert len(read(serve(answer(content, media_type)), SELECT).triples["all"]) == 50


def test_the_error_is_of_the_right_kind(serve: Callable[[Reply], str]) -> None:
    with pytest.raises(FormatError):
        read(serve(answer(b"<html>", "text/html")), CONSTRUCT)


def test_a_graph_is_built_from_a_real_server(endpoint: str, tmp_path: Path) -> None:
    from click.testing import CliRunner

    from momok.cli import main
    from momok.graph import load_graph

    (tmp_path / "facts.rq").write_text(SELECT, encoding="utf-8")
    call = ["data", "build", "--sparql", endpoint, "--query", f"@{tmp_path / 'facts.rq'}"]
    result = CliRunner().invoke(main, [*call, "--out", str(tmp_path / "graph")])
    assert result.exit_code == 0, result.output
    graph = load_graph(str(tmp_path / "graph"))
    assert len(graph.train) + len(graph.valid) + len(graph.test) == FACTS
    assert "thing 7" in graph.entity_names


def test_pictures_of_an_endpoint_are_addresses(serve: Callable[[Reply], str]) -> None:
    image = "<http://schema.org/image>"
    content = NT + f'<{E}a> {image} "/etc/passwd", "file:///x", <http://x.org/a.png> .\n'.encode()
    raw = read(serve(answer(content, "text/turtle")), CONSTRUCT)
    assert raw.pictures == {E + "a": ["http://x.org/a.png"]}
    assert [(f.kind, f.count) for f in raw.findings] == [("picture", 2)]
