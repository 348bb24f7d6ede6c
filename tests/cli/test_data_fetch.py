"""momok data fetch, from a server on the loopback interface."""

from __future__ import annotations

import hashlib
import threading
import zipfile
from collections.abc import Callable, Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from click.testing import Result

from momok.graph.fetch import origins
from momok.graph.fetch.origins import PublishedArchive, PublishedFile, PublishedGraph

Invoke = Callable[..., Result]

FILES = {
    "entity2id.txt": "a 0\nb 1\nc 2\n",
    "relation2id.txt": "r 0\n",
    "train.txt": "a r b .\nb r c .\n",
    "valid.txt": "a r c .\n",
    "test.txt": "c r a .\n",
}


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_arguments: object) -> None:
        pass


@pytest.fixture
def published(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Path, dict[str, PublishedFile]]]:
    """The folder that is served as MKG-Y, and what is expected of it."""
    monkeypatch.setenv("MOMOK_DATA", str(tmp_path / "data"))
    folder = tmp_path / "served"
    folder.mkdir()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    files = {}
    for name, text in FILES.items():
        (folder / name).write_text(text)
        files[name] = PublishedFile(
            name=name,
            url=f"http://127.0.0.1:{server.server_port}/{name}",
            size=len(text),
            sha256=hashlib.sha256(text.encode()).hexdigest(),
        )
    graph = PublishedGraph(files=tuple(files.values()))
    monkeypatch.setitem(origins.ORIGINS, "MKG-Y", graph)
    thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.02))
    thread.start()
    yield folder, files
    server.shutdown()
    thread.join()
    server.server_close()


def test_it_says_what_came_from_where(
    invoke: Invoke, published: tuple[Path, dict[str, PublishedFile]], tmp_path: Path
) -> None:
    _, files = published
    result = invoke("data", "fetch", "mkg-y")
    assert result.exit_code == 0, result.output
    lines = result.stdout.splitlines()
    for line, file in zip(lines, files.values(), strict=False):
        assert line == (
            f"{file.name}  {file.size:,} bytes  sha256 {file.sha256[:16]}…  verified  "
            f"from {file.url}"
        )
    assert lines[-2] == f"MKG-Y is in {tmp_path / 'data' / 'MKG-Y'}"
    assert lines[-1] == "Next: momok data check MKG-Y"
    assert "2 facts" in invoke("data", "info", "MKG-Y").stdout
    assert invoke("data", "check", "MKG-Y", "--fail-on", "never").exit_code == 0


def test_a_wrong_file_is_one_line_and_nothing_is_there(
    invoke: Invoke,
    fail: Callable[..., str],
    published: tuple[Path, dict[str, PublishedFile]],
    tmp_path: Path,
) -> None:
    (published[0] / "test.txt").write_text("c r b .\n")
    assert "is not the published test.txt" in fail("data", "fetch", "MKG-Y")
    assert not (tmp_path / "data" / "MKG-Y").exists()
    assert invoke("data", "info", "MKG-Y").exit_code == 2


@pytest.mark.usefixtures("published")
def test_names_that_cannot_be_fetched(invoke: Invoke, fail: Callable[..., str]) -> None:
    assert "MKG-W, MKG-Y, DB15K, KVC16K" in fail("data", "fetch", "FB15K")
    assert "comes with momok" in fail("data", "fetch", "world")
    assert invoke("data", "fetch", "MKG-Y").exit_code == 0
    assert "is there already" in fail("data", "fetch", "MKG-Y")


def test_features_are_unverified_and_say_how_to_go_on(
    invoke: Invoke, published: tuple[Path, dict[str, PublishedFile]], tmp_path: Path
) -> None:
    served, files = published
    with zipfile.ZipFile(served / "features.zip", "w") as archive:
        archive.writestr("MKG-Y/img_features.pth", b"vectors")
    url = files["test.txt"].url.replace("test.txt", "features.zip")
    origins.ORIGINS["MKG-Y"] = PublishedGraph(
        files=tuple(files.values()),
        features=PublishedArchive(url=url, page="http://page", folder="MKG-Y"),
    )
    result = invoke("data", "fetch", "MKG-Y", "--features")
    assert result.exit_code == 0, result.output
    assert "UNVERIFIED" in result.stdout
    path = tmp_path / "data" / "MKG-Y" / "published-features" / "img_features.pth"
    assert result.stdout.splitlines()[-1] == f"Next: momok features import MKG-Y {path}"
    assert path.read_bytes() == b"vectors"
    assert invoke("data", "info", "MKG-Y").exit_code == 0


@pytest.mark.usefixtures("published")
def test_features_that_nobody_publishes(invoke: Invoke, fail: Callable[..., str]) -> None:
    assert invoke("data", "fetch", "MKG-Y").exit_code == 0
    assert "no features are published" in fail("data", "fetch", "MKG-Y", "--features")
