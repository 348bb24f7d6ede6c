"""A real server process: rude clients, its end, its death, newer checkpoints."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from http.client import HTTPException
from pathlib import Path

import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from momok.cli import main
from momok.serving.reviews.accounts import Overlap
from momok.serving.reviews.store import ReviewStore
from momok.serving.reviews.tables import events
from momok.serving.reviews.tables import facts as facts_table
from tests.serving.real_server import RealServer, start_server
from tests.serving.served_run import NAMES

QUESTION = {"head": "France", "relation": "borders", "k": 3}
BODY = json.dumps(QUESTION).encode()
HEAD = (
    b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: %d\r\n\r\n" % len(BODY)
)


@pytest.fixture(scope="module")
def server(hostile_run: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealServer]:
    reviews = f"sqlite:///{tmp_path_factory.mktemp('process') / 'reviews.sqlite'}"
    with start_server(hostile_run, reviews=reviews, connections=40) as server:
        yield server


def connect(server: RealServer) -> socket.socket:
    return socket.create_connection((server.host, server.port), timeout=60)


def read_all(connection: socket.socket) -> bytes:
    parts = []
    try:
        while part := connection.recv(65_536):
            parts.append(part)
    except ConnectionResetError:
        pass
    return b"".join(parts)


# -- rude clients ----------------------------------------------------------------------------


def test_a_body_in_pieces_is_read(server: RealServer) -> None:
    with connect(server) as connection:
        connection.sendall(HEAD)
        for byte in BODY:
            connection.sendall(bytes([byte]))
        assert connection.recv(12) == b"HTTP/1.1 200"


@pytest.mark.parametrize(
    "content",
    [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS to a port without it
        b"GET / HTTP/9.9\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"G" * 200_000,
        b"GET /" + b"x" * 100_000 + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\nConnection: close\r\n\r\n",
        b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n",
        b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n",
        b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
        b"\r\nZZ\r\n",
        b"GET /%ff%fe?label=%ff HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
        b"GET /entity?label=%ff%00%ed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n",
    ],
)
def test_broken_requests_harm_nobody(server: RealServer, content: bytes) -> None:
    with connect(server) as connection:
        with suppress(OSError):  # refused before its end
            connection.sendall(content)
        answer = read_all(connection)
    assert not answer.startswith(b"HTTP/1.1 5")
    assert server.ask("GET", "/health")[0] == 200


def test_who_sends_too_much_can_read_so(server: RealServer) -> None:
    status, answer = server.ask("POST", "/api/v1/predict", "a" * 10_000_000)
    assert (status, answer["error"]["code"]) == (413, "too_large")


def test_more_connections_than_allowed_are_told(server: RealServer) -> None:
    held = [connect(server) for _ in range(45)]
    try:
        with connect(server) as further:
            further.sendall(b"GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert read_all(further).startswith(b"HTTP/1.1 503 ")
    finally:
        for connection in held:
            connection.close()


# -- its end ---------------------------------------------------------------------------------


def test_sigterm_ends_the_server_after_what_is_under_way(own_run: Path) -> None:
    with start_server(own_run) as server:
        with connect(server) as connection:
            connection.sendall(HEAD + BODY[:10])
            time.sleep(0.3)  # the request has arrived
            server.signal(signal.SIGTERM)
            time.sleep(0.3)
            connection.sendall(BODY[10:])
            answer = read_all(connection)
        assert answer.startswith(b"HTTP/1.1 200 ")
        assert b'"predictions"' in answer
        assert server.wait() == 0
    assert (own_run / "reviews.sqlite").is_file()  # the default place


@pytest.mark.parametrize(("database", "opinions"), [("sqlite", 1), ("postgresql", 2)])
def test_no_accepted_decision_is_lost_when_the_server_is_killed(
    own_run: Path, tmp_path: Path, database: str, opinions: int, request: pytest.FixtureRequest
) -> None:
    """Decisions under way are asked again by the same name: each is written once.

    Eight write at once; with two opinions a fact, every fact is decided by two of them.
    """
    address = f"sqlite:///{tmp_path / 'reviews.sqlite'}"
    if database == "postgresql":
        address = request.getfixturevalue("own_postgres")
    store = ReviewStore(address)
    store.set_overlap(Overlap(opinions=opinions), by="test")
    labels = [label for label in NAMES if label.startswith("q:place")]
    facts = [(h, "lies-in", t) for h in labels for t in labels if h != t][:400]
    wanted = [(fact, f"writer{i}") for fact in facts for i in range(opinions)]
    saved: list[tuple[tuple[str, str, str], str]] = []
    unsure: list[int] = []

    def decide(server: RealServer, number: int) -> None:
        (head, relation, tail), reviewer = wanted[number]
        decision = {"head": head, "relation": relation, "tail": tail, "action": "accept"}
        decision |= {"reviewer": reviewer, "request": f"kill{number}", "note": str(number)}
        try:
            status, _ = server.ask("POST", "/api/v1/reviews", decision)
        except (OSError, HTTPException):
            unsure.append(number)
            return
        assert status == 200
        saved.append(wanted[number])

    def list_written() -> list[tuple[tuple[str, str, str], str]]:
        columns = facts_table.c.head, facts_table.c.relation, facts_table.c.tail, events.c.reviewer
        query = sa.select(*columns).join(events, events.c.fact == facts_table.c.id)
        rows = store.read(query.where(events.c.reviewer.like("writer%")))
        return [((row["head"], row["relation"], row["tail"]), row["reviewer"]) for row in rows]

    with start_server(own_run, reviews=address) as server, ThreadPoolExecutor(8) as pool:
        begun = [pool.submit(decide, server, number) for number in range(len(wanted))]
        while len(saved) < 40 and not all(work.done() for work in begun):
            time.sleep(0.01)
        server.signal(signal.SIGKILL)
        for work in begun:
            work.result()
        assert server.wait() == -signal.SIGKILL
    assert unsure
    assert set(saved) <= set(list_written())
    with start_server(own_run, reviews=address) as server:
        for number in sorted(unsure)[:8]:
            decide(server, number)
        assert server.ask("GET", "/ready")[0] == 200
    written = list_written()
    assert len(written) == len(set(written))
    assert set(saved) <= set(written)
    given = Counter(fact for fact, _ in written)
    for fact, review in zip(facts, store.get_many(facts), strict=True):
        assert review.version == given[fact]
        assert (review.state == "accepted") == (given[fact] == opinions)
    store.set_overlap(Overlap(), by="test")
    store.close()


# -- newer checkpoints -----------------------------------------------------------------------


def test_a_newer_checkpoint_is_served_without_dropping_requests(own_run: Path) -> None:
    checkpoint = own_run / "checkpoints" / "best.safetensors"
    good = checkpoint.read_bytes()
    stop = threading.Event()
    answers: list[int] = []

    def keep_asking(server: RealServer) -> None:
        while not stop.is_set():
            answers.append(server.ask("POST", "/api/v1/predict", QUESTION)[0])

    def replace(content: bytes) -> None:
        fresh = checkpoint.with_suffix(".new")
        fresh.write_bytes(content)
        fresh.replace(checkpoint)

    def wait_for_other(server: RealServer, version: str) -> str:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            found = str(server.ask("GET", "/api/v1")[1]["model"])
            if found != version:
                return found
            time.sleep(0.05)
        raise AssertionError("the newer checkpoint was not served")

    with start_server(own_run, watch_seconds=0.2) as server, ThreadPoolExecutor(3) as pool:
        asking = [pool.submit(keep_asking, server) for _ in range(3)]
        first = server.ask("GET", "/api/v1")[1]["model"]
        replace(good)
        second = wait_for_other(server, first)
        replace(good[:1000])  # cut off: the old one stays
        time.sleep(1.0)
        assert server.ask("GET", "/api/v1")[1]["model"] == second
        replace(good)
        third = wait_for_other(server, second)
        server.signal(signal.SIGHUP)
        time.sleep(0.5)
        assert server.ask("GET", "/api/v1")[1]["model"] == third
        stop.set()
        for work in asking:
            work.result()
        assert server.process.poll() is None
    assert set(answers) == {200}
    assert len(answers) > 10


# -- the command -----------------------------------------------------------------------------


def run_command(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["serve", *arguments])
    return result.exit_code, result.output


def test_the_command_says_what_is_wrong(hostile_run: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        status, said = run_command(str(hostile_run), "--port", port)
    assert status == 2
    assert "cannot be served here" in said
    assert said.count("\n") == 1
    cases = {
        ("/nowhere", "--port", "0"): "no such run folder",
        (str(hostile_run), "--host", "0.0.0.0"): "no token is set",
        (str(hostile_run), "--token", "short"): "at least 16",
        (str(hostile_run), "--port", "0", "--reviews", "x"): "no address of a database",
        (str(hostile_run), "--port", "0", "--host", "no.such.host.invalid"): "token",
    }
    for arguments, words in cases.items():
        status, said = run_command(*arguments)
        assert status == 2, said
        assert words in said
        assert said.startswith("momok: ")
        assert said.count("\n") == 1


def test_a_missing_extra_is_said(monkeypatch: pytest.MonkeyPatch, hostile_run: Path) -> None:
    monkeypatch.setattr("momok.extras.find_spec", lambda _: None)
    status, said = run_command(str(hostile_run))
    assert status == 2
    assert "pip install 'momok[serve]'" in said


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_folder_that_cannot_be_written_is_said(own_run: Path) -> None:
    own_run.chmod(0o500)
    try:
        status, said = run_command(str(own_run), "--port", "0")
    finally:
        own_run.chmod(0o700)
        shutil.rmtree(own_run, ignore_errors=True)
    assert status == 2
    assert "review database" in said
