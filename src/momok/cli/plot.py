"""``momok plot``."""

from __future__ import annotations

import click

from momok.cli import COMMANDS

__all__ = ["command"]


@click.command("plot", short_help=COMMANDS["plot"])
@click.argument("run")
def command(run: str) -> None:
    """Draw the plots of a run again, from its files; also of one that is not finished."""
    from momok.cli.console import make_printable
    from momok.reporting import draw_plots
    from momok.training import RunFolder

    for path in draw_plots(RunFolder(run)):
        click.echo(make_printable(str(path)))
