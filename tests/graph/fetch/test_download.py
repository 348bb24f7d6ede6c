"""Downloads from a server that misbehaves."""

from __future__ import annotations

import random
import socket

import pytest

from momok.errors import FetchError, StorageError
from momok.graph.fetch import download
from momok.graph.fetch.download import Downloader
from tests.graph.fetch.flaky_server import FlakyServer, run_server

CONTENT = random.Random(0).randbytes(1_000_000)


@pytest.fixture
def server():
    with run_server() as running:
        yield running


@pytest.fixture
def fetch(tmp_path, monkeypatch):
    """Fetches a URL and gives the bytes; ``told`` collects the progress."""

    monkeypatch.setattr(download, "FIRST_PAUSE", 0.001)

    def call(url: str, size: int | None = len(CONTENT)) -> bytes:
        output = tmp_path / "output"
        output.unlink(missing_ok=True)
        downloader = Downloader(tmp_path / "file.part", size, lambda *said: call.told.append(said))
        downloader.fetch(url, output)
        assert not (tmp_path / "file.part").exists()
        assert not (tmp_path / "file.part.json").exists()
        return output.read_bytes()

    call.told = []
    return call


def ranges(server: FlakyServer) -> list[str | None]:
    return [asked for _, asked in server.asked]


def test_a_sound_server(server, fetch):
    assert fetch(server.serve("/f", CONTENT)) == CONTENT
    assert ranges(server) == [None]
    assert fetch.told[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in fetch.told] == sorted(done for done, _ in fetch.told)


@pytest.mark.parametrize("chunked", [False, True])
def test_cut_connections_are_resumed_where_they_were_cut(server, fetch, chunked):
    url = server.serve("/f", CONTENT, cuts=[300_000, 500_000], chunked=chunked)
    assert fetch(url) == CONTENT
    assert ranges(server) == [None, "bytes=300000-", "bytes=800000-"]


def test_the_part_outlives_the_process(server, fetch, tmp_path):
    url = server.serve("/f", CONTENT, cuts=[400_000] + [0] * 20)
    with pytest.raises(FetchError, match=r"400,000 bytes are kept, the same command goes on"):
        fetch(url)
    assert (tmp_path / "file.part").stat().st_size == 400_000
    server.pages["/f"].cuts.clear()
    server.asked.clear()
    assert fetch(url) == CONTENT
    assert ranges(server) == ["bytes=400000-"]


def test_a_server_that_ignores_ranges_is_begun_again(server, fetch):
    url = server.serve("/f", CONTENT, cuts=[300_000], ranges=False)
    assert fetch(url) == CONTENT
    assert ranges(server) == [None, "bytes=300000-"]


def test_a_server_that_sends_another_range_is_begun_again(server, fetch):
    url = server.serve("/f", CONTENT, cuts=[300_000], wrong_start=True)
    assert fetch(url) == CONTENT
    assert ranges(server) == [None, "bytes=300000-", None]


def test_a_file_that_changed_meanwhile_is_begun_again(server, fetch):
    url = server.serve("/f", CONTENT, cuts=[300_000] + [0] * 20)
    with pytest.raises(FetchError):
        fetch(url)
    changed = CONTENT[::-1]
    server.serve("/f", changed, etag='"2"')
    assert fetch(url) == changed


def test_a_part_of_another_address_is_not_used(server, fetch):
    with pytest.raises(FetchError):
        fetch(server.serve("/f", CONTENT, cuts=[300_000] + [0] * 20))
    other = CONTENT[::-1]
    assert fetch(server.serve("/g", other)) == other
    assert server.asked[-1] == ("/g", None)


@pytest.mark.parametrize("version", ['"1"', ""])
def test_a_part_longer_than_the_file_is_dropped(server, fetch, tmp_path, version):
    url = server.serve("/f", CONTENT, etag=version)
    (tmp_path / "file.part").write_bytes(CONTENT + b"more")
    (tmp_path / "file.part.json").write_text(f'{{"url": "{url}", "version": ""}}')
    assert fetch(url) == CONTENT


def test_a_range_that_is_not_there_is_begun_again(server, fetch, tmp_path):
    url = server.serve("/f", CONTENT)
    (tmp_path / "file.part").write_bytes(CONTENT)
    (tmp_path / "file.part.json").write_text(f'{{"url": "{url}", "version": ""}}')
    assert fetch(url, size=None) == CONTENT
    assert ranges(server) == [f"bytes={len(CONTENT)}-", None]


def test_a_length_that_is_not_the_expected_one_is_refused_unread(server, fetch, tmp_path):
    with pytest.raises(FetchError, match=r"says 1,000,000 bytes, expected 999"):
        fetch(server.serve("/f", CONTENT), size=999)
    assert not (tmp_path / "output").exists()


def test_a_server_that_claims_too_much(server, fetch):
    url = server.serve("/f", CONTENT, says=len(CONTENT) + 5, ranges=False)
    with pytest.raises(FetchError, match="expected 1,000,000"):
        fetch(url)
    with pytest.raises(FetchError, match=r"cut after 1,000,000 of 1,000,005|connection failed"):
        fetch(url, size=None)


def test_a_server_that_claims_too_little(server, fetch):
    with pytest.raises(FetchError, match=r"says 10 bytes, expected 1,000,000"):
        fetch(server.serve("/f", CONTENT, says=10))


def test_more_than_expected_without_a_length_is_refused(server, fetch, tmp_path):
    with pytest.raises(FetchError, match="sends more than the 1,000,000 bytes expected"):
        fetch(server.serve("/f", CONTENT + b"!", chunked=True))
    assert not (tmp_path / "file.part").exists()


def test_an_endless_file_of_unknown_size_is_refused(server, fetch, monkeypatch):
    monkeypatch.setattr(download, "MAX_BYTES", 500_000)
    with pytest.raises(FetchError, match="sends more than the 500,000 bytes"):
        fetch(server.serve("/f", CONTENT, chunked=True), size=None)


def test_unknown_size_without_a_length(server, fetch):
    assert fetch(server.serve("/f", CONTENT, chunked=True), size=None) == CONTENT


def test_a_server_that_trickles_ends(server, fetch, monkeypatch):
    monkeypatch.setattr(download, "_MOST_ATTEMPTS", 7)
    with pytest.raises(FetchError, match="7 bytes are kept"):
        fetch(server.serve("/f", CONTENT, cuts=[1] * 99))
    assert len(server.asked) == 7


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_busy_server_is_asked_again(server, fetch, status):
    assert fetch(server.serve("/f", CONTENT, statuses=[status, status])) == CONTENT
    assert len(server.asked) == 3


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(server, fetch, status):
    with pytest.raises(FetchError, match=f"the server answers {status}"):
        fetch(server.serve("/f", CONTENT, statuses=[status] * 9))
    assert len(server.asked) == 1


def test_redirects_are_followed_on_the_web(server, fetch):
    target = server.serve("/there", CONTENT)
    assert fetch(server.serve("/f", redirect=target)) == CONTENT


@pytest.mark.parametrize("place", ["file:///etc/hostname", "ftp://127.0.0.1/x", "javascript:0"])
def test_redirects_out_of_the_web_are_refused(server, fetch, tmp_path, place):
    with pytest.raises(FetchError, match=r"no safe web address|connection failed"):
        fetch(server.serve("/f", redirect=place))
    assert not (tmp_path / "output").exists()


def test_a_redirect_to_itself_ends(server, fetch):
    url = server.serve("/f")
    server.pages["/f"].redirect = url
    with pytest.raises(FetchError, match="30 redirects"):
        fetch(url)


def test_a_redirect_from_https_to_http_is_refused():
    class Answer:
        url, status_code, reason, headers = "http://x/", 200, "OK", {}

    downloader = Downloader(None, None, None)
    with pytest.raises(FetchError, match="not encrypted"):
        downloader._check_answer("https://x/", Answer)


def test_a_web_page_is_no_file(server, fetch):
    with pytest.raises(FetchError, match="a web page instead of the file"):
        fetch(server.serve("/f", b"<html>", kind="text/html; charset=utf-8"))


def test_a_packed_answer_is_refused(server, fetch):
    with pytest.raises(FetchError, match="packs the file"):
        fetch(server.serve("/f", CONTENT, packed=True))


def test_nobody_listens(fetch):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    with pytest.raises(FetchError, match=r"connection failed .*0 bytes are kept"):
        fetch(f"http://127.0.0.1:{port}/f")


def test_a_full_disk_is_told_before_anything_is_written(server, fetch, monkeypatch, tmp_path):
    class Usage:
        free = 10

    monkeypatch.setattr(download.shutil, "disk_usage", lambda _: Usage)
    with pytest.raises(StorageError, match="1,000,000 bytes are to come, 10 are free"):
        fetch(server.serve("/f", CONTENT))
    assert not (tmp_path / "file.part").exists()
