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
    from momok.cli.outcome import show_outcome
    from momok.prediction.calibration.fit import calibrate_run
    from momok.progress import ProgressBar
    from momok.reporting import draw_plots
    from momok.training import resume

    with ProgressBar() as bar:
        folder = resume(run, progress=bar)
        calibrate_run(folder, progress=bar.progress)
        draw_plots(folder)
    show_outcome(folder)
