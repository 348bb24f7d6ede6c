"""A hub of models in memory: as much of Hugging Face's API as uploads and downloads ask for."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote

COMMIT = "c" * 40


class FakeHub:
    """Repositories: name to file to content; and which are private."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.refuses = False
        self.address = ""


@contextmanager
def serve_hub() -> Iterator[FakeHub]:
    """A hub on a free port of this machine."""
    hub = FakeHub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: Any) -> None:
            pass

        def answer(self, status: int, content: bytes = b"", **headers: str) -> None:
            self.send_response(status)
            for name, value in headers.items():
                self.send_header(name.replace("_", "-"), value)
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(content)

        def answer_json(self, value: Any, status: int = 200) -> None:
            self.answer(status, json.dumps(value).encode(), content_type="application/json")

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length", 0)))
            parts = self.path.partition("?")[0].strip("/").split("/")
            if hub.refuses:
                self.answer_json({"error": "You have no right to do this"}, 403)
            elif parts[1:] == ["repos", "create"]:
                asked = json.loads(body)
                name = "/".join(p for p in (asked.get("organization"), asked["name"]) if p)
                hub.files.setdefault(name, {})
                hub.private[name] = asked.get("visibility") == "private"
                self.answer_json({"url": f"{hub.address}/{name}", "name": name})
            elif parts[1] == "validate-yaml":
                self.answer_json({"errors": [], "warnings": []})
            elif parts[4] == "preupload":
                asked = json.loads(body)["files"]
                modes = [
                    {"path": f["path"], "uploadMode": "regular", "shouldIgnore": False}
                    for f in asked
                ]
                self.answer_json({"files": modes})
            elif parts[4] == "commit":
                name = "/".join(parts[2:4])
                for line in map(json.loads, body.splitlines()):
                    if line["key"] == "file":
                        content = base64.b64decode(line["value"]["content"])
                        hub.files[name][line["value"]["path"]] = content
                    elif line["key"] == "deletedFile":
                        del hub.files[name][line["value"]["path"]]
                url = f"{hub.address}/{name}/commit/{COMMIT}"
                self.answer_json(
                    {"success": True, "commitOid": COMMIT, "commitUrl": url, "hookOutput": ""}
                )
            else:
                self.answer_json({"error": f"not there: {self.path}"}, 404)

        def do_GET(self) -> None:
            parts = [unquote(p) for p in self.path.partition("?")[0].strip("/").split("/")]
            api = parts[:2] == ["api", "models"]
            name = "/".join(parts[2:4] if api else parts[:2])
            files = hub.files.get(name)
            if files is None:
                self.answer(404, b"{}", X_Error_Code="RepoNotFound", X_Error_Message="not there")
            elif api and parts[4:5] == ["tree"]:
                self.answer_json(
                    [
                        {"type": "file", "path": f, "size": len(c), "oid": _number(c)}
                        for f, c in files.items()
                    ]
                )
            elif api:
                siblings = [{"rfilename": f, "size": len(c)} for f, c in files.items()]
                self.answer_json({"id": name, "sha": COMMIT, "siblings": siblings, "private": True})
            else:
                content = files["/".join(parts[4:])]
                self.answer(200, content, ETag=f'"{_number(content)}"', X_Repo_Commit=COMMIT)

        do_HEAD = do_GET  # noqa: N815

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.address = f"http://127.0.0.1:{server.server_port}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _number(content: bytes) -> str:
    return hashlib.sha1(content, usedforsecurity=False).hexdigest()
