"""``momok resume``."""

from __future__ import annotations

import click

from momok.cli import COMMANDS

__all__ = ["command"]


@click.command("resume", short_help=COMMANDS["resume"])
@click.argument("run")
def command(run: str) -> None:
    """Go on with an interrupted or killed run from its last checkpoint.

    On CPU the result equals that of an uninterrupted run, bit for bit.
    """
    from momok.cli.calibrate import calibrate
    from momok.cli.console import error_console
    from momok.cli.outcome import show_outcome
    from momok.training import resume
    from momok.training.reporter import ProgressBars

    folder = resume(run, progress=ProgressBars(error_console()))
    calibrate(folder)
    show_outcome(folder)
