"""Progress bars for work in stages and for downloads, on stderr where someone can see them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    ProgressColumn,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from momok.cli.console import error_console, make_printable
from momok.progress import Bars

__all__ = ["show_stages", "show_transfer"]


@contextmanager
def show_stages() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of (stage, done, total) that moves one bar until the block ends."""
    with _show(MofNCompleteColumn(), TimeElapsedColumn()) as update:
        yield update


@contextmanager
def show_transfer() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of (file, bytes, bytes in all or 0) that moves one bar."""
    with _show(DownloadColumn(), TransferSpeedColumn()) as update:
        yield update


@contextmanager
def _show(*columns: ProgressColumn) -> Iterator[Callable[[str, int, int], None]]:
    bars = Bars(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        *columns,
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=error_console(),
    )
    tasks: dict[str, TaskID] = {}

    def update(stage: str, done: int, total: int) -> None:
        for other in [name for name in tasks if name != stage]:
            bars.remove_task(tasks.pop(other))
        if stage not in tasks:
            tasks[stage] = bars.add_task(make_printable(stage), total=None)
        bars.update(tasks[stage], completed=done, total=total or None)

    with bars:
        yield update
