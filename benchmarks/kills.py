"""Commands killed at random moments: does the same command, or the one it names, finish the work?

    python -m benchmarks.kills --kills 60 --seed 0

On a tiny graph each command runs whole once. Then it is begun again and again, and killed (SIGKILL)
at a random time, or just before a random change of the disk. What is left has to lead to the same
bytes: by the same command, or, where that is refused in one line, by the command in that line.
"""

from __future__ import annotations

import os
import random
import re
import shlex
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import click

# Imported once, for all children.
import momok.encoders
import momok.graph.build
import momok.prediction
import momok.reporting
import momok.training  # noqa: F401
from momok.cli import COMMANDS, main

SETTINGS = (
    *(
        "model.structure_width=8",
        "model.members=1",
        "training.epochs=4",
        "training.validate_every=1",
    ),
    *("training.patience=0", "runtime.threads=1", "runtime.device=cpu", "runtime.compile=off"),
)
_CHANGES = ("os.rename", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "open")
_KILLED = -signal.SIGKILL
# What tells of the moment or of the machine: times, checksums of them, and the lock that stays.
_MOMENTS = re.compile(
    r'"(created|seconds|time|at|timing.jsonl|checksum)": ?("[^"]*"|[\d.e+-]+)'
    r"|\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00| UTC)?"
)
_VOLATILE = ("timing.jsonl", "times.png", "times.svg")


@dataclass(frozen=True)
class Task:
    """A command, what must lie in its folder before but for one file, and what it makes there."""

    command: Sequence[str]
    needs: Sequence[str]
    makes: Sequence[str]
    lacks: str = ""


class Trial(NamedTuple):
    """What became of one kill."""

    was_killed: bool
    then: str
    fault: str = ""


TASKS = {
    "data build": Task(
        ("data", "build", "facts.tsv", "--entities", "entities.tsv", "--out", "graph"),
        ("facts.tsv", "entities.tsv"),
        ("graph",),
    ),
    "encode": Task(("encode", "graph", "numeric"), ("graph",), ("graph",)),
    "train": Task(
        ("train", "graph", "--run", "run", *(w for s in SETTINGS for w in ("--set", s))),
        ("graph",),
        ("run",),
    ),
    "calibrate": Task(
        ("calibrate", "run"), ("graph", "run"), ("run",), lacks="run/results/calibration.json"
    ),
    "predict-missing": Task(
        ("predict-missing", "run", "--per-relation", "20", "--out", "new.csv"),
        ("graph", "run"),
        ("new.csv", "run"),
    ),
    "report": Task(("report", "run", "--out", "report.html"), ("graph", "run"), ("report.html",)),
}


def write_sources(folder: Path, seed: int = 0) -> None:
    """Write facts of forty entities and a table about them."""
    rng = random.Random(seed)
    facts = sorted(
        {
            (i, kind, (i + 3 * kind + rng.randint(1, 2)) % 40)
            for i in range(40)
            for kind in range(3)
            for _ in range(2)
        }
    )
    lines = (f"e{head}\tr{kind}\te{tail}\n" for head, kind, tail in facts)
    (folder / "facts.tsv").write_text("".join(lines))
    rows = "".join(f"e{i}\tThing {i}\t{i * 2.5}\n" for i in range(40))
    (folder / "entities.tsv").write_text(f"label\tname\tsize\n{rows}")


def call(command: Sequence[str], folder: Path, kill: Any = None) -> tuple[int, str, int]:
    """Run a command in a child; give its code (-9 where it was killed), words, and disk changes.

    ``kill`` is seconds (a float), or a number of changes of the disk (an int), None for no kill.
    """
    log, counter = folder.parent / "log.txt", folder.parent / "changes.txt"
    child = os.fork()
    if child == 0:
        _run_child(command, folder, log, counter, kill if isinstance(kill, int) else 0)
    if isinstance(kill, float):
        end = time.monotonic() + kill
        while time.monotonic() < end:
            if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
                break
            time.sleep(0.002)
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    changes = int(counter.read_text() or 0) if kill is None else 0
    return os.waitstatus_to_exitcode(status), log.read_text(errors="replace"), changes


def _run_child(
    command: Sequence[str], folder: Path, log: Path, counter: Path, kill_at: int
) -> None:
    """Become the command: words go to the log, and every change of the disk is counted."""
    code = 70
    try:
        os.chdir(folder)
        output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        for stream in (1, 2):
            os.dup2(output, stream)
        count = 0

        def watch(event: str, arguments: tuple[Any, ...]) -> None:
            nonlocal count
            if event not in _CHANGES:
                return
            if event == "open":
                path, _, flags = arguments
                writes = isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)
                if not writes or not isinstance(path, str) or path.startswith("/dev/"):
                    return
            count += 1
            if count == kill_at:
                os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(watch)
        try:
            main(list(command))
        except SystemExit as error:
            code = error.code if isinstance(error.code, int) else 0
        counter.write_text(str(count))
    except BaseException:  # what the user would see
        import traceback

        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def read_outcome(folder: Path, names: Sequence[str]) -> dict[str, bytes]:
    """Read what a command made, without what tells of the moment."""
    paths = [
        p
        for name in names
        for p in ([folder / name], (folder / name).rglob("*"))[(folder / name).is_dir()]
    ]
    found = {}
    for path in paths:
        if path.is_file() and path.name not in _VOLATILE and path.suffix != ".lock":
            content = path.read_bytes()
            if path.suffix in (".json", ".jsonl", ".html", ".svg"):
                content = _MOMENTS.sub("", content.decode()).encode()
            found[str(path.relative_to(folder))] = content
    return found


def finish(task: Task, folder: Path) -> tuple[str, str]:
    """Give the same command again, or the one that its line names: what was done, and the fault."""
    code, said, _ = call(task.command, folder)
    if code == 0:
        return "same command", ""
    lines = said.strip().splitlines()
    line = lines[-1] if lines else ""
    if code != 2 or "Traceback" in said:
        return "failed", f"exit {code}: {line}"
    words = shlex.split(re.sub("[;,'()]", " ", line))
    for place, word in enumerate(words[:-1]):
        if word == "momok" and words[place + 1] in COMMANDS:
            other = words[place + 1 : place + 3]
            code, said, _ = call(other, folder)
            lines = said.strip().splitlines()
            if code == 0:
                return f"momok {other[0]}", ""
            return "failed", f"momok {' '.join(other)}: exit {code}: {lines[-1] if lines else ''}"
    return "refused", line


def lay_out(task: Task, source: Path, work: Path) -> None:
    """Put into the one place of work what a command needs: run folders hold their graph's path."""
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir()
    for name in task.needs:
        if (source / name).is_dir():
            shutil.copytree(source / name, work / name)
        else:
            shutil.copy(source / name, work / name)
    if task.lacks:
        (work / task.lacks).unlink(missing_ok=True)


def try_kill(task: Task, work: Path, expected: dict[str, bytes], kill: Any) -> Trial:
    """Kill a command once, go on, and compare."""
    code, said, _ = call(task.command, work, kill)
    was_killed = code == _KILLED
    if code not in (0, _KILLED):
        return Trial(False, "failed", f"exit {code} before it was killed: {said.strip()[-200:]}")
    then, fault = "too late", ""
    if was_killed:
        is_done = read_outcome(work, task.makes) == expected
        then, fault = ("done before", "") if is_done else finish(task, work)
    if fault:
        return Trial(was_killed, then, fault)
    found = read_outcome(work, task.makes)
    other = sorted(n for n in found.keys() | expected.keys() if found.get(n) != expected.get(n))
    left = [str(path.relative_to(work)) for path in work.rglob(".*.partial*")]
    if other:
        fault = f"other bytes: {', '.join(other)[:300]}"
    elif left and then != "done before":
        fault = f"left behind: {', '.join(left)[:300]}"
    return Trial(was_killed, then, fault)


@click.command()
@click.option("--kills", default=60, help="Kills of every command [60].")
@click.option("--seed", default=0, help="Of the moments [0].")
@click.option("--command", "chosen", multiple=True, type=click.Choice(list(TASKS)), help="[all]")
def kill_all(kills: int, seed: int, chosen: tuple[str, ...]) -> None:
    """Kill commands at random moments, and print a table of what came of it."""
    rng, faults = random.Random(seed), 0
    with tempfile.TemporaryDirectory() as temporary:
        whole, work = Path(temporary) / "whole", Path(temporary) / "work"
        whole.mkdir()
        write_sources(whole)
        for name, task in TASKS.items():
            lay_out(task, whole, work)
            before = shutil.copytree(work, Path(temporary) / name)
            began = time.monotonic()
            code, said, changes = call(task.command, work)
            seconds = time.monotonic() - began
            assert code == 0, said
            expected = read_outcome(work, task.makes)
            shutil.copytree(work, whole, dirs_exist_ok=True)
            if chosen and name not in chosen:
                continue
            counts: Counter[str] = Counter()
            for number in range(kills):
                moment = rng.uniform(0, seconds) if number % 2 else rng.randint(1, changes)
                lay_out(task, before, work)
                trial = try_kill(task, work, expected, moment)
                counts[trial.then] += 1
                if trial.fault:
                    faults += 1
                    click.echo(f"  {name} killed at {moment}: {trial.then}: {trial.fault}")
            shown = ", ".join(f"{count} {then}" for then, count in counts.most_common())
            click.echo(f"{name:16} {seconds:5.1f} s, {changes:3} changes: {shown}")
    click.echo(f"{faults} faults")


if __name__ == "__main__":
    kill_all()
