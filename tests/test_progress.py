"""A bar on a terminal, one output in a notebook, lines elsewhere."""

from __future__ import annotations

import io

import pytest
from rich.console import Console
from rich.text import Text

from momok import progress
from momok.progress import (
    NotebookBar,
    ProgressBar,
    Reporter,
    TimeLeft,
    describe_seconds,
    open_reporter,
)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time that bars see, in seconds: set its only item."""
    now = [1000.0]
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    return now


def open_console(*, terminal: bool, width: int = 160) -> tuple[Console, io.StringIO]:
    file = io.StringIO()
    return Console(file=file, force_terminal=terminal, width=width, _environ={}), file


def test_a_file_gets_a_line_from_time_to_time(clock: list[float]) -> None:
    console, file = open_console(terminal=False)
    with ProgressBar(console) as bar:
        for second in range(1, 101):
            clock[0] += 1
            bar.progress("encoding: pictures", 10 * second, 2000)
    lines = file.getvalue().splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "encoding: 300 of 2",
        "encoding: 600 of 2",
        "encoding: 900 of 2",
    ]
    assert "600 of 2,000 (30%)" in lines[1]
    assert all("elapsed" in line and line.endswith(", pictures") for line in lines)


def test_work_of_unknown_length_gets_lines_too(clock: list[float]) -> None:
    console, file = open_console(terminal=False)
    bar = ProgressBar(console)
    clock[0] += 31
    bar.progress("reading", 12_345, 0)
    assert file.getvalue().startswith("reading: 12,345, 0:00:")


@pytest.mark.usefixtures("clock")
def test_short_work_leaves_nothing_in_a_file() -> None:
    console, file = open_console(terminal=False)
    with ProgressBar(console) as bar:
        for step in range(10):
            bar.progress("training: loss 0.5", step, 10)
        bar.progress("ranking valid", 1, 1)
    assert not file.getvalue()


@pytest.mark.parametrize("terminal", [False, True])
def test_a_validation_is_a_line(terminal: bool) -> None:
    console, file = open_console(terminal=terminal)
    with ProgressBar(console) as bar:
        bar.validated(1, "valid", 0.331, best=0.331, best_epoch=1)
        bar.validated(2, "valid", 0.312, best=0.331, best_epoch=1)
    assert file.getvalue().splitlines() == [
        "epoch 1: valid MRR 33.10, the best so far",
        "epoch 2: valid MRR 31.20, best 33.10 in epoch 1",
    ]


def test_a_terminal_gets_one_bar_and_no_lines(clock: list[float]) -> None:
    console, file = open_console(terminal=True)
    with ProgressBar(console) as bar:
        bar.progress("training: epoch 2/4, loss 0.0123", 101, 400)
        clock[0] += 100
        bar.progress("ranking valid", 1, 10)
        bar.progress("ranking valid", 10, 10)
        bar.progress("training: epoch 3/4, loss 0.0119", 201, 400)
    shown = file.getvalue()
    assert "━" in shown
    assert "ranking valid" in shown
    assert shown.rstrip().rpartition("training")[2].count("epoch 3/4, loss 0.0119") == 1
    assert "elapsed" not in shown
    assert max(line.count("━") > 0 for line in shown.splitlines())


def test_the_bar_fits_into_eighty_columns() -> None:
    console, file = open_console(terminal=True, width=80)
    with ProgressBar(console) as bar:
        bar.progress("training: epoch 72/72, loss 0.0119, 12,345 queries/s", 30_000, 40_000)
        bar.progress("training: epoch 72/72, loss 0.0119, 12,345 queries/s", 30_001, 40_000)
    frames = file.getvalue().replace("\r", "\n").splitlines()
    frame = next(line for line in frames if "training" in line)
    for part in (" 75%", "0:00:00", "eta", "epoch 72/72, loss 0.0119"):
        assert part in frame
    assert len(Text.from_ansi(frame)) <= 80


def test_work_that_is_broken_off_gives_the_cursor_back() -> None:
    console, file = open_console(terminal=True)

    def break_off() -> None:
        with ProgressBar(console) as bar:
            bar.progress("ranking test", 1, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    shown = file.getvalue()
    assert shown.rindex("\x1b[?25h") > shown.rindex("\x1b[?25l")


@pytest.mark.parametrize("terminal", [False, True])
def test_names_are_hostile(clock: list[float], terminal: bool) -> None:
    console, file = open_console(terminal=terminal)
    with ProgressBar(console) as bar:
        clock[0] += 31
        bar.progress("ranking pairs: [red]\x1b]0;x\u202e[/]", 1, 10)
    shown = file.getvalue()
    assert r"[red]\x1b]0;x\u202e[/]" in shown
    assert "\x1b]" not in shown


def test_nothing_to_do_leaves_no_empty_line(capsys: pytest.CaptureFixture[str]) -> None:
    with ProgressBar() as bar:
        bar.progress("reading", 1, 10)
    assert capsys.readouterr().err == ""


class Cell:
    """The one output of a cell, and every state that it had."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.states: list[str] = []
        pytest.importorskip("IPython")
        monkeypatch.setattr("IPython.display.display", self._display)

    def _display(self, shown: dict[str, str], *, raw: bool, display_id: bool) -> Cell:
        assert raw
        assert display_id
        assert not self.states, "a second output"
        self.update(shown, raw=True)
        return self

    def update(self, shown: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.states.append(shown["text/plain"])


def test_a_notebook_gets_one_output(clock: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(monkeypatch)
    with NotebookBar() as bar:
        bar.say("a graph")
        for step in range(1, 1001):
            clock[0] += 0.05
            bar.progress("training: loss 0.5", step, 1000)
        bar.validated(1, "valid", 0.331, best=0.331, best_epoch=1)
    assert len(cell.states) < 300  # 50 seconds
    lines = cell.states[100].splitlines()
    assert lines[0] == "a graph"
    assert lines[1].startswith("training ━━━━")
    assert lines[1].endswith("loss 0.5")
    assert cell.states[-1].splitlines() == [
        "a graph",
        "epoch 1: valid MRR 33.10, the best so far",
        "took 0:00:50",
    ]


def test_a_notebook_where_nothing_happens_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cell = Cell(monkeypatch)
    with NotebookBar():
        pass
    assert cell.states == []


def test_what_is_broken_off_in_a_notebook_is_said(
    clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    cell = Cell(monkeypatch)

    def break_off() -> None:
        with NotebookBar() as bar:
            clock[0] += 61
            bar.progress("ranking test: \x1b[1m", 1, 10)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        break_off()
    first, last = cell.states
    assert " 10%" in first
    assert r"\x1b[1m" in first
    assert last == "stopped after 0:01:01"


def test_a_reporter_is_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    mine = Reporter()
    with open_reporter(mine) as reporter:
        assert reporter is mine
    with open_reporter(True) as reporter:
        assert type(reporter) is ProgressBar
    monkeypatch.setattr(progress, "error_console", lambda: Console(force_jupyter=True))
    with open_reporter(True) as reporter:
        assert type(reporter) is NotebookBar
    with open_reporter(False) as reporter:
        assert type(reporter) is Reporter


def test_the_time_left_is_told_once_and_without_the_first_steps(clock: list[float]) -> None:
    time_left, told = TimeLeft(3), list[str]()
    for step in range(1, 13):
        clock[0] += 40 if step <= 3 else 2
        told.append(time_left.estimate(300 - step))
    # timing begins with the third step; after the sixth 6 seconds have gone
    assert told == [""] * 5 + ["9.8 minutes"] + [""] * 6


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0.2, "1 second"), (89, "89 seconds"), (90, "1.5 minutes"), (720, "12 minutes"),
     (5399, "90 minutes"), (7200, "2 hours"), (45_000, "12 hours"), (360_000, "100 hours")],
)  # fmt: skip
def test_times_in_words(seconds: float, words: str) -> None:
    assert describe_seconds(seconds) == words
