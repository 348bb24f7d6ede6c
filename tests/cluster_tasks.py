"""Tasks for the workers of a cluster, who import nothing else for them."""

from __future__ import annotations

import os
from collections.abc import Callable

from momok.errors import DataError


def build_work() -> Callable[[int], int]:
    """What does a task."""
    return _work


def _work(task: int) -> int:
    if task == 3:
        raise DataError("three: expected another number")
    if task == 5:
        os._exit(1)
    return 10 * task


def build_nothing() -> Callable[[int], int]:
    """Fails."""
    raise DataError("nothing to build it from")
