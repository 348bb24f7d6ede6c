"""A progress bar for an evaluation outside training."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console

from momok.training.progress import RankingProgress, Reporter, Silent, ranking_bar

__all__ = ["show_ranking"]


class _RankingOnly(Silent):
    """Shows how far the ranking is, and nothing else."""

    def __init__(self, update: RankingProgress) -> None:
        self._update = update

    def ranking(self, what: str) -> RankingProgress:  # noqa: ARG002
        return self._update


@contextmanager
def show_ranking(console: Console, what: str) -> Iterator[Reporter]:
    """While it is entered, a bar that the reporter given moves; no bar where is no terminal."""
    if not console.is_terminal:
        yield Silent()
        return
    with ranking_bar(console, what) as update:
        yield _RankingOnly(update)
