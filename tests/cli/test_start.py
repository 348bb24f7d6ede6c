"""How the command line starts, answers and fails."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import TextIO

import click
import pytest
from click.testing import CliRunner

import momok
from momok.cli import COMMANDS, main
from momok.console import make_printable
from momok.errors import DataError

HEAVY = ("torch", "numpy", "rich", "matplotlib", "pydantic", "rapidfuzz", "safetensors")
SETTINGS = os.environ | {"PYTHONWARNINGS": "error"}


def test_help_is_quick_and_imports_nothing_heavy() -> None:
    code = (
        "import sys\n"
        "from momok.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: pass\n"
        f"print([name for name in {HEAVY} if name in sys.modules], file=sys.stderr)"
    )
    times = []
    for _ in range(3):
        start = time.perf_counter()
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=SETTINGS
        )
        times.append(time.perf_counter() - start)
        assert done.stderr.strip() == "[]"
    assert min(times) < 1.0
    for name, about in COMMANDS.items():
        assert f"{name} " in done.stdout
        assert about in done.stdout


def test_help_and_version_are_words_too() -> None:
    for given, same in (
        (["help"], ["--help"]),
        (["help", "train"], ["train", "--help"]),
        (["help", "data", "build"], ["data", "build", "--help"]),
        (["version"], ["--version"]),
        (["-V"], ["--version"]),
    ):
        first, second = (CliRunner().invoke(main, words) for words in (given, same))
        assert (first.exit_code, first.stdout) == (0, second.stdout)


def test_python_m_momok() -> None:
    command = [sys.executable, "-m", "momok", "--version"]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env=SETTINGS)
    assert done.stdout == f"momok {momok.__version__}\n"


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_explains_itself(name: str) -> None:
    result = CliRunner().invoke(main, [name, "--help"])
    assert result.exit_code == 0
    assert f"Usage: momok {name}" in result.stdout


@pytest.mark.parametrize("name", COMMANDS)
def test_every_command_of_the_table_is_there(name: str) -> None:
    command = main.get_command(click.Context(main), name)
    assert command is not None
    assert command.name == name


def test_without_a_command_the_help_is_shown() -> None:
    result = CliRunner().invoke(main, [])
    assert result.exit_code == 0
    assert result.stdout.startswith("Usage: momok")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["trian", "world"], "there is no command 'trian'; did you mean train? (see momok --help)"),
        (["Evaluate"], "did you mean evaluate?"),
        (["evaluate", "run", "--by", "relations"], "; did you mean relation? (see momok evaluate"),
        (["xyzzy"], "there is no command 'xyzzy' (see momok --help)"),
        (["--nonsense"], "--nonsense"),
        (["train"], "'GRAPH' (see momok train --help)"),
        (["train", "world", "--sed", "3"], "--sed"),
        (["evaluate", "x", "--by", "colour"], "'colour' is not one of"),
        (["data", "inf", "world"], "inf"),
    ],
)
def test_a_wrong_command_line_is_one_line(
    fail: Callable[..., str], arguments: list[str], words: str
) -> None:
    assert words in fail(*arguments)


def test_control_characters_of_labels_do_not_reach_the_terminal(fail: Callable[..., str]) -> None:
    line = fail("train", "wor\x1b[31mld\nnext\u202e\udc80")
    assert r"wor\x1b[31mld\nnext\u202e\udc80" in line.replace("\\\\", "\\")
    assert make_printable("Łódź 東京 \u2028\x07") == "Łódź 東京 \\u2028\\x07"


def _replace(monkeypatch: pytest.MonkeyPatch, error: BaseException) -> None:
    @click.command("config")
    def command() -> None:
        raise error

    monkeypatch.setattr("momok.cli.config.command", command)


def test_errors_of_the_package_are_one_line(
    monkeypatch: pytest.MonkeyPatch, fail: Callable[..., str]
) -> None:
    _replace(monkeypatch, DataError("train.txt:3: two\nlines"))
    assert fail("config") == r"momok: train.txt:3: two\nlines"


def test_an_interruption_exits_with_130(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace(monkeypatch, KeyboardInterrupt())
    result = CliRunner().invoke(main, ["config"])
    assert result.exit_code == 130
    assert "Traceback" not in result.output


class OutOfMemoryError(RuntimeError):
    """What PyTorch calls it on a GPU."""


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OutOfMemoryError("CUDA out of memory.\nTried to allocate 20.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp] DefaultCPUAllocator: can't allocate memory"),
    ],
    ids=str,
)
def test_a_lack_of_memory_is_one_line(
    monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    _replace(monkeypatch, error)
    result = CliRunner().invoke(main, ["config"])
    assert result.exit_code == 2
    [line] = result.stderr.splitlines()
    assert line.startswith("momok: out of memory: narrower vectors")


def test_a_bug_is_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    _replace(monkeypatch, ZeroDivisionError("a bug"))
    result = CliRunner().invoke(main, ["config"])
    assert isinstance(result.exception, ZeroDivisionError)


def test_a_closed_pipe_is_quiet() -> None:
    listing = subprocess.Popen(
        [sys.executable, "-m", "momok", "config"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=SETTINGS,
    )
    assert listing.stdout is not None
    assert listing.stderr is not None
    listing.stdout.close()  # before anything is written
    assert listing.stderr.read() == b""
    listing.wait()
    listing.stderr.close()


def list_settings_to(output: TextIO) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "momok", "config", "--toml"],
        stdout=output,
        stderr=subprocess.PIPE,
        text=True,
        env=SETTINGS,
        check=False,
    )


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no device that is always full")  # noqa: PTH110
def test_a_full_disk_behind_the_output_is_one_line() -> None:
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = list_settings_to(full)
    assert done.returncode == 2
    assert done.stderr == (
        "momok: the output: could not be read or written: No space left on device\n"
    )


def test_a_reader_that_has_had_enough_gets_no_traceback() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as closed:
        done = list_settings_to(closed)
    assert done.returncode == 1
    assert not done.stderr
