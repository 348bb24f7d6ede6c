"""``momok report`` and ``momok plot``."""

from __future__ import annotations

import gc

import click

from momok.console import print_line


@click.command("report")
@click.argument("runs", metavar="RUN [RUN ...]", nargs=-1, required=True)
@click.option(
    "--out",
    metavar="FILE",
    help="The HTML file to write [RUN/report.html; for several runs momok-report.html].",
)
@click.option("--no-pictures", is_flag=True, help="Leave the pictures of entities out.")
@click.option("--plots", is_flag=True, help="Save the figures as PNG and SVG too.")
def report_command(runs: tuple[str, ...], out: str | None, no_pictures: bool, plots: bool) -> None:
    """Write the report of a run as one HTML file, or compare several runs in one.

    The page needs no network and runs no script: it can be mailed and archived. It is light or dark
    as the reader's system is, and prints well. --plots saves its figures as PNG and SVG too: in
    RUN/plots; beside a file given by --out, or of several runs, in a folder FILE-plots.

    \b
    One run, also of one that is not finished:
      momok report runs/world
    Three seeds, with mean and standard deviation; each against the first:
      momok report runs/seed0 runs/seed1 runs/seed2 --out seeds.html
    Two settings with two seeds each; runs of the same settings are put together:
      momok report runs/base0 runs/base1 runs/text0 runs/text1

    Runs can be compared when they were trained and tested on the same facts. Differences are given
    with 95% intervals over seeds and test facts.
    """
    # Imports and figures make objects that stay: looking for garbage was a fifth of the time.
    gc.set_threshold(100_000, 50, 100)
    from momok.progress import ProgressBar
    from momok.reporting.report import write_report

    with ProgressBar() as bar:
        path = write_report(
            runs, out=out, pictures=not no_pictures, plots=plots, progress=bar.progress
        )
    print_line(str(path))


@click.command("plot")
@click.argument("run")
def plot_command(run: str) -> None:
    """Save the figures of a run's report again, as PNG and SVG; also of one that is not finished.

    How it was trained, what it reaches, and, as soon as there is a checkpoint, what the model has
    learned of the relations: experts, modalities, disentanglement (docs/explanations.md).
    """
    from momok.progress import ProgressBar
    from momok.reporting import draw_plots
    from momok.training import RunFolder

    with ProgressBar() as bar:
        written = draw_plots(RunFolder(run), model=True, progress=bar.progress)
    for path in written:
        print_line(str(path))
