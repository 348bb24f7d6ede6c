"""Progress of long work: one callback for all of it, and bars that draw what they are told."""

from __future__ import annotations

import io
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import TracebackType
from typing import Any, Self, TypeAlias

from rich.console import Console
from rich.progress import (
    BarColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bars
from rich.text import Text

from momok.console import error_console, make_printable

Progress: TypeAlias = Callable[[str, int, int], None]
"""Called as ``progress(what, done, total)``; a total of 0 means that it is not known.

What stands behind a colon may change as the work goes on: ``training: loss 0.0123``.
"""

_BAR_AND_TIMES = 44  # columns of them, with the gaps between
_TELLING = 5.0  # seconds of steps that tell how long all take
_LINE_EVERY = 30.0  # seconds between the lines that stand for a bar where there is no terminal
_DRAW_EVERY = 0.25  # seconds between two states of a bar in a notebook, each of which is a message
_NOTEBOOK_WIDTH = 100  # columns


def no_progress(what: str, done: int, total: int) -> None:
    """Do nothing."""


class Reporter:
    """Receives what happens in a run; this one ignores it. Derive from it for one of your own."""

    def say(self, text: str) -> None:
        """Take a line worth reading."""

    def progress(self, what: str, done: int, total: int) -> None:
        """Take a step of training or ranking; see ``Progress``."""

    def validated(
        self, epoch: int, split: str, mrr: float, *, best: float, best_epoch: int
    ) -> None:
        """Take the result of a validation; ``best`` may be this one."""


class ProgressBar(Reporter):
    """One bar on a terminal, for the work under way; a line now and then where there is none.

    The bar appears with the first progress and is taken away at the end of the ``with`` block, so
    that a mistake that is found before any work is one line and nothing else.
    """

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or error_console()
        self._is_drawn = self._console.is_interactive
        self._last_line = time.monotonic()
        self._tasks: dict[str, TaskID] = {}
        self._bars = Bars(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=16),
            TextColumn("{task.fields[share]}", markup=False),
            TimeElapsedColumn(),
            TextColumn("eta"),
            TimeRemainingColumn(),
            TextColumn("{task.fields[shown]}", style="dim", markup=False),
            console=self._console,
            transient=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._bars.live.is_started:
            self._bars.stop()

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(Text(make_printable(text)), highlight=False, soft_wrap=True)

    def progress(self, what: str, done: int, total: int) -> None:
        """Move the bar of this work; it goes when the work is done."""
        name, _, note = map(make_printable, what.partition(": "))
        if name not in self._tasks:
            self._tasks[name] = self._bars.add_task(
                name, total=None, completed=done, share="", note="", shown=""
            )
        number = self._tasks[name]
        for task in self._bars.tasks:
            if task.visible != (task.id == number):
                self._bars.update(task.id, visible=task.id == number)
        share = f"{done / total:4.0%}" if total else f"{done:,}" if done else ""
        shown = Text(note)  # cut, so that the bar and the times stay whole on narrow terminals
        shown.truncate(
            max(self._console.width - len(name) - _BAR_AND_TIMES, 0), overflow="ellipsis"
        )
        self._bars.update(
            number, completed=done, total=total or None, share=share, note=note, shown=shown.plain
        )
        self._draw(number)
        if 0 < total <= done:
            self._bars.remove_task(self._tasks.pop(name))

    def _draw(self, number: TaskID) -> None:
        if self._is_drawn:
            self._bars.start()
        elif time.monotonic() - self._last_line >= _LINE_EVERY:
            self._last_line = time.monotonic()
            [task] = (task for task in self._bars.tasks if task.id == number)
            self.say(_describe(task))

    def validated(
        self, epoch: int, split: str, mrr: float, *, best: float, best_epoch: int
    ) -> None:
        """Print a line about the validation."""
        chosen = (
            "the best so far"
            if epoch == best_epoch
            else f"best {100 * best:.2f} in epoch {best_epoch}"
        )
        self.say(f"epoch {epoch}: {split} MRR {100 * mrr:.2f}, {chosen}")


class NotebookBar(ProgressBar):
    """The lines and the bar in one output of a notebook's cell, which is drawn anew in its place.

    At the end of the ``with`` block the time that it took stands for the bar. All of it is plain
    text, so that a saved notebook shows it wherever it is read.
    """

    def __init__(self) -> None:
        console = Console(file=io.StringIO(), width=_NOTEBOOK_WIDTH, force_jupyter=False)
        super().__init__(console)
        self._lines: list[str] = []
        self._began, self._drawn = time.monotonic(), 0.0
        self._output: Any = None  # IPython's DisplayHandle, once there is something to show

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        if self._output is not None:
            took = timedelta(seconds=round(time.monotonic() - self._began))
            self._show(f"{'took' if kind is None else 'stopped after'} {took}")

    def say(self, text: str) -> None:
        """Print a line above the bar."""
        self._lines.append(make_printable(text))
        self._show("")

    def _draw(self, number: TaskID) -> None:  # noqa: ARG002
        if time.monotonic() - self._drawn >= _DRAW_EVERY:
            self._drawn = time.monotonic()
            with self._console.capture() as drawn:
                self._console.print(self._bars.get_renderable())
            self._show(drawn.get().strip())

    def _show(self, last: str) -> None:
        from IPython.display import display

        shown = {"text/plain": "\n".join([*self._lines, last]).rstrip()}
        if self._output is None:
            self._output = display(shown, raw=True, display_id=True)  # type: ignore[no-untyped-call]
        else:
            self._output.update(shown, raw=True)


@contextmanager
def open_reporter(progress: bool | Reporter) -> Iterator[Reporter]:
    """Give a bar for True, silence for False, and a reporter as it is."""
    if isinstance(progress, Reporter):
        yield progress
    elif progress:
        with NotebookBar() if error_console().is_jupyter else ProgressBar() as bar:
            yield bar
    else:
        yield Reporter()


def _describe(task: Task) -> str:
    words = [f"{task.completed:,.0f}"]
    if task.total:
        words[0] += f" of {task.total:,.0f} ({task.percentage:.0f}%)"
    for seconds, what in ((task.elapsed, "elapsed"), (task.time_remaining, "left")):
        if seconds is not None:
            words.append(f"{timedelta(seconds=round(seconds))} {what}")
    if task.fields["note"]:
        words.append(task.fields["note"])
    return f"{task.description}: {', '.join(words)}"


class TimeLeft:
    """Estimates once, after the first steps of long work, how long the others will take.

    Args:
        warm_up: steps that do not count.
    """

    def __init__(self, warm_up: int) -> None:
        self._steps = -warm_up
        self._began: float | None = None
        self._told = False

    def estimate(self, left: int) -> str:
        """Take a step; say in words how long the ``left`` others take, or "" where it is not told.

        It is told once, when some seconds of steps have been seen.
        """
        self._steps += 1
        if self._told or self._steps < 0:
            return ""
        now = time.monotonic()
        if self._began is None:
            self._began, self._steps = now, 0
        seconds = now - self._began
        self._told = seconds >= _TELLING
        return describe_seconds(seconds / self._steps * left) if self._told else ""


def describe_seconds(seconds: float) -> str:
    """Give a time in the unit that people would name it in: ``40 seconds``, ``12 minutes``."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 1.5 * size:
            number = f"{seconds / size:.1f}" if seconds < 10 * size else f"{seconds / size:.0f}"
            return f"{number.removesuffix('.0')} {unit}"
    whole = max(round(seconds), 1)
    return f"{whole} second{'s' * (whole > 1)}"
