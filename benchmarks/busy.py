"""Seconds an epoch beside other busy processes, against a fair share of the machine.

    python -m benchmarks.busy --out busy.json
    python -m benchmarks.busy --source ../momok-before/src --out before.json

A process of its own trains the world graph while 0, 1, 2 and 4 others count without end. Where T
threads train beside n others on C cores, a fair system gives each C / (T + n) of a core, or a whole
one where there are enough; an epoch of the quiet machine over that share is the fair time. The
first epoch, which warms up, does not count. ``--source`` measures another checkout. Nothing else
should run on the machine: the quiet row says what it is worth.
"""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

COUNT = "while True: pass"


@contextmanager
def keep_busy(number: int) -> Iterator[None]:
    """Let so many processes count while the block runs."""
    processes = [subprocess.Popen([sys.executable, "-c", COUNT]) for _ in range(number)]
    try:
        yield
    finally:
        for process in processes:
            process.kill()
            process.wait()


def train(graph: str, epochs: int, threads: int, source: Path | None) -> list[float]:
    """Train until so many epochs are done, and give the seconds of every one but the first."""
    environment = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    if source is not None:
        environment["PYTHONPATH"] = str(source.resolve())
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / "run"
        settings = (f"training.epochs={epochs + 1}", f"runtime.threads={threads}")
        command = [sys.executable, "-m", "momok", "train", graph, "--run", str(run), "--quiet"]
        command += [word for setting in settings for word in ("--set", setting)]
        process = subprocess.Popen(command, env=environment, stdout=sys.stderr)
        try:
            while len(seconds := list(read_epochs(run / "timing.jsonl"))) < epochs:
                if process.poll() is not None:
                    raise click.ClickException(f"momok train ended early: {process.returncode}")
                time.sleep(0.2)
        finally:
            process.kill()
            process.wait()
    return seconds[1:epochs]


def read_epochs(log: Path) -> Iterator[float]:
    """Read the seconds of the epochs that are done."""
    for line in log.read_text().splitlines(keepends=True) if log.is_file() else ():
        if line.endswith("\n") and (record := json.loads(line))["kind"] == "epoch":
            yield float(record["seconds"])


def compute_fair(quiet: float, others: int, threads: int, cores: int) -> float:
    """The seconds that ``quiet`` becomes where the system shares its cores out evenly."""
    before, now = (min(1.0, cores / (threads + n)) for n in (0, others))
    return quiet * before / now


@click.command()
@click.option("--graph", default="world", help="What is trained on [world].")
@click.option("--epochs", default=6, help="Of each training [6].")
@click.option("--threads", default=0, help="Of the training; 0 for all cores [0].")
@click.option("--others", default="0,1,2,4", help="Numbers of busy processes [0,1,2,4].")
@click.option("--source", type=click.Path(exists=True, path_type=Path), help="Another src folder.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A JSON file.")
def measure(
    *, graph: str, epochs: int, threads: int, others: str, source: Path | None, out: Path
) -> None:
    """Train quiet and beside busy processes, and print the table."""
    cores = len(os.sched_getaffinity(0))
    quiet, rows = 0.0, []
    for number in map(int, others.split(",")):
        with keep_busy(number):
            seconds = train(graph, epochs, threads, source)
        median = statistics.median(seconds)
        quiet = quiet or median
        fair = compute_fair(quiet, number, threads or cores, cores)
        rows.append({"others": number, "seconds": seconds, "median": median, "fair": fair})
        click.echo(
            f"| {number} | {median:.2f} ({min(seconds):.2f} to {max(seconds):.2f}) | {fair:.2f} | "
            f"{median / fair:.2f} |"
        )
    about = {"graph": graph, "threads": threads or cores, "cores": cores, "rows": rows}
    out.write_text(json.dumps(about, indent=2) + "\n")


if __name__ == "__main__":
    measure()
