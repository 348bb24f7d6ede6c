"""``momok evaluate`` and ``momok calibrate``: how good the answers of a run are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from momok.cli.among import among_options, read_among
from momok.cli.ranks import ranks_option, start_asked
from momok.console import console, print_json, print_line

if TYPE_CHECKING:
    from momok.training import RunFolder

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
    "--task",
    type=click.Choice(["links", "relations", "classification"]),
    default="links",
    help="links: rank heads and tails. relations: rank the relation of (head, ?, tail). "
    "classification: tell true facts from false ones [links].",
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
@among_options()
@ranks_option("Rank in N processes, each with a part of the entities.")
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def evaluate_command(
    *,
    run: str,
    split: Literal["valid", "test"],
    task: Literal["links", "relations", "classification"],
    protocol: Literal["clean", "published"] | None,
    groupings: tuple[str, ...],
    ranks: int | None,
    as_json: bool,
    **limits: str | None,
) -> None:
    """Rank the held-out facts of a run: filtered MRR and Hits, by head and by every grouping.

    The result is also written into the run folder, with the rank of every query.

    \b
    How well are capitals told from other cities, not from countries?
      momok evaluate RUN --among-tails city

    With --among answers are ranked among some entities alone, which is easier; questions whose
    answer is none of these are left out and counted. That result is kept apart, in
    results/SPLIT-among.json.

    --task relations ranks the true relation between two entities among all, on at most 1,000 facts;
    --task classification chooses a threshold for every relation on validation facts and as many
    false ones, and judges it on the split: against false facts of any entities, and of entities
    that the relation has on that side. docs/prediction.md says how both are made.
    """
    from momok.training import RunFolder, evaluate_run
    from momok.training.sharding import leads

    folder = RunFolder(run)
    if task != "links":
        context = click.get_current_context()
        links = {"groupings": "--by", "protocol": "--protocol", "ranks": "--ranks"}
        for name, option in (links | dict.fromkeys(limits, "--among")).items():
            if context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT:
                raise click.UsageError(f"{option} is of --task links; leave it out")
        _evaluate_task(folder, task, split, as_json=as_json)
        return
    start_asked(ranks)
    among = read_among(folder.load_graph(), **limits) if any(limits.values()) else None
    evaluation = evaluate_run(folder, split, protocol=protocol, among=among, progress=True)
    if not leads():
        return
    if as_json:
        print_json(evaluation.to_json())
        return
    from momok.cli.views.metrics import show_evaluation

    show_evaluation(console(), evaluation, folder.load_graph(), dict.fromkeys(groupings))
    print_line(f"Written to {folder.path}/results")


def _evaluate_task(
    folder: RunFolder,
    task: Literal["relations", "classification"],
    split: Literal["valid", "test"],
    *,
    as_json: bool,
) -> None:
    from momok.cli.views.tasks import show_classification, show_relation_evaluation
    from momok.prediction.classification import classify
    from momok.prediction.relations import evaluate_relations
    from momok.prediction.scorer import Scorer
    from momok.progress import ProgressBar
    from momok.storage import write_json

    with ProgressBar() as bar:
        scorer = Scorer(folder, calibrated=False)
        graph = scorer.graph
        if task == "relations":
            relations = evaluate_relations(scorer, split, progress=bar.progress)
            value, shown = relations.to_json(), show_relation_evaluation(relations, graph)
        else:
            found = {
                kind: classify(scorer, split, false_facts=kind, progress=bar.progress)
                for kind in ("any", "typed")
            }
            value = {kind: c.to_json() for kind, c in found.items()}
            shown = show_classification(found, graph)
    path = folder.path / "results" / f"{task}-{split}.json"
    write_json(path, value)
    if as_json:
        print_json(value)
    else:
        console().print(shown)
        print_line(f"Written to {path}")


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
