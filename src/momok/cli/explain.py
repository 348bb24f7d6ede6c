"""``momok explain``."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Literal

import click

from momok.cli import COMMANDS

if TYPE_CHECKING:
    from momok.prediction import ModelExplanation, Predictor

__all__ = ["command"]


@click.command("explain", short_help=COMMANDS["explain"])
@click.argument("run")
@click.argument("head", required=False)
@click.argument("relation", required=False)
@click.argument("tail", required=False)
@click.option("--model", is_flag=True, help="Explain the model instead of a fact.")
@click.option(
    "--asked",
    type=click.Choice(["tail", "head"]),
    default="tail",
    help="Which side is the answer: (HEAD, RELATION, ?) or (?, RELATION, TAIL) [tail].",
)
@click.option(
    "--limit",
    type=click.IntRange(min=0),
    default=5,
    metavar="COUNT",
    help="Length of the lists of similar entities and train facts [5].",
)
@click.option(
    "--graph",
    metavar="GRAPH",
    help="Where the graph of the run lies now, if it was moved: its features and pictures are "
    "shown [where it was].",
)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
def command(
    *,
    run: str,
    head: str | None,
    relation: str | None,
    tail: str | None,
    model: bool,
    asked: Literal["tail", "head"],
    limit: int,
    graph: str | None,
    as_json: bool,
) -> None:
    """Say what led the model of the run folder RUN to the probability of a fact.

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
    other in train; train facts about both sides.
    """
    given = [part for part in (head, relation, tail) if part is not None]
    if model == bool(given) or (given and len(given) != 3):
        raise click.UsageError("give HEAD, RELATION and TAIL of a fact, or --model")

    from momok.console import console
    from momok.prediction import Predictor

    predictor = Predictor(run, source=graph)
    about: dict[str, Any] = {"version": 1, "graph": predictor.graph.name, "run": run}
    out = console()
    if model:
        explained = _explain_model(predictor)
        if as_json:
            _print_json({"format": "momok-model-explanation"} | about | explained.to_json())
            return
        from momok.cli.views.model import model_view

        out.print(model_view(explained, width=out.width, ascii_only=out.options.ascii_only))
        return
    assert head is not None
    assert relation is not None
    assert tail is not None
    explanation = predictor.explain(head, relation, tail, asked=asked, limit=limit)
    if as_json:
        _print_json({"format": "momok-explanation"} | about | explanation.to_json())
        return
    from momok.cli.views.explanation import explanation_view

    out.print(explanation_view(explanation, ascii_only=out.options.ascii_only))


def _explain_model(predictor: Predictor) -> ModelExplanation:
    from momok.prediction import explain_model
    from momok.progress import ProgressBar

    with ProgressBar() as bar:
        return explain_model(predictor, progress=bar.progress)


def _print_json(value: dict[str, Any]) -> None:
    """JSON in readable letters; control characters are escaped, which a terminal would obey."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    safe = "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text)
    click.echo((safe + "\n").encode(), nl=False)
