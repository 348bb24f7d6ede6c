"""``momok predict``."""

from __future__ import annotations

import csv
import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from momok.cli import COMMANDS

if TYPE_CHECKING:
    from momok.prediction import Predictions

__all__ = ["command"]

_FILE_WIDTH = 120  # columns of a table that is written into a file
_SUFFIXES = {".json": "json", ".csv": "csv"}


@click.command("predict", short_help=COMMANDS["predict"])
@click.argument("run")
@click.argument("words", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--head", metavar="ENTITY", help="The head that is given; tails are predicted.")
@click.option(
    "--relation",
    "relations",
    metavar="RELATION",
    multiple=True,
    help="The relation of the fact; with --all-missing several may be given [all].",
)
@click.option("--tail", metavar="ENTITY", help="The tail that is given; heads are predicted.")
@click.option(
    "--new-entity",
    metavar="KEY=VALUE",
    multiple=True,
    help="What is known of an entity that the graph does not have: name, text, image; several in "
    "a row, or the option again.",
)
@click.option(
    "--as",
    "role",
    type=click.Choice(["head", "tail"]),
    help="With --new-entity: the side of the fact that it is; the other is predicted [head].",
)
@click.option(
    "--graph",
    metavar="GRAPH",
    help="With --new-entity: where the graph of the run lies now, if it was moved.",
)
@click.option("-k", type=click.IntRange(min=1), metavar="COUNT", help="How many answers [10].")
@click.option(
    "--known",
    type=click.Choice(["mark", "hide"]),
    help="Facts that the graph has already: say so, or leave them out [mark].",
)
@click.option(
    "--format",
    "form",
    type=click.Choice(["table", "json", "csv"]),
    help="How to print [by the ending of --output, else table].",
)
@click.option(
    "--output", "--out", metavar="FILE", help="Write into a file instead; whole or not at all."
)
@click.option(
    "--all-missing",
    is_flag=True,
    help="Rank new facts over all pairs of entities, into --output (.parquet, .csv, .jsonl, .nt).",
)
@click.option(
    "--per-relation",
    type=click.IntRange(min=1),
    metavar="COUNT",
    help="With --all-missing: how many facts of a relation at most [that of --top, or 1000].",
)
@click.option(
    "--top",
    type=click.IntRange(min=1),
    metavar="COUNT",
    help="With --all-missing: how many facts at most over all relations [no limit].",
)
@click.option(
    "--min-probability",
    type=click.FloatRange(0, 1),
    metavar="P",
    help="With --all-missing: the least calibrated probability, 0 to 1 [any].",
)
@click.option(
    "--plausible",
    is_flag=True,
    help="Only entities that the relation has on that side in train; and no entity with itself, "
    "unless it has such facts.",
)
@click.option(
    "--memory-mb",
    type=click.IntRange(min=1),
    metavar="MB",
    help="With --all-missing: megabytes of score buffers [256].",
)
@click.option(
    "--rdf",
    type=click.Choice(["star", "rdf12", "reification"]),
    help="With .nt: a fact as a quoted triple, an RDF 1.2 triple term, or a statement [star].",
)
@click.option(
    "--base-iri",
    metavar="IRI",
    help="With .nt: what labels that are no IRIs are put under [urn:momok:].",
)
def command(
    *,
    run: str,
    words: tuple[str, ...],
    head: str | None,
    relations: tuple[str, ...],
    tail: str | None,
    new_entity: tuple[str, ...],
    role: Literal["head", "tail"] | None,
    graph: str | None,
    k: int | None,
    known: Literal["mark", "hide"] | None,
    form: str | None,
    output: str | None,
    all_missing: bool,
    plausible: bool,
    **bulk: Any,
) -> None:
    """Predict the missing side of a fact, or the missing facts, with the model of the folder RUN.

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
      momok predict RUN --head France --relation borders -k 100 --output france.csv
    An entity that came after training, and has no facts yet:
      momok predict RUN --new-entity name="Republic of Nuku" image=flag.png --relation "located in"
    Which countries would pay with a new currency?
      momok predict RUN --new-entity name="Nuku Dollar" --as tail --relation currency
    What is missing in the whole graph, at least as likely as one in ten?
      momok predict RUN --all-missing --min-probability 0.1 --out new.parquet
    The 500 best new facts of two relations, between entities of the right kind:
      momok predict RUN --all-missing --relation borders --relation currency \\
        --plausible --top 500 --out new.csv

    The score is the mean over the model's decision heads of the probability each gives. The
    percentages say how much of the score came from each modality: its own head, and its part in
    the joint head. They explain the number, not the world: a large share does not mean that the
    modality was needed. In brackets where the entity has no features of that modality.

    In a calibrated run (momok calibrate) there is a probability too: how often such an answer was
    a held-out fact. docs/prediction.md says what it means, and what that of a new fact means.

    --plausible helps where answers have a kind (countries, currencies). It hurts where every answer
    is given once: a capital that the graph does not know yet is no capital in train.

    JSON has, per answer: rank, label, name, score, known (train, valid, test or null), heads,
    shares and present, each by name, probability and head_probabilities (null where the run is not
    calibrated). CSV has one column per head and per share. Nothing else goes to the standard
    output.

    A new entity is encoded as the graph was (momok encode), so the graph must be where it was and
    its encoders installed. name= is its name, text= a description, image= a picture file (again for
    several); MODALITY=@vector.npy gives a feature vector instead. The heads of what it has vote,
    and beside them the entities of the graph that are similar to it. docs/prediction.md says how
    good the answers are: from people's names alone expect little.

    With --all-missing, a fact's score is the lower of the model's answers to its two questions, and
    facts of train, validation and test are left out. It takes minutes on a large graph; killed, it
    goes on where it was when the same command is given again.
    """
    alone = {"--head": head, "--tail": tail}
    new = {"--new-entity": new_entity or None, "--as": role, "--graph": graph}
    if words and not new_entity:
        raise click.UsageError(f"{words[0]!r}: expected an option; KEY=VALUE follows --new-entity")
    if all_missing:
        from momok.cli.predict_bulk import predict_all_missing

        unfit = {"--format": form, "-k": k, "--known": known}
        _refuse(given=alone | new | unfit, where="--all-missing")
        if output is None:
            raise click.UsageError("--all-missing needs --output FILE")
        predict_all_missing(run, output, relations, plausible=plausible, **bulk)
        return
    options = {f"--{name.replace('_', '-')}": value or None for name, value in bulk.items()}
    _refuse(given=options, where="a single question; it goes with --all-missing")
    if new_entity:
        _refuse(given=alone, where="--new-entity, which is the side that is given")
        _refuse(given={"--known": known}, where="--new-entity, of which no fact is known")
    else:
        _refuse(given=new, where="--head or --tail; it goes with --new-entity")
        if (head is None) == (tail is None):
            raise click.UsageError(
                "give exactly one of --head and --tail, or --new-entity; the other is predicted"
            )
    if len(relations) != 1:
        raise click.UsageError("give --relation, once")
    [relation] = relations
    k, known = k or 10, known or "mark"
    predictions: Predictions
    if new_entity:
        from momok.cli.predict_new import predict_new
        from momok.prediction.new_entities import SIMILAR

        predictor, predictions = predict_new(
            run,
            (*new_entity, *words),
            relation,
            role=role or "head",
            k=k,
            graph=graph,
            plausible=plausible,
        )
        heads = (*predictor.heads, SIMILAR)
    else:
        from momok.prediction import Predictor

        predictor = Predictor(run)
        predictions = predictor.predict(
            head=head, relation=relation, tail=tail, k=k, known=known, plausible=plausible
        )
        heads = predictor.heads
    about = {"graph": predictor.graph.name, "run": run, "known": known, "plausible": plausible}
    _show(predictions, heads, form, output, about)


def _show(
    predictions: Predictions,
    heads: tuple[str, ...],
    form: str | None,
    output: str | None,
    about: dict[str, Any],
) -> None:
    """Print the answers, or write them into a file."""
    chosen = form or _SUFFIXES.get(Path(output or "").suffix.lower(), "table")
    if chosen == "json":
        content = _to_json(predictions, about)
    elif chosen == "csv":
        content = _to_csv(predictions, heads, output is None and sys.stdout.isatty())
    elif output is None:
        _print_table(predictions)
        return
    else:
        content = _to_text(predictions)
    _deliver(content, output, len(predictions))


def _refuse(*, given: dict[str, Any], where: str) -> None:
    for option, value in given.items():
        if value is not None:
            raise click.UsageError(f"{option} does not go with {where}")


def _print_table(predictions: Predictions) -> None:
    from momok.cli.views.predictions import prediction_table
    from momok.console import console

    out = console()
    ascii_only = out.options.ascii_only
    out.print(prediction_table(predictions, width=out.width, ascii_only=ascii_only))


def _to_text(predictions: Predictions) -> str:
    from rich.console import Console

    from momok.cli.views.predictions import prediction_table

    plain = Console(file=io.StringIO(), width=_FILE_WIDTH, color_system=None)
    with plain.capture() as captured:
        plain.print(prediction_table(predictions, width=_FILE_WIDTH))
    return "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"


def _to_json(predictions: Predictions, about: dict[str, Any]) -> str:
    """JSON in readable letters; control characters are escaped, which a terminal would obey."""
    value = {"format": "momok-predictions", "version": 1} | about | predictions.to_json()
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    return "".join(c if c.isprintable() or c == "\n" else json.dumps(c)[1:-1] for c in text) + "\n"


def _to_csv(predictions: Predictions, heads: tuple[str, ...], safe: bool) -> str:
    """CSV; ``safe`` escapes control characters, for a terminal (a file gets labels as they are)."""
    from momok.console import make_printable

    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    columns = [f"head_{head}" for head in heads] + [
        f"share_{name}" for name in predictions.query_present
    ]
    writer.writerow(["rank", "label", "name", "score", "known", *columns, "probability"])
    for p in predictions:
        names = [make_printable(n) if safe else n for n in (p.label, p.name)]
        values = [*(p.heads.get(head) for head in heads), *p.shares.values(), p.probability]
        writer.writerow([p.rank, *names, p.score, p.known or "", *values])
    return text.getvalue()


def _deliver(content: str, output: str | None, count: int) -> None:
    if output is None:
        click.echo(content.encode(), nl=False)  # UTF-8, whatever the terminal has
        return
    from momok.console import error_console, make_printable
    from momok.storage import write_file

    write_file(Path(output), content.encode())
    error_console().print(f"{count} predictions written to {make_printable(output)}")
