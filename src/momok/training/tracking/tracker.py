"""What a tracker is, and what it is told of a run"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol


@dataclass(frozen=True, kw_only=True)
class TrackedRun:
    """A run as trackers see it.

    Attributes:
        path: the run folder; its name is the run's.
        id: the same whenever the run goes on, and no other run's.
        group: the name of the study that the run belongs to; "" without one.
        settings: all of them, as resolved.
    """

    path: Path
    id: str
    group: str
    settings: Mapping[str, Any]


class Tracker(Protocol):
    """Takes the numbers of one run; made when it begins or goes on, after ``require``.

    It may raise what it likes: it is then left alone for the rest of the process. When a method
    returns, what it was given outlives a kill of this process.
    """

    where: str  # what to open or to call to see the run

    @staticmethod
    def require() -> None:
        """Make sure that the library is installed.

        Raises:
            MissingExtraError: it is not.
        """

    def __init__(self, run: TrackedRun) -> None:
        """Begin the run, or go on with the one of this id."""

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        """Take the numbers of an epoch: once for each, in order."""

    def log_results(self, results: Mapping[str, float], step: int) -> None:
        """Take the numbers of the chosen model; the step is the last epoch."""

    def finish(self, state: str) -> None:
        """Let go of the run, ``finished``, ``interrupted`` or ``failed``."""
