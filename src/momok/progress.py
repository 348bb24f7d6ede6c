"""Progress bars of long work; lines where there is no terminal to draw them on."""

from __future__ import annotations

import time
from datetime import timedelta
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

__all__ = ["Bars", "build_bars"]

_LINE_EVERY = 30.0  # seconds between the lines that stand for bars where there is no terminal


class Bars(Progress):
    """Progress bars; where no terminal shows them, a line about each from time to time.

    A task may carry a ``note`` field, which stands behind it.
    """

    def __init__(self, *columns: str | ProgressColumn, console: Console) -> None:
        super().__init__(*columns, console=console, transient=True)
        self._drawn = console.is_interactive or console.is_jupyter
        self._told = time.monotonic()

    def start(self) -> None:
        """Show the bars, where they can be shown."""
        if self._drawn:
            super().start()

    def stop(self) -> None:
        """Take the bars away."""
        if self._drawn:
            super().stop()

    def update(self, task_id: TaskID, **changes: Any) -> None:
        """Move a bar; see ``rich.progress.Progress.update``."""
        super().update(task_id, **changes)
        if time.monotonic() - self._told >= _LINE_EVERY:
            self.tell(task_id)

    def tell(self, task_id: TaskID) -> None:
        """Print a line about a task, unless there are bars."""
        if self._drawn:
            return
        self._told = time.monotonic()
        task = next(task for task in self.tasks if task.id == task_id)
        words = [f"{task.completed:,.0f}"]
        if task.total:
            words[0] += f" of {task.total:,.0f} ({task.percentage:.0f}%)"
        for seconds, what in ((task.elapsed, "gone"), (task.time_remaining, "left")):
            if seconds is not None:
                words.append(f"{timedelta(seconds=round(seconds))} {what}")
        if note := task.fields.get("note"):
            words.append(str(note))
        line = f"{task.description}: {', '.join(words)}"
        self.console.print(line, highlight=False, markup=False, soft_wrap=True)


def build_bars(console: Console) -> Bars:
    """Bars in the house's layout; their tasks must carry a ``note`` field."""
    return Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}", style="dim"),
        console=console,
    )
