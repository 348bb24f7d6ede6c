"""What a finished training run shows: its plots, its table, and what to do next."""

from __future__ import annotations

import shlex
from pathlib import Path

from rich.console import Console

from momok.cli.tables import describe_protocol, heads_table
from momok.console import console, make_printable
from momok.training import RunFolder

__all__ = ["quote_path", "show_outcome", "show_result"]


def show_outcome(run: RunFolder) -> None:
    """Print the test table of a finished run and the next commands."""
    out = console()
    show_result(run, out)
    folder = quote_path(run.path)
    lines = (
        f"Run folder: {folder}",
        f"Plots:      {folder}/plots (curves, heads, relations)",
        f"Next:       momok evaluate {folder}",
        f"            momok predict {folder} --head ENTITY --relation RELATION",
    )
    out.print("\n" + "\n".join(lines), soft_wrap=True)  # never breaks what is to be copied


def show_result(run: RunFolder, out: Console) -> None:
    """Print the test table of a finished run, under the run's own protocol."""
    evaluation = run.load_evaluation("test", run.config.evaluation.protocol)
    out.print(heads_table(evaluation, str(run.data["name"])))
    out.print(describe_protocol(evaluation))


def quote_path(path: Path) -> str:
    """A path as a shell takes it, safe to print."""
    return make_printable(shlex.quote(str(path)))
