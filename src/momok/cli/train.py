"""``momok train`` and ``momok resume``."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import TYPE_CHECKING

import click

from momok.cli.completion import complete_graph, complete_preset, complete_setting
from momok.cli.ranks import ranks_option, start_asked
from momok.console import console, make_printable, print_line

if TYPE_CHECKING:
    from momok.progress import Reporter
    from momok.training import RunFolder


@click.command("train")
@click.argument("graph", shell_complete=complete_graph)
@click.option(
    "--preset",
    metavar="NAME",
    shell_complete=complete_preset,
    help="Settings to begin with: default, small, large, paper, experts, or a baseline: tucker, "
    "distmult, complex, rotate [default].",
)
@click.option("--config", "file", metavar="FILE", help="A TOML file with settings.")
@click.option(
    "--set",
    "overrides",
    multiple=True,
    shell_complete=complete_setting,
    metavar="KEY=VALUE",
    help="One setting, as training.epochs=20; may be repeated, and wins over the file.",
)
@click.option("--run", metavar="FOLDER", help="The run folder to make [runs/GRAPH-TIME].")
@click.option("--seed", type=int, metavar="N", help="Random seed; the same as --set seed=N.")
@click.option(
    "--from",
    "start",
    metavar="RUN",
    help="Start from the model of this run, whose graph has grown or changed since.",
)
@click.option(
    "--with-reviews",
    "reviews",
    metavar="FILE|RUN|ADDRESS",
    help="Decisions of reviewers: a file, a run folder or a database. Accepted facts join train, "
    "rejected ones are negatives.",
)
@click.option(
    "--track",
    metavar="NAMES",
    help="Experiment trackers: tensorboard, wandb or both; the same as --set training.track=NAMES.",
)
@ranks_option("Train in N processes, each with a part of the entities (for large graphs).")
@click.option("--strict", is_flag=True, help="Malformed lines in the graph are errors.")
@click.option("--quiet", is_flag=True, help="Print the run folder and nothing else.")
def train_command(
    *,
    graph: str,
    preset: str | None,
    file: str | None,
    overrides: tuple[str, ...],
    run: str | None,
    seed: int | None,
    start: str | None,
    reviews: str | None,
    track: str | None,
    ranks: int | None,
    strict: bool,
    quiet: bool,
) -> None:
    """Train MoMoK on a graph, choose a checkpoint by validation, test it once.

    GRAPH is a name that `momok data list` knows, or a folder. `momok config` lists the settings.
    Ctrl-C and SIGTERM save; `momok resume` continues, after a kill too.

    \b
    The bundled graph, briefly, into a folder of that name:
      momok train world --run runs/first --set training.epochs=20
    A graph of your own, with the settings of the paper and another seed:
      momok train my-graph --preset paper --seed 1
    A benchmark as the authors of MoMoK trained on it; a graph of some thousand entities, quickly;
    one of hundreds of thousands:
      momok train MKG-W --preset paper
      momok train my-graph --preset small
      momok train big-graph --preset large
    Without the pictures, to see what they are worth (momok report RUN RUN compares):
      momok train my-graph --set model.modalities=structure,text
    The graph has new facts, entities or relations since: start from the model that there is, with
    its settings and a third of its epochs
      momok train my-graph --from runs/mine --run runs/mine-2
    The same graph, with what reviewers have decided on the page of a run:
      momok train my-graph --from runs/mine --with-reviews runs/mine --run runs/mine-2
    With its curves in Weights & Biases and in TensorBoard:
      momok train world --track wandb,tensorboard
    A graph too large for one process, in four (on several machines: docs/scaling.md):
      momok train large-graph --preset large --ranks 4
    In the background; the log gets a line for every validation, and one every half minute:
      nohup momok train MKG-Y --run runs/mkg-y > mkg-y.log 2>&1 &

    The run folder then holds the settings, the graph's facts, the metrics of every epoch, the last
    and the best checkpoint, the results on validation and test, and plots.
    """
    from momok.cli.data_build import load_reviews
    from momok.config import resolve_config
    from momok.graph import load_graph
    from momok.graph.catalog import find_name
    from momok.graph.reviewed import ReviewedFacts, apply_reviews
    from momok.progress import open_reporter
    from momok.training import RunFolder, settings_from, train
    from momok.training.new_run import check_free
    from momok.training.sharding import leads

    start_asked(ranks)
    if run is not None:
        check_free(run)
    if seed is not None:
        overrides = (*overrides, f"seed={seed}")
    if track is not None:
        overrides = (*overrides, f"training.track={track}")
    before = None if start is None else RunFolder(start)
    base = None if before is None else settings_from(before)
    name = find_name(graph)
    config = resolve_config(preset, file=file, overrides=overrides, base=base, graph=name)
    reviewed = load_reviews(reviews) or ReviewedFacts()
    with open_reporter(not quiet) as reporter:
        # nothing here keeps the graph: training drops its features as soon as the tables have them
        folder = train(
            apply_reviews(load_graph(graph, split=config.data.split, strict=strict), reviewed),
            config,
            run=run,
            start=before,
            progress=reporter,
            finish=finish_run,
        )
    if not leads():
        return
    if quiet:
        print_line(str(folder.path))
    else:
        _show_outcome(folder)


@click.command("resume")
@click.argument("run")
@ranks_option("Go on in N processes, however many it began with.")
def resume_command(run: str, ranks: int | None) -> None:
    """Continue an interrupted or killed run from its last checkpoint.

    On CPU the result equals that of an uninterrupted run, bit for bit, in as many processes.
    """
    from momok.progress import ProgressBar
    from momok.training import resume
    from momok.training.sharding import leads

    start_asked(ranks)

    with ProgressBar() as bar:
        folder = resume(run, progress=bar, finish=finish_run)
    if leads():
        _show_outcome(folder)


def finish_run(run: RunFolder, reporter: Reporter) -> None:
    """Calibrate a trained run and draw its plots."""
    from momok.prediction.calibration.fit import calibrate_run
    from momok.reporting import draw_plots

    calibrate_run(run, progress=reporter.progress)
    draw_plots(run)


def show_result(run: RunFolder) -> None:
    """Print the test table of a finished run, under the run's own protocol."""
    from momok.cli.views.metrics import build_heads_table, describe_protocol

    evaluation = run.load_evaluation("test", run.config.evaluation.protocol)
    console().print(build_heads_table(evaluation, str(run.data["name"])))
    console().print(describe_protocol(evaluation))


def quote_path(path: Path) -> str:
    """A path as a shell takes it, safe to print."""
    return make_printable(shlex.quote(str(path)))


def _show_outcome(run: RunFolder) -> None:
    """Print the test table of a finished run and the next commands."""
    show_result(run)
    folder = quote_path(run.path)
    for line in (
        "",
        f"Run folder: {folder}",
        f"Plots:      {folder}/plots (curves, heads, relations and others)",
        f"Next:       momok evaluate {folder}",
        f"            momok predict {folder} --head ENTITY --relation RELATION",
    ):
        print_line(line)
