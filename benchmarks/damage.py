"""Files of a run and a graph damaged one at a time: is it refused, or is the answer the same?

    python -m benchmarks.damage --draws 1

A tiny run and the graph that it was trained on are made, and each of their files is damaged in
every way: a bit is flipped, it is cut, deleted, emptied, lines are swapped, it is of another
run, JSON is nested deeply. Then each command that reads them must end in one line and exit 2, or
give what it gives where nothing is damaged, or say what is wrong. Anything else is a fault.
"""

from __future__ import annotations

import json
import random
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import chdir
from pathlib import Path
from typing import NamedTuple

import click
from click.testing import CliRunner

from benchmarks.kills import SETTINGS, write_sources
from momok.cli import main
from momok.errors import MomokError
from momok.serving.service import Service
from momok.serving.settings import ServeSettings
from momok.training import RunFolder

QUESTION = ("--head", "e1", "--relation", "r0")
RUN_COMMANDS: dict[str, tuple[str, ...]] = {
    "evaluate": ("evaluate", "run", "--json"),
    "predict": ("predict", "run", *QUESTION, "--format", "json"),
    "explain": ("explain", "run", "e1", "r0", "e2", "--json"),
    "missing": ("predict-missing", "run", "--per-relation", "5", "--out", "new.csv"),
    "calibrate": ("calibrate", "run", "--json"),
    "report": ("report", "run", "--out", "report.html"),
    "rules": ("rules", "run"),
    "export": ("export", "run", "vectors.txt"),
    "share": ("share", "run", "shared"),
    "runs": ("runs", "."),
    "serve": ("serve", "run"),
}
GRAPH_COMMANDS: dict[str, tuple[str, ...]] = {
    "info": ("data", "info", "graph"),
    "check": ("data", "check", "graph", "--json"),
    "features": ("features", "list", "graph"),
    "encode": ("encode", "graph", "numeric", "--name", "again"),
    "train": ("train", "graph", "--run", "new", *(w for s in SETTINGS for w in ("--set", s))),
    "explain": ("explain", "run", "e1", "r0", "e2", "--json"),
}
_MADE: dict[str, tuple[str, ...]] = {  # by command, what it writes
    "evaluate": ("run/results/test.json", "run/results/test-ranks.safetensors"),
    "missing": ("new.csv",),
    "calibrate": ("run/results/calibration.json",),
    "report": ("report.html",),
    "export": ("vectors.txt",),
    "share": ("shared",),
    "resume": ("run/results", "run/checkpoints", "run/metrics.jsonl"),
    "encode": ("graph/features/again.safetensors", "graph/features/again.json"),
    "train": ("new/results", "new/checkpoints", "new/metrics.jsonl"),
}
_MOMENTS = re.compile(
    r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d(:\d\d)?(\+00:00)?|[\d.]+ +(s|ms|minutes|min|h)\b *"
)


class Outcome(NamedTuple):
    """What a command did: its code, words, what it wrote, and the traceback if there was one."""

    code: int
    said: str
    made: dict[str, str]
    crash: str


def flip_bit(content: bytes, rng: random.Random, other: bytes) -> bytes:  # noqa: ARG001
    """Flip one bit."""
    place = rng.randrange(len(content))
    return content[:place] + bytes([content[place] ^ 1 << rng.randrange(8)]) + content[place + 1 :]


def swap_lines(content: bytes, rng: random.Random, other: bytes) -> bytes:  # noqa: ARG001
    """Swap two lines that differ, or the halves of what has none."""
    lines = content.splitlines(keepends=True)
    if len(set(lines)) < 3:
        return content[len(content) // 2 :] + content[: len(content) // 2]
    first, second = rng.sample(range(len(lines)), 2)
    while lines[first] == lines[second]:
        first, second = rng.sample(range(len(lines)), 2)
    lines[first], lines[second] = lines[second], lines[first]
    return b"".join(lines)


DAMAGES: dict[str, Callable[[bytes, random.Random, bytes], bytes | None]] = {
    "bit": flip_bit,
    "cut": lambda content, _rng, _other: content[: len(content) // 2],
    "deleted": lambda _content, _rng, _other: None,
    "empty": lambda _content, _rng, _other: b"",
    "swapped": swap_lines,
    "other": lambda _content, _rng, other: other,
    "nested": lambda _content, _rng, _other: b'{"a":' + b"[" * 100_000,
    "odd JSON": lambda _content, _rng, _other: b'{"format": NaN, "version": 1e999, "state": []}\n',
}


def prepare(folder: Path, seed: int, work: Path) -> None:
    """Make a graph and a run of it in the one place of work, and copy them."""
    work.mkdir()
    write_sources(work, seed)
    for command in (
        ("data", "build", "facts.tsv", "--entities", "entities.tsv", "--out", "graph"),
        ("encode", "graph", "numeric"),
        ("train", "graph", "--run", "run", *(w for s in SETTINGS for w in ("--set", s))),
    ):
        done = call(command, work)
        assert done.code == 0, done
    work.rename(folder)


def call(command: tuple[str, ...], folder: Path, made: tuple[str, ...] = ()) -> Outcome:
    """Run a command in this process, in a folder, and read what it made."""
    with chdir(folder):
        if command[0] == "serve":
            return _start_server(Path(command[1]))
        result = CliRunner(env={"COLUMNS": "200"}).invoke(main, list(command))
    crash = ""
    if not isinstance(result.exception, SystemExit | None):
        crash = f"{type(result.exception).__name__}: {result.exception}"
    said = _MOMENTS.sub("", result.output)
    return Outcome(result.exit_code, said, dict(_read_made(folder, made)), crash)


def _read_made(folder: Path, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """What a command wrote, without what tells of the moment."""
    for name in names:
        for path in sorted([folder / name, *(folder / name).rglob("*")]):
            if path.is_file() and not path.name.startswith((".", "timing", "times")):
                text = path.read_bytes().decode(errors="backslashreplace")
                yield str(path.relative_to(folder)), _MOMENTS.sub("", text)


def _start_server(run: Path) -> Outcome:
    """What ``momok serve`` does before it listens, and its answer to one question."""
    try:
        service = Service(ServeSettings(run=run, threads=1))
        predictor = service.model.predictor
        said = predictor.predict(head="e1", relation="r0", k=5).to_frame().write_ndjson()
        said += "" if service.model.calibrated else "not calibrated"
        service.close()
    except MomokError as error:
        return Outcome(2, f"momok: {error}\n", {}, "")
    except Exception as error:
        return Outcome(1, "", {}, f"{type(error).__name__}: {error}")
    return Outcome(0, said, {}, "")


def judge(found: Outcome, sound: Outcome, file: str) -> str:
    """One letter: ``2`` refused in a line, ``=`` as before, ``s`` another answer but it is said."""
    if found.crash:
        return "T"
    if found.code == 2:
        lines = found.said.strip().splitlines()
        return "2" if len(lines) == 1 and lines[0].startswith("momok: ") else "L"
    if found.code != 0 and '"worst": "error"' not in found.said:  # momok data check exits 1 then
        return "X"
    if (found.said.split(), found.made) == (sound.said.split(), sound.made):
        return "="
    name = Path(file).name
    told = found.said + found.made.get("report.html", "")
    before = sound.said + sound.made.get("report.html", "")
    is_told = any(told.count(word) > before.count(word) for word in (name, *_TOLD))
    return "s" if is_told else "!"


_TOLD = (
    *("damaged", "not calibrated", "is not the one the run was trained on", "is corrupt"),
    "is not there",
)
FAULTS = {
    "T": "a traceback",
    "L": "exit 2 without its one line",
    "X": "another exit code",
    "!": "another answer, and nothing said",
}


class Place(NamedTuple):
    """The sound graph and run, those that damage is taken from, and where commands run."""

    sound: Path
    other: Path
    work: Path


def damage_each(
    place: Place, part: str, commands: Mapping[str, tuple[str, ...]], draws: int
) -> Iterator[tuple[str, str, str, str, Outcome]]:
    """Damage every file of ``part``; give file, damage, command, letter and outcome."""
    sound, other, work = place
    expected = {}
    for name, command in commands.items():
        lay_out(sound, work, name)
        expected[name] = call(command, work, _MADE.get(name, ()))
        assert expected[name].code == 0, expected[name]
    for file in list_files(sound, part):
        content, foreign = (sound / file).read_bytes(), (other / file).read_bytes()
        for how, damaged in damage_content(file, content, foreign, draws):
            for name, command in commands.items():
                lay_out(sound, work, name)
                (work / file).unlink()
                if damaged is not None:
                    (work / file).write_bytes(damaged)
                found = call(command, work, _MADE.get(name, ()))
                yield file, how, name, judge(found, expected[name], file), found


def list_files(sound: Path, part: str) -> list[str]:
    """The files of a run or a graph, but for plots, which nothing reads."""
    return sorted(
        str(path.relative_to(sound))
        for path in (sound / part).rglob("*")
        if path.is_file() and path.parent.name != "plots" and path.name != ".lock"
    )


def damage_content(
    file: str, content: bytes, foreign: bytes, draws: int
) -> Iterator[tuple[str, bytes | None]]:
    """Give the ways in which a file is damaged, and what is left of it; None: nothing."""
    for how, damage in DAMAGES.items():
        if how in ("nested", "odd JSON") and not file.endswith((".json", ".jsonl")):
            continue
        for draw in range(draws if how in ("bit", "swapped") else 1):
            damaged = damage(content, random.Random(f"{file} {draw}"), foreign)
            if damaged != content:
                yield how, damaged


def lay_out(sound: Path, work: Path, command: str) -> None:
    """Copy a sound graph and run; for ``resume``, the run was killed before it was tested."""
    shutil.rmtree(work, ignore_errors=True)
    shutil.copytree(sound, work)
    if command == "resume":
        about = json.loads((work / "run" / "run.json").read_text())
        RunFolder(work / "run").set_state("training")
        assert about["state"] == "finished"


@click.command()
@click.option("--draws", default=1, help="Bits that are flipped, and lines swapped, per file [1].")
@click.option("--part", type=click.Choice(["run", "graph"]), help="Only its files [both].")
@click.option("--command", "chosen", multiple=True, help="Only these [all].")
@click.option("--show", is_flag=True, help="Show what is said.")
def damage_all(draws: int, part: str | None, chosen: tuple[str, ...], show: bool) -> None:
    """Damage every file of a run and of a graph, and print what the commands made of it."""
    counts: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as temporary:
        root = Path(temporary)
        for name, seed in (("other", 1), ("sound", 0)):
            prepare(root / name, seed, root / "work")
        for where, known in (("run", RUN_COMMANDS), ("graph", GRAPH_COMMANDS)):
            if part not in (None, where):
                continue
            commands = {n: c for n, c in known.items() if not chosen or n in chosen}
            if not commands:
                continue
            click.echo(f"{where}: {' '.join(commands)}")
            row, letters = ("", ""), ""
            for file, how, name, letter, found in damage_each(
                Place(root / "sound", root / "other", root / "work"), where, commands, draws
            ):
                if row != (file, how) or len(letters) == len(commands):
                    if letters:
                        click.echo(f"  {row[0]:36} {row[1]:10} {letters}")
                    row, letters = (file, how), ""
                letters += letter
                counts[letter] += 1
                if letter in FAULTS or show:
                    what = " ".join((found.crash or found.said).split())[-200:]
                    click.echo(f"{letter} {file} {how}: {name}: {what}")
            click.echo(f"  {row[0]:36} {row[1]:10} {letters}")
    said = {"2": "refused in one line", "=": "the same answer", "s": "said", **FAULTS}
    click.echo(", ".join(f"{count:,} {said[letter]}" for letter, count in counts.most_common()))


if __name__ == "__main__":
    damage_all()
