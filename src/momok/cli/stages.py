"""A progress bar for work in stages, on stderr and only where someone can see it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from momok.cli.console import error_console, make_printable

__all__ = ["show_stages"]


@contextmanager
def show_stages() -> Iterator[Callable[[str, int, int], None]]:
    """Give a function of (stage, done, total) that moves one bar until the block ends."""
    out = error_console()
    bars = Progress(
        TextColumn("{task.description}"),
        BarColumn(bar_width=24),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TextColumn("eta"),
        TimeRemainingColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )
    with bars:
        tasks: dict[str, int] = {}

        def update(stage: str, done: int, total: int) -> None:
            for other in [name for name in tasks if name != stage]:
                bars.remove_task(tasks.pop(other))  # type: ignore[arg-type]
            if stage not in tasks:
                tasks[stage] = bars.add_task(make_printable(stage), total=total)
            bars.update(tasks[stage], completed=done, total=total)  # type: ignore[arg-type]

        yield update
