"""A progress bar for one piece of work, on the standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

__all__ = ["show_work"]


@contextmanager
def show_work(name: str, *, scale: float = 1.0) -> Iterator[Callable[[str, int, int], None]]:
    """Give a function that is told (note, done, total); the bar begins with its first call.

    So a mistake that is found before any work is one line, and nothing else.

    Args:
        name: what stands before the bar.
        scale: what done and total are multiplied with.
    """
    from momok.cli.console import error_console, make_printable
    from momok.progress import build_bars

    bars = build_bars(error_console())
    task = bars.add_task(name, total=None, note="")

    def show(note: str, done: int, total: int) -> None:
        bars.start()
        bars.update(task, completed=done * scale, total=total * scale, note=make_printable(note))

    try:
        yield show
    finally:
        if bars.live.is_started:
            bars.stop()
