"""``momok evaluate`` and ``momok calibrate``: how good the answers of a run are."""

from __future__ import annotations

from typing import Literal

import click

from momok.console import console, print_json, print_line

GROUPINGS = ("head", "side", "relation", "cardinality", "presence", "seen", "ties")


@click.command("evaluate")
@click.argument("run")
@click.option(
    "--split",
    type=click.Choice(["valid", "test"]),
    default="test",
    help="Which facts to rank [test].",
)
@click.option(
    "--protocol",
    type=click.Choice(["clean", "published"]),
    help="clean: the checkpoint chosen on validation. published: the best of each metric over "
    "epochs, for comparison only [as the run was trained].",
)
@click.option(
    "--by",
    "groupings",
    type=click.Choice(GROUPINGS),
    multiple=True,
    default=("head", "ties", "side", "cardinality", "seen"),
    help="Which tables to print; may be repeated [head, ties, side, cardinality, seen].",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def evaluate_command(
    *,
    run: str,
    split: Literal["valid", "test"],
    protocol: Literal["clean", "published"] | None,
    groupings: tuple[str, ...],
    as_json: bool,
) -> None:
    """Rank the held-out facts of a run: filtered MRR and Hits, by head and by every grouping.

    The result is also written into the run folder, with the rank of every query.
    """
    from momok.training import RunFolder, evaluate_run

    folder = RunFolder(run)
    evaluation = evaluate_run(folder, split, protocol=protocol, progress=True)
    if as_json:
        print_json(evaluation.to_json())
        return
    from momok.cli.views.metrics import show_evaluation

    show_evaluation(console(), evaluation, folder.load_graph(), dict.fromkeys(groupings))
    print_line(f"Written to {folder.path}/results")


@click.command("calibrate")
@click.argument("run")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def calibrate_command(run: str, as_json: bool) -> None:
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
        from momok.cli.views.metrics import build_calibration_table

        console().print(build_calibration_table(calibration))
