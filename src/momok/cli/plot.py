"""``momok plot``."""

from __future__ import annotations

import click

from momok.cli import COMMANDS

__all__ = ["command"]


@click.command("plot", short_help=COMMANDS["plot"])
@click.argument("run")
def command(run: str) -> None:
    """Draw the plots of a run again, from its files; also of one that is not finished.

    curves, heads and relations show how it was trained and what it reaches. As soon as there is a
    checkpoint, experts, modalities and disentanglement show what the model has learned of the
    relations (docs/explanations.md).
    """
    from momok.console import make_printable
    from momok.progress import ProgressBar
    from momok.reporting import draw_model_plots, draw_plots
    from momok.training import RunFolder

    folder = RunFolder(run)
    written = draw_plots(folder)
    if folder.best_checkpoint.exists():
        with ProgressBar() as bar:
            written += draw_model_plots(folder, progress=bar.progress)
    for path in written:
        click.echo(make_printable(str(path)))
