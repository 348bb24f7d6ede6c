"""What a training run tells the person who waits for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from rich.console import Console
from rich.progress import TaskID

from momok.progress import Bars, build_bars

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
        """An evaluation begins; the result is called with (done, total) queries.

        Alone, without ``begin``, it must be followed by ``end``, too.
        """

    def validated(
        self, epoch: int, split: str, mrr: float, *, best: float, best_epoch: int
    ) -> None:
        """A validation is done; ``best`` may be this one."""

    def end(self) -> None:
        """Training or an evaluation is over, or was interrupted."""


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

    def validated(
        self, epoch: int, split: str, mrr: float, *, best: float, best_epoch: int
    ) -> None:
        """Nothing."""

    def end(self) -> None:
        """Nothing."""


class ProgressBars:
    """Progress bars on a terminal: loss, speed, time left; plain lines where there is none."""

    def __init__(self, console: Console | None = None) -> None:
        self.console = console or Console(stderr=True)
        self._bars: Bars | None = None
        self._training: TaskID | None = None
        self._loss = self._chosen = ""

    def say(self, text: str) -> None:
        """A line above the bars."""
        self.console.print(text, highlight=False, markup=False, soft_wrap=True)

    def begin(self, epochs: int, steps_per_epoch: int, done_steps: int) -> None:
        """Show the training bar."""
        self._bars = build_bars(self.console)
        self._training = self._bars.add_task(
            "training", total=epochs * steps_per_epoch, completed=done_steps, note=""
        )
        self._epochs = epochs
        self._bars.start()

    def step(self, epoch: int, loss: float, queries_per_second: float) -> None:
        """Advance the training bar."""
        if self._bars is None or self._training is None:
            return
        self._loss = f"  loss {loss:.4f}"
        note = f"{self._describe(epoch)}  {queries_per_second:,.0f} queries/s"
        self._bars.update(self._training, advance=1, note=note)

    def ranking(self, what: str) -> RankingProgress:
        """Show a bar for an evaluation until it is done; ``end`` takes it away in any case."""
        if self._bars is None:
            self._bars = build_bars(self.console)
            self._bars.start()
        bars = self._bars
        task = bars.add_task(what, total=None, note="queries ranked")

        def update(done: int, total: int) -> None:
            bars.update(task, completed=done, total=total)
            if done >= total:
                bars.remove_task(task)

        return update

    def validated(
        self, epoch: int, split: str, mrr: float, *, best: float, best_epoch: int
    ) -> None:
        """Show the validation behind the training bar, as a line of its own where there is none."""
        if self._bars is None or self._training is None:
            return
        best_one = f"best {100 * best:.2f} in epoch {best_epoch}"
        self._chosen = f"  {split} MRR {100 * mrr:.2f} ({best_one})"
        self._bars.update(self._training, note=self._describe(epoch))
        self._bars.tell(self._training)

    def _describe(self, epoch: int) -> str:
        return f"epoch {epoch}/{self._epochs}{self._loss}{self._chosen}"

    def end(self) -> None:
        """Take the bars away."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = self._training = None
