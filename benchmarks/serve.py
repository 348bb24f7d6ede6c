"""How fast a server answers: a real process, real HTTP, many clients at once.

    python -m benchmarks.serve RUN --clients 32 --requests 10000 --json serve.json

Every client holds one connection and asks for the ten best answers to a question, again and again;
questions are random (entity, relation, side), so that nothing is answered from a cache. Measured
are the times of answers as clients see them, errors, and the server's resident memory: after the
first tenth of the requests and at the end. The clients are one process of their own; on a machine
with few cores they take part of what the server would have.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import signal
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_WARM_UP = 200  # requests that do not count


@dataclass
class Tally:
    """What the clients saw."""

    seconds: list[float] = field(default_factory=list)
    errors: int = 0
    memory: list[tuple[int, float]] = field(default_factory=list)  # (requests, MiB)

    def quantile(self, share: float) -> float:
        """In milliseconds; NaN where nothing was answered."""
        ordered = sorted(self.seconds)
        if not ordered:
            return float("nan")
        return 1000 * ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def read_memory(process: int) -> float:
    """Resident memory in MiB."""
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    return float("nan")


def read_cpu(process: int) -> float:
    """CPU seconds that a process has used."""
    fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def ask(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, question: dict[str, Any]
) -> tuple[int, bytes]:
    """One request on an open connection."""
    body = json.dumps(question).encode()
    writer.write(
        b"POST /api/v1/predict HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n" % len(body) + body
    )
    await writer.drain()
    status = int((await reader.readline()).split()[1])
    length = 0
    while (line := await reader.readline()) != b"\r\n":
        if line.lower().startswith(b"content-length:"):
            length = int(line.split(b":")[1])
    return status, await reader.readexactly(length)


class Load:
    """Clients that ask until enough was asked."""

    def __init__(self, port: int, process: int, labels: tuple[list[str], list[str]]) -> None:
        self._port, self._process = port, process
        self._entities, self._relations = labels
        self._random = random.Random(0)
        self._left = 0
        self._total = 0

    async def run(self, clients: int, requests: int, k: int) -> Tally:
        """Ask ``requests`` questions from ``clients`` connections."""
        self._left = self._total = requests
        tally = Tally()
        await asyncio.gather(*(self._visit(tally, k) for _ in range(clients)))
        return tally

    async def _visit(self, tally: Tally, k: int) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
        while self._left > 0:
            self._left -= 1
            done = self._total - self._left
            if done % max(self._total // 20, 1) == 0:
                tally.memory.append((done, read_memory(self._process)))
            question = self._make_question() | {"k": k}
            began = time.perf_counter()
            try:
                status, _ = await ask(reader, writer, question)
            except (OSError, asyncio.IncompleteReadError, IndexError):
                tally.errors += 1
                reader, writer = await asyncio.open_connection("127.0.0.1", self._port)
                continue
            if status != 200:
                tally.errors += 1
                continue
            tally.seconds.append(time.perf_counter() - began)
        writer.close()

    def _make_question(self) -> dict[str, Any]:
        side = self._random.choice(["head", "tail"])
        entity = self._random.choice(self._entities)
        return {side: entity, "relation": self._random.choice(self._relations), "known": "hide"}


def read_labels(run: Path) -> tuple[list[str], list[str]]:
    """Labels of entities and relations of a run."""

    def column(name: str) -> list[str]:
        lines = (run / "graph" / name).read_text(encoding="utf-8").split("\n")[1:]
        return [line.split("\t")[0] for line in lines if line]

    return column("entities.tsv"), column("relations.tsv")


def start(run: Path, threads: int, reviews: Path) -> tuple[subprocess.Popen[str], int, float]:
    """Start a server; gives its process, its port, and the seconds until it answered."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "momok", "serve", str(run), "--port", "0"]
    command += ["--threads", str(threads), "--reviews", f"sqlite:///{reviews}"]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, env=os.environ | {"PYTHONUNBUFFERED": "1"}
    )
    assert process.stdout is not None
    line = process.stdout.readline()
    if "http://" not in line:
        raise SystemExit(f"the server did not start: {line}")
    port = int(line.split("http://")[1].split()[0].rpartition(":")[2])
    return process, port, time.perf_counter() - began


def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Serve the run, ask, and say what was seen."""
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        reviews = Path(folder) / "reviews.sqlite"
        process, port, ready = start(options.run, options.threads, reviews)
        try:
            load = Load(port, process.pid, read_labels(options.run))
            asyncio.run(load.run(options.clients, _WARM_UP, options.k))
            began, used = time.perf_counter(), read_cpu(process.pid)
            tally = asyncio.run(load.run(options.clients, options.requests, options.k))
            seconds, used = time.perf_counter() - began, read_cpu(process.pid) - used
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(timeout=60)
    early = next((m for done, m in tally.memory if done >= options.requests // 10), float("nan"))
    late = tally.memory[-1][1] if tally.memory else float("nan")
    return {
        "run": options.run.name,
        "clients": options.clients,
        "requests": options.requests,
        "k": options.k,
        "threads": options.threads,
        "cores": len(os.sched_getaffinity(0)),
        "answered": len(tally.seconds),
        "errors": tally.errors,
        "requests_per_second": len(tally.seconds) / seconds,
        "server_cpu_ms_per_request": 1000 * used / options.requests,
        "p50_ms": tally.quantile(0.50),
        "p90_ms": tally.quantile(0.90),
        "p99_ms": tally.quantile(0.99),
        "max_ms": tally.quantile(1.0),
        "memory_mib_early": early,
        "memory_mib_late": late,
        "memory_mib": tally.memory,
        "ready_seconds": ready,
    }


def main() -> None:
    """Measure, print, and write JSON where asked."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run", type=Path, help="a run folder")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=10_000)
    parser.add_argument("--k", type=int, default=10, help="answers to a question")
    parser.add_argument("--threads", type=int, default=0, help="as momok serve has it")
    parser.add_argument("--json", type=Path, help="a file for the numbers")
    options = parser.parse_args()
    found = measure(options)
    text = json.dumps(found, indent=2)
    if options.json is not None:
        options.json.write_text(text + "\n", encoding="utf-8")
    shown = {name: value for name, value in found.items() if name != "memory_mib"}
    for name, value in shown.items():
        print(f"{name:26} {value:.1f}" if isinstance(value, float) else f"{name:26} {value}")


if __name__ == "__main__":
    main()
