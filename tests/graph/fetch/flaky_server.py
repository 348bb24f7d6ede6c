"""An HTTP server on the loopback interface that misbehaves as it is told."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Page:
    """What is served under one path.

    Attributes:
        content: the file.
        cuts: bytes to send before the connection is cut, one per request; then all is sent.
        says: the length it claims, if not the true one.
        ranges: whether ranges are honoured.
        chunked: no length is said.
        redirect: where to send the visitor.
        statuses: answers of this kind first, one per request.
        kind: the content type.
        packed: claims to be gzip.
        etag: the version.
        wrong_start: honour ranges with another start.
    """

    content: bytes = b""
    cuts: list[int] = field(default_factory=list)
    says: int | None = None
    ranges: bool = True
    chunked: bool = False
    redirect: str = ""
    statuses: list[int] = field(default_factory=list)
    kind: str = "application/octet-stream"
    packed: bool = False
    etag: str = '"1"'
    wrong_start: bool = False


@dataclass
class FlakyServer:
    """Pages by path, and the ranges that were asked for."""

    url: str
    pages: dict[str, Page]
    asked: list[tuple[str, str | None]]

    def serve(self, path: str, content: bytes = b"", **how) -> str:
        self.pages[path] = Page(content, **how)
        return f"{self.url}{path}"


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def log_message(self, *_arguments) -> None:
        pass

    def do_GET(self) -> None:
        page = self.server.pages.get(self.path)
        asked = self.headers.get("Range")
        self.server.asked.append((self.path, asked))
        if page is None or page.statuses:
            self.send_error(page.statuses.pop(0) if page else 404)
            return
        if page.redirect:
            self.send_response(302)
            self.send_header("Location", page.redirect)
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        start = int(asked[len("bytes=") : -1]) if asked and page.ranges else 0
        if asked and self.headers.get("If-Range", page.etag) != page.etag:
            start = 0
        if start and start >= len(page.content):
            self.send_error(416)
            return
        body = page.content[start:]
        self.send_response(206 if start else 200)
        if start:
            said = start + 1 if page.wrong_start else start
            self.send_header(
                "Content-Range", f"bytes {said}-{len(page.content) - 1}/{len(page.content)}"
            )
        if not page.chunked:
            said_length = len(body) if page.says is None else page.says - start
            self.send_header("Content-Length", str(said_length))
        self.send_header("Content-Type", page.kind)
        if page.etag:
            self.send_header("ETag", page.etag)
        if page.packed:
            self.send_header("Content-Encoding", "gzip")
        self.end_headers()
        if page.cuts:
            body = body[: page.cuts.pop(0)]
        self.wfile.write(body)
        self.close_connection = True


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_request) -> None:
        """Say nothing: visitors hang up when they have seen enough."""

    pages: dict[str, Page]
    asked: list[tuple[str, str | None]]


@contextmanager
def run_server() -> Iterator[FlakyServer]:
    """Serve on a free port until the block ends."""
    server = _Server(("127.0.0.1", 0), _Handler)
    server.pages, server.asked = {}, []
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield FlakyServer(f"http://127.0.0.1:{server.server_port}", server.pages, server.asked)
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
