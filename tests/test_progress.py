"""Bars on a terminal, lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console

from momok import progress
from momok.cli.stages import show_stages
from momok.training.reporter import ProgressBars


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that bars see, in seconds: set its only item."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def open_console(*, terminal: bool) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=160, _environ={}), file


def test_a_file_gets_a_line_from_time_to_time(clock: list[float]) -> None:
    console, file = open_console(terminal=False)
    bars = progress.build_bars(console)
    task = bars.add_task("encoding", total=2000, note="pictures")
    bars.start()
    for second in range(1, 101):
        clock[0] += 1
        bars.update(task, completed=10 * second)
    bars.stop()
    lines = file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "encoding: 300 of 2",
        "encoding: 600 of 2",
        "encoding: 900 of 2",
    ]
    assert "600 of 2,000 (30%)" in lines[1]
    assert all("gone" in line and line.endswith(", pictures") for line in lines)


def test_work_of_unknown_length_gets_lines_too(clock: list[float]) -> None:
    console, file = open_console(terminal=False)
    bars = progress.build_bars(console)
    task = bars.add_task("reading", total=None, note="")
    clock[0] += 31
    bars.update(task, completed=12_345)
    assert file.getvalue().startswith("reading: 12,345, 0:00:")


@pytest.mark.usefixtures("clock")
def test_short_work_leaves_nothing_in_a_file() -> None:
    console, file = open_console(terminal=False)
    reporter = ProgressBars(console)
    reporter.begin(1, 10, 0)
    for _ in range(10):
        reporter.step(1, 0.5, 1000.0)
    reporter.ranking("ranking valid")(1, 1)
    reporter.end()
    assert not file.getvalue()


@pytest.mark.usefixtures("clock")
def test_a_validation_is_a_line_in_a_file() -> None:
    console, file = open_console(terminal=False)
    reporter = ProgressBars(console)
    reporter.begin(4, 100, 100)
    reporter.step(2, 0.0123, 1000.0)
    reporter.validated(2, "valid", 0.312, best=0.331, best_epoch=1)
    reporter.end()
    [line] = file.getvalue().splitlines()
    assert line.startswith("training: 101 of 400 (25%), ")
    assert line.endswith("epoch 2/4  loss 0.0123  valid MRR 31.20 (best 33.10 in epoch 1)")


def test_a_terminal_gets_bars_and_no_lines(clock: list[float]) -> None:
    console, file = open_console(terminal=True)
    reporter = ProgressBars(console)
    reporter.begin(4, 100, 100)
    clock[0] += 100
    reporter.step(2, 0.0123, 1000.0)
    reporter.validated(2, "valid", 0.312, best=0.331, best_epoch=1)
    reporter.step(3, 0.0119, 1000.0)
    reporter.end()
    shown = file.getvalue()
    assert "━" in shown
    assert "epoch 3/4  loss 0.0119  valid MRR 31.20 (best 33.10 in epoch 1)" in shown
    assert "gone" not in shown


def test_a_ranking_that_is_broken_off_gives_the_cursor_back() -> None:
    console, file = open_console(terminal=True)
    reporter = ProgressBars(console)
    reporter.ranking("ranking test")(1, 10)
    reporter.end()
    shown = file.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


def test_stages_leave_no_empty_line_in_a_file(capsys: pytest.CaptureFixture[str]) -> None:
    with show_stages() as update:
        update("reading", 1, 10)
    assert capsys.readouterr().err == ""
