"""``momok explain``."""

from __future__ import annotations

from typing import Any, Literal

import click

from momok.cli.remarks import say_if_not_calibrated
from momok.console import console, print_json


@click.command("explain")
@click.argument("run")
@click.argument("fact", nargs=-1, metavar="[HEAD RELATION TAIL]")
@click.option("--model", is_flag=True, help="Explain the model instead of a fact.")
@click.option(
    "--asked",
    type=click.Choice(["tail", "head"]),
    default="tail",
    help="Which side is the answer: (HEAD, RELATION, ?) or (?, RELATION, TAIL) [tail].",
)
@click.option(
    "--limit",
    type=click.IntRange(0),
    default=5,
    help="Length of the lists of rules, similar entities and train facts [5].",
)
@click.option(
    "--graph",
    metavar="GRAPH",
    help="Where the graph of the run is now, if it was moved: its features and pictures are "
    "shown [where it was].",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def command(
    *,
    run: str,
    fact: tuple[str, ...],
    model: bool,
    asked: Literal["tail", "head"],
    limit: int,
    graph: str | None,
    as_json: bool,
) -> None:
    """Explain the probability of a fact by the model of the run folder RUN.

    HEAD, RELATION and TAIL are given by label or by name, in quotes where there are blanks; the
    fact may be known or new. docs/explanations.md says what each number means, from which
    equation, and what it does not mean.

    \b
    Why does the model (not) believe that France borders Spain?
      momok explain RUN "France" borders "Spain"
    The same as data, with ten similar entities and train facts each:
      momok explain RUN "France" borders "Spain" --limit 10 --json
    Which experts and modalities serve which relation, and how far the experts differ:
      momok explain RUN --model

    Of a fact: the probability of each decision head and its share in the answer; the share of
    each modality; the weights of its experts beside the average of the relation; entities that
    resemble one side (cosine, and the place among all entities) and hold the relation to the
    other in train; train facts about both sides. Of a run with a pool also the rules that speak for
    the fact, with the facts that they rest on.
    """
    if len(fact) != (0 if model else 3):
        raise click.UsageError("give HEAD, RELATION and TAIL of a fact, or --model")

    from momok.prediction import Predictor, explain_model
    from momok.progress import ProgressBar

    predictor = Predictor(run, source=graph)
    say_if_not_calibrated(run, predictor.calibration)
    about: dict[str, Any] = {"version": 1, "graph": predictor.graph.name, "run": run}
    if model:
        with ProgressBar() as bar:
            learned = explain_model(predictor, progress=bar.progress)
        if as_json:
            print_json({"format": "momok-model-explanation"} | about | learned.to_json())
        else:
            from momok.cli.views.model import show_model

            console().print(show_model(learned))
        return
    explanation = predictor.explain(*fact, asked=asked, limit=limit)
    if as_json:
        print_json({"format": "momok-explanation"} | about | explanation.to_json())
    else:
        from momok.cli.views.explanation import show_explanation

        console().print(show_explanation(explanation))
