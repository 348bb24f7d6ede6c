"""Which entities may be answers, as options: a type or a file, for heads and for tails."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import click

from momok.console import error_console, make_printable
from momok.errors import DataError

if TYPE_CHECKING:
    from momok.graph import MultimodalGraph
    from momok.graph.candidates import Among, Side

_OPTIONS = {
    "among": (
        ("--among",),
        "Only these entities as answers: a type of the graph, or a file with one a line (./FILE "
        "where a type has the same name).",
    ),
    "among_heads": (("--among-heads",), "Likewise, of heads alone."),
    "among_tails": (("--among-tails",), "Likewise, of tails alone."),
}

LIMITS = tuple(_OPTIONS)
"""The parameters of the options."""


def among_options(**short: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Add ``--among``, ``--among-heads`` and ``--among-tails``; ``short`` names by parameter."""

    def add(command: Callable[..., None]) -> Callable[..., None]:
        for name, (options, text) in reversed(_OPTIONS.items()):
            names = (*options, short[name]) if name in short else options
            command = click.option(*names, name, metavar="FILE|TYPE", help=text)(command)
        return command

    return add


def read_among(
    graph: MultimodalGraph, *, among: str | None, among_heads: str | None, among_tails: str | None
) -> Among | None:
    """What the options say, as ``Predictor.predict`` and ``evaluate`` take it.

    Raises:
        UsageError: both sides are given together and apart.
        DataError: a file cannot be read.
    """
    given: dict[Side, str | None] = {"head": among_heads, "tail": among_tails}
    apart = {side: text for side, text in given.items() if text is not None}
    if among is None:
        return {side: _read_entities(text, graph) for side, text in apart.items()} or None
    if apart:
        raise click.UsageError("give --among for both sides, or --among-heads and --among-tails")
    return _read_entities(among, graph)


def _read_entities(given: str, graph: MultimodalGraph) -> str | list[str]:
    """A type of entities as it is, or the labels of a file, one a line.

    What is both is taken as the type, and said; a path with a separator in it is a file.

    Raises:
        DataError: the file cannot be read.
    """
    path, is_path = Path(given), os.sep in given
    if not is_path and (given in graph.entity_types or not path.is_file()):
        if path.is_file():
            shown = make_printable(given)
            message = f"{shown}: taken as the type of entities; ./{shown} would be the file"
            error_console().print(message, soft_wrap=True, highlight=False, markup=False)
        return given
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise DataError(f"{given}: {why}; expected labels or names in UTF-8, one a line") from error
    return [line.strip() for line in lines if line.strip()]
