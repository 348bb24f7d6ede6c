"""``momok train``."""

from __future__ import annotations

import click

from momok.cli import COMMANDS

__all__ = ["command"]


@click.command("train", short_help=COMMANDS["train"])
@click.argument("graph")
@click.option("--preset", metavar="NAME", help="Settings to begin with: default, paper [default].")
@click.option("--config", "file", metavar="FILE", help="A TOML file with settings.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    metavar="KEY=VALUE",
    help="One setting, as training.epochs=20; may be repeated, and wins over the file.",
)
@click.option("--run", metavar="FOLDER", help="The run folder to make [runs/GRAPH-TIME].")
@click.option("--seed", type=int, metavar="N", help="Fixes everything random; as --set seed=N.")
@click.option("--strict", is_flag=True, help="Malformed lines in the graph are errors.")
@click.option("--quiet", is_flag=True, help="Print the run folder and nothing else.")
def command(
    *,
    graph: str,
    preset: str | None,
    file: str | None,
    overrides: tuple[str, ...],
    run: str | None,
    seed: int | None,
    strict: bool,
    quiet: bool,
) -> None:
    """Train MoMoK on a graph, choose a checkpoint by validation, test it once.

    GRAPH is a name that `momok data list` knows, or a folder. `momok config` lists the settings.
    Ctrl-C saves; `momok resume` goes on, after a kill too.

    \b
    The bundled graph, briefly, into a folder of that name:
      momok train world --run runs/first --set training.epochs=20
    A graph of your own, with the settings of the paper and another seed:
      momok train my-graph --preset paper --seed 1
    Without the pictures, to see what they are worth (momok report RUN RUN compares):
      momok train my-graph --set model.modalities=structure,text
    In the background; the log gets a line for every validation, and one every half minute:
      nohup momok train MKG-Y --run runs/mkg-y > mkg-y.log 2>&1 &

    The run folder then holds the settings, the graph's facts, the metrics of every epoch, the last
    and the best checkpoint, the results on validation and test, and plots.
    """
    from momok.cli.outcome import show_outcome
    from momok.config import resolve_config
    from momok.console import make_printable
    from momok.graph import load_graph
    from momok.prediction.calibration.fit import calibrate_run
    from momok.progress import open_reporter
    from momok.reporting import draw_plots
    from momok.training import train

    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    config = resolve_config(preset, file=file, overrides=overrides)
    with open_reporter(not quiet) as reporter:
        # nothing here keeps the graph: training drops its features as soon as the tables have them
        folder = train(
            load_graph(graph, split=config.data.split, strict=strict),
            config,
            run=run,
            progress=reporter,
        )
        calibrate_run(folder, progress=reporter.progress)
        draw_plots(folder)
    if quiet:
        click.echo(make_printable(str(folder.path)))
    else:
        show_outcome(folder)
