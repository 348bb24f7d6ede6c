"""The option --ranks: a command in several processes that work on one model."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import click


def ranks_option(text: str) -> Callable[[Any], Any]:
    """``--ranks N``, with what it does."""
    return click.option("--ranks", type=int, metavar="N", help=text)


def start_asked(count: int | None) -> None:
    """Run this command in several processes instead of this one, and end as the first does."""
    if count is None or count == 1:
        return
    from momok.training.sharding import start_ranks

    given = iter(sys.argv[1:])
    kept = [
        a for a in given if not a.startswith("--ranks=") and not (a == "--ranks" and next(given))
    ]
    sys.exit(start_ranks(count, kept))
