"""``momok predict``, and how answers are printed or written into a file."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from momok.console import console, error_console, format_json, make_printable, print_json
from momok.errors import ConfigError

if TYPE_CHECKING:
    from momok.prediction import Predictions

_FILE_WIDTH = 120  # columns of a table that is written into a file
_FORMATS = {".json": "json", ".csv": "csv"}
_OWN_COMMANDS = {"--all-missing": "predict-missing", "--new-entity": "predict-new"}


class _Predict(click.Command):
    """Names the commands that some of its former options have become."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        for option, command in _OWN_COMMANDS.items():
            if any(arg.split("=")[0] == option for arg in args):
                raise ConfigError(
                    f"{option} is a command of its own: momok {command} RUN ... "
                    f"(see momok {command} --help)"
                )
        return super().parse_args(ctx, args)


plausible_option = click.option(
    "--plausible",
    is_flag=True,
    help="Only entities that the relation has on that side in train; and no entity with itself, "
    "unless it has such facts.",
)


def add_answer_options(command: Callable[..., None]) -> Callable[..., None]:
    """Add the options that predict and predict-new share."""
    for option in (
        click.option(
            "--out", metavar="FILE", help="Write into a file instead; whole or not at all."
        ),
        click.option(
            "--format",
            "form",
            type=click.Choice(["table", "json", "csv"]),
            help="How to print [by the ending of --out, else table].",
        ),
        plausible_option,
        click.option(
            "-k",
            type=click.IntRange(min=1),
            default=10,
            metavar="COUNT",
            help="How many answers [10].",
        ),
    ):
        command = option(command)
    return command


@click.command("predict", cls=_Predict)
@click.argument("run")
@click.option("--head", metavar="ENTITY", help="The head that is given; tails are predicted.")
@click.option("--relation", required=True, metavar="RELATION", help="The relation of the fact.")
@click.option("--tail", metavar="ENTITY", help="The tail that is given; heads are predicted.")
@click.option(
    "--known",
    type=click.Choice(["mark", "hide"]),
    default="mark",
    help="Facts that the graph has already: mark them, or leave them out [mark].",
)
@add_answer_options
def command(
    *,
    run: str,
    head: str | None,
    relation: str,
    tail: str | None,
    k: int,
    known: Literal["mark", "hide"],
    plausible: bool,
    form: str | None,
    out: str | None,
) -> None:
    """Predict the missing side of a fact with the model of the run folder RUN.

    Give a relation and one side: the other side is ranked, best first. Entities and relations are
    given by label or by name, in quotes where there are blanks; a mistyped one gets suggestions.

    \b
    Which countries border France?
      momok predict RUN --head France --relation borders
    What has Paris as its capital? Only what the graph does not know yet:
      momok predict RUN --tail Paris --relation capital --known hide
    Which countries may border Brazil that the graph does not know of? Countries only:
      momok predict RUN --head Brazil --relation borders --known hide --plausible
    The best 100 as data:
      momok predict RUN --head France --relation borders -k 100 --out france.csv

    The score is the mean over the model's decision heads of the probability each gives. The
    percentages say how much of the score came from each modality: its own head, and its part in
    the joint head. They explain the number, not the world: a large share does not mean that the
    modality was needed. In brackets where the entity has no features of that modality.

    In a calibrated run (momok calibrate) there is a probability too: how often such an answer was
    a held-out fact. docs/prediction.md says what it means.

    --plausible helps where answers have a kind (countries, currencies). It hurts where every answer
    is given once: a capital that the graph does not know yet is no capital in train.

    JSON has, per answer: rank, label, name, score, known (train, valid, test or null), heads,
    shares and present, each by name, probability and head_probabilities (null where the run is not
    calibrated). CSV has one column per head and per share. Nothing else goes to the standard
    output.

    `momok predict-new` asks about an entity that the graph does not have, `momok predict-missing`
    for the missing facts of the whole graph.
    """
    if (head is None) == (tail is None):
        raise click.UsageError("give exactly one of --head and --tail; the other is predicted")

    from momok.prediction import Predictor

    predictor = Predictor(run)
    predictions = predictor.predict(
        head=head, relation=relation, tail=tail, k=k, known=known, plausible=plausible
    )
    about = {"graph": predictor.graph.name, "run": run, "known": known, "plausible": plausible}
    give_answers(predictions, predictor.heads, form, out, about)


def give_answers(
    predictions: Predictions,
    heads: Sequence[str],
    form: str | None,
    out: str | None,
    about: dict[str, Any],
) -> None:
    """Print the answers, or write them into a file."""
    from momok.cli.views.predictions import show_predictions

    form = form or _FORMATS.get(Path(out or "").suffix.lower(), "table")
    value = {"format": "momok-predictions", "version": 1} | about | predictions.to_json()
    if out is not None:
        if form == "json":
            content = format_json(value)
        elif form == "csv":
            content = _format_csv(predictions, heads)
        else:
            content = _format_table(predictions)
        _write(out, content, len(predictions))
    elif form == "json":
        print_json(value)
    elif form == "csv":
        content = _format_csv(predictions, heads, safe=sys.stdout.isatty())
        click.echo(content.encode(), nl=False)  # UTF-8, whatever the terminal has
    else:
        console().print(show_predictions(predictions, width=console().width))


def _format_table(predictions: Predictions) -> str:
    from rich.console import Console

    from momok.cli.views.predictions import show_predictions

    plain = Console(file=io.StringIO(), width=_FILE_WIDTH, color_system=None)
    with plain.capture() as captured:
        plain.print(show_predictions(predictions, width=_FILE_WIDTH))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _format_csv(predictions: Predictions, heads: Sequence[str], *, safe: bool = False) -> str:
    """CSV; ``safe`` escapes control characters, for a terminal (a file gets labels as they are)."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"head_{head}" for head in heads]
    columns += [f"share_{name}" for name in predictions.query_present]
    writer.writerow(["rank", "label", "name", "score", "known", *columns, "probability"])
    for p in predictions:
        names = [make_printable(n) if safe else n for n in (p.label, p.name)]
        values = [*(p.heads.get(head) for head in heads), *p.shares.values(), p.probability]
        writer.writerow([p.rank, *names, p.score, p.known or "", *values])
    return text.getvalue()


def _write(out: str, content: str, count: int) -> None:
    from momok.storage import write_file

    write_file(Path(out), content.encode())
    error_console().print(f"{count} predictions written to {make_printable(out)}", soft_wrap=True)
