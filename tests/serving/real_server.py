"""A real server process on a free port."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

_START_SECONDS = 120  # on a machine with other work to do
_PROGRAM = """
import sys, json
from pathlib import Path
from momok.serving.server import serve
from momok.serving.settings import ServeSettings
given = json.loads(sys.argv[1])
given |= {name: Path(given[name]) for name in ("run", "beside") if name in given}
serve(ServeSettings(**given), ready=lambda address: print(address, flush=True))
"""


class RealServer:
    """A server process; requests go over real HTTP."""

    def __init__(self, process: subprocess.Popen[str], host: str, port: int) -> None:
        self.process, self.host, self.port = process, host, port

    @property
    def address(self) -> str:
        """As a browser takes it."""
        return f"http://{self.host}:{self.port}"

    def ask(self, method: str, path: str, value: object = None) -> tuple[int, Any]:
        """One request over a connection of its own: status and JSON."""
        connection = HTTPConnection(self.host, self.port, timeout=60)
        try:
            body = None if value is None else json.dumps(value)
            connection.request(method, path, body, {"content-type": "application/json"})
            answer = connection.getresponse()
            content = answer.read()
            return answer.status, json.loads(content)
        finally:
            connection.close()

    def signal(self, number: int) -> None:
        """Send a signal to the server."""
        self.process.send_signal(number)

    def wait(self) -> int:
        """Wait for its end: the exit status."""
        return self.process.wait(timeout=60)


@contextmanager
def start_server(run: Path, **settings: Any) -> Iterator[RealServer]:
    """Serve a run until the block ends."""
    given = {"run": str(run), "port": 0, "threads": 1, "watch_seconds": 0} | settings
    environment = os.environ | {"OMP_NUM_THREADS": "1", "PYTHONUNBUFFERED": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", _PROGRAM, json.dumps(given)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
    )
    try:
        assert process.stdout is not None
        alarm = threading.Timer(_START_SECONDS, process.kill)
        alarm.start()
        line = process.stdout.readline()
        alarm.cancel()
        assert line.startswith("http://"), process.communicate(timeout=30)
        host, _, port = line.strip().removeprefix("http://").rpartition(":")
        yield RealServer(process, host, int(port))
    finally:
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
        process.communicate(timeout=30)
