"""``momok calibrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from momok.cli import COMMANDS

if TYPE_CHECKING:
    from rich.table import Table

    from momok.prediction.calibration.record import Calibration

__all__ = ["command"]


@click.command("calibrate", short_help=COMMANDS["calibrate"])
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def command(*, run: str, as_json: bool) -> None:
    """Calibrate the probabilities of the run folder RUN on its validation facts.

    Training does it at its end; this does it again, or for runs made before. For every decision
    head, for the answer and for new facts the method with the least log-loss on validation is
    chosen, by cross-fitting; test is only reported on. It leaves results/calibration.json, which
    predict, explain, report and serve use.

    \b
      momok calibrate runs/mkg-y

    ECE is the expected calibration error on test, of candidates with a probability of at least 1 %:
    how far probabilities are from the share that was true. docs/prediction.md says what they mean.
    """
    import json

    from momok.console import console
    from momok.prediction.calibration.fit import calibrate_run
    from momok.progress import ProgressBar

    with ProgressBar() as bar:
        calibration = calibrate_run(run, progress=bar.progress)
    if as_json:
        click.echo(json.dumps(calibration.to_json(), indent=2))
        return
    console().print(_build_table(calibration))


def _build_table(calibration: Calibration) -> Table:
    from rich.table import Table
    from rich.text import Text

    from momok.console import make_printable

    table = Table(
        title="Calibration: fitted on validation, judged on test",
        title_justify="left",
        title_style="bold",
    )
    table.add_column("output")
    table.add_column("method")
    for column in ("log-loss, raw", "calibrated", "ECE, raw", "calibrated", "of the best, raw",
                   "calibrated"):  # fmt: skip
        table.add_column(column, justify="right")
    for name, output in calibration.outputs.items():
        cells: list[Text | str] = [Text(make_printable(name)), output.map.method]
        if output.raw is None or output.calibrated is None:
            table.add_row(*cells, *["–"] * 6)
            continue
        for raw, new in (
            (output.raw.log_loss, output.calibrated.log_loss),
            (output.raw.ece_shown, output.calibrated.ece_shown),
            (output.raw.ece_top, output.calibrated.ece_top),
        ):
            cells += ["–" if value is None else f"{value:.4f}" for value in (raw, new)]
        table.add_row(*cells)
    return table
