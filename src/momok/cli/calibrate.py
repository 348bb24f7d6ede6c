"""``momok calibrate``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from momok.console import console, make_printable, print_json

if TYPE_CHECKING:
    from rich.table import Table

    from momok.prediction.calibration.record import Calibration


@click.command("calibrate")
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
    from momok.prediction.calibration.fit import calibrate_run
    from momok.progress import ProgressBar

    with ProgressBar() as bar:
        calibration = calibrate_run(run, progress=bar.progress)
    if as_json:
        print_json(calibration.to_json())
    else:
        console().print(_build_table(calibration))


def _build_table(calibration: Calibration) -> Table:
    from momok.cli.views.parts import build_table

    table = build_table(
        *("output", "method", "log-loss\nbefore", "\nafter", "ECE\nbefore", "\nafter"),
        *("ECE, best\nbefore", "\nafter"),
        text=2,
        title="Calibration: fitted on validation, judged on test",
    )
    for name, output in calibration.outputs.items():
        values: list[float | None] = [None] * 6
        if output.raw is not None and output.calibrated is not None:
            raw, new = output.raw, output.calibrated
            values = [raw.log_loss, new.log_loss, raw.ece_shown, new.ece_shown]
            values += [raw.ece_top, new.ece_top]
        cells = ("–" if value is None else f"{value:.4f}" for value in values)
        table.add_row(make_printable(name), output.map.method, *cells)
    return table
