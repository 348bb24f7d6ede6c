"""What a training run tells the person who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["ProgressBars", "Reporter", "Silent"]

RankingProgress = Callable[[int, int], None]


class Reporter(Protocol):
    """Is told what happens during training."""

    def say(self, text: str) -> None:
        """A line worth reading."""

    def begin(self, epochs: int, steps_per_epoch: int, done_steps: int) -> None:
        """Training begins, or goes on after ``done_steps``."""

    def step(self, epoch: int, loss: float, queries_per_second: float) -> None:
        """A step is done."""

    def ranking(self, what: str) -> RankingProgress:
        """An evaluation begins; the result is called with (done, total) queries."""

    def end(self) -> None:
        """Training is over, or was interrupted."""


class Silent:
    """Tells nothing."""

    def say(self, text: str) -> None:
        """Nothing."""

    def begin(self, epochs: int, steps_per_epoch: int, done_steps: int) -> None:
        """Nothing."""

    def step(self, epoch: int, loss: float, queries_per_second: float) -> None:
        """Nothing."""

    def ranking(self, what: str) -> RankingProgress:  # noqa: ARG002
        """Nothing."""
        return lambda _done, _total: None

    def end(self) -> None:
        """Nothing."""


class ProgressBars:
    """Progress bars on a terminal: loss, speed, time left; plain lines where there is none."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bars: Progress | None = None
        self._training: TaskID | None = None
        self._ranking: TaskID | None = None

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, epochs: int, steps_per_epoch: int, done_steps: int) -> None:
        """Show the training bar."""
        self._bars = build_progress(self.console)
        self._training = self._bars.add_task(
            "training", total=epochs * steps_per_epoch, completed=done_steps, note=""
        )
        self._epochs = epochs
        self._bars.start()

    def step(self, epoch: int, loss: float, queries_per_second: float) -> None:
        """Advance the training bar."""
        if self._bars is None or self._training is None:
            return
        note = f"epoch {epoch}/{self._epochs}  loss {loss:.4f}  {queries_per_second:,.0f} queries/s"
        self._bars.update(self._training, advance=1, note=note)

    def ranking(self, what: str) -> RankingProgress:
        """Show a bar for an evaluation until it is done."""
        alone = self._bars is None
        bars = self._bars or build_progress(self.console)
        task = bars.add_task(what, total=None, note="queries ranked")
        if alone:
            bars.start()

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)
            if done >= total:
                bars.remove_task(task)
                if alone:
                    bars.stop()

        return update

    def end(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None


def build_progress(console: Console) -> Progress:
    """A progress display in the house's layout; tasks carry a ``note`` field."""
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
        transient=True,
    )
