"""``momok predict`` and ``momok predict-new``, and how answers are printed or written."""

from __future__ import annotations

import csv
import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from momok.cli.among import LIMITS, among_options, read_among
from momok.cli.remarks import say_if_not_calibrated
from momok.console import console, error_console, format_json, make_printable
from momok.errors import ConfigError

if TYPE_CHECKING:
    from momok.prediction import Predictions, RelationPredictions

_FILE_WIDTH = 120  # columns of a table that is written into a file
_FORMATS = {".json": "json", ".csv": "csv"}

relation_option = click.option(
    "--relation", required=True, metavar="RELATION", help="The relation of the fact."
)
plausible_option = click.option(
    "--plausible",
    is_flag=True,
    help="Only entities that the relation has on that side in train.",
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
        click.option("-k", type=click.IntRange(1), default=10, help="How many answers [10]."),
    ):
        command = option(command)
    return command


@click.command("predict")
@click.argument("run")
@click.option("--head", metavar="ENTITY", help="The head that is given; tails are predicted.")
@click.option(
    "--relation",
    metavar="RELATION",
    help="The relation of the fact; without it relations between head and tail are predicted.",
)
@click.option("--tail", metavar="ENTITY", help="The tail that is given; heads are predicted.")
@click.option(
    "--questions",
    metavar="FILE",
    help="A table of questions, or of facts to be scored, instead of one question.",
)
@click.option(
    "--ray",
    metavar="ADDRESS",
    help="Answer --questions on a Ray cluster that shares the run folder: auto, ray://HOST:PORT, "
    "or local.",
)
@click.option(
    "--known",
    type=click.Choice(["mark", "hide"]),
    default="mark",
    help="Facts that the graph has already: mark them, or leave them out [mark].",
)
@among_options()
@add_answer_options
def predict_command(
    *,
    run: str,
    questions: str | None,
    ray: str | None,
    form: str | None,
    out: str | None,
    **question: Any,
) -> None:
    """Predict the missing part of a fact with the model of the run folder RUN.

    Give two of head, relation and tail: the third is ranked, best first. Entities and relations are
    given by label or by name, in quotes where there are blanks; a mistyped one gets suggestions.

    \b
    Which countries border France?
      momok predict RUN --head France --relation borders
    What has Paris as its capital? Only what the graph does not know yet:
      momok predict RUN --tail Paris --relation capital --known hide
    Which countries may border Brazil that the graph does not know of? Countries only:
      momok predict RUN --head Brazil --relation borders --known hide --plausible
    Which cities, not which country or currency?
      momok predict RUN --tail Europe/Paris --relation "time zone of the city" --among city
    The best 100 as data:
      momok predict RUN --head France --relation borders -k 100 --out france.csv
    How is Lyon related to France?
      momok predict RUN --head Lyon --tail France
    A table with columns head, relation and tail (CSV, TSV, Parquet, JSON lines), one cell of each
    row blank; or none, to score facts. The answers as .csv, .parquet or .jsonl:
      momok predict RUN --questions questions.csv --out answers.csv

    The score joins what the model's decision heads say of an answer, and rules where the run has
    any. The percentages say how much of it came from each modality and from rules. They explain the
    number, not the world: a large share does not mean that the modality was needed. In brackets
    where the entity has no features of that modality.

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
    limits = {name: question.pop(name) for name in LIMITS}
    given = [key for key in ("head", "relation", "tail") if question[key] is not None]
    if questions is not None:
        if given or form is not None:
            raise click.UsageError(
                "--questions stands for --head, --relation, --tail and --format; the form of the "
                "answers is the ending of --out"
            )
        options = {key: question[key] for key in ("k", "known", "plausible")}
        options["ray"] = ray or ""
        _answer_table(run, Path(questions), out, options, limits)
        return
    if ray is not None:
        raise click.UsageError("--ray is for --questions; one question is answered here")
    if len(given) != 2:
        raise click.UsageError(
            "give exactly two of --head, --relation and --tail; the third is predicted"
        )
    if question["relation"] is None and (question["plausible"] or any(limits.values())):
        raise click.UsageError(
            "--plausible and --among are of entities; leave them out to predict a relation"
        )
    asked = "tail" if question["tail"] is None else "head"
    other = "heads" if asked == "tail" else "tails"
    if limits[f"among_{other}"] is not None:
        raise click.UsageError(
            f"--among-{other} is of {other}, and this question asks for a {asked}"
        )

    from momok.prediction import Predictor

    predictor = Predictor(run)
    say_if_not_calibrated(run, predictor.calibration)
    about = {"graph": predictor.graph.name, "run": run, "known": question["known"]}
    if question["relation"] is None:
        del question["relation"], question["plausible"]
        give_answers(predictor.predict_relations(**question), form, out, about)
    else:
        about["plausible"] = question["plausible"]
        about["among"] = limits["among"] or limits[f"among_{asked}s"]
        question["among"] = read_among(predictor.graph, **limits)
        give_answers(predictor.predict(**question), form, out, about)


def _answer_table(
    run: str,
    questions: Path,
    out: str | None,
    options: dict[str, Any],
    limits: dict[str, str | None],
) -> None:
    import polars as pl

    from momok.graph.sources.fact_tables import read_questions
    from momok.prediction import Predictor
    from momok.prediction.many import answer_rows
    from momok.prediction.missing.files import disarm_formulas
    from momok.progress import ProgressBar
    from momok.storage import write_file

    writers: dict[str, Callable[[pl.DataFrame, io.BytesIO], object]] = {
        ".csv": lambda frame, file: disarm_formulas(frame).write_csv(file),
        ".parquet": lambda frame, file: frame.write_parquet(file),
        ".jsonl": lambda frame, file: frame.write_ndjson(file),
    }
    ending = ".csv" if out is None else Path(out).suffix.lower()
    if ending not in writers:
        raise ConfigError(f"{out}: answers are written as {', '.join(writers)}, by the ending")
    (rows, places), predictor = read_questions(questions), Predictor(run)
    say_if_not_calibrated(run, predictor.calibration)
    options["among"] = read_among(predictor.graph, **limits)
    with ProgressBar() as bar:
        frame = answer_rows(predictor, rows, **options, places=places, progress=bar.progress)
    if out is None and sys.stdout.isatty():
        texts = pl.col(pl.String).map_elements(make_printable, return_dtype=pl.String)
        frame = frame.with_columns(texts)
    content = io.BytesIO()
    writers[ending](frame, content)
    if out is None:
        click.echo(content.getvalue(), nl=False)
        return
    write_file(Path(out), content.getvalue())
    error_console().print(
        f"{len(rows):,} rows answered, {len(frame):,} lines written to {make_printable(out)}",
        soft_wrap=True,
    )


def give_answers(
    predictions: Predictions | RelationPredictions,
    form: str | None,
    out: str | None,
    about: dict[str, Any],
) -> None:
    """Print the answers, or write them into a file."""
    from rich.console import Console

    from momok.cli.views.predictions import show_predictions
    from momok.storage import write_file

    form = form or _FORMATS.get(Path(out or "").suffix.lower(), "table")
    if form == "json":
        value = {"format": "momok-predictions", "version": 1} | about | predictions.to_json()
        content = format_json(value)
    elif form == "csv":
        content = _format_csv(predictions, safe=out is None and sys.stdout.isatty())
    elif out is None:
        console().print(show_predictions(predictions, width=console().width))
        return
    else:
        plain = Console(file=io.StringIO(), width=_FILE_WIDTH, color_system=None)
        with plain.capture() as captured:
            plain.print(show_predictions(predictions, width=_FILE_WIDTH))
        content = "\n".join(line.rstrip() for line in captured.get().splitlines()) + "\n"
    if out is None:
        click.echo(content.encode(), nl=False)  # UTF-8, whatever the terminal has
        return
    write_file(Path(out), content.encode())
    count = len(predictions)
    error_console().print(f"{count} predictions written to {make_printable(out)}", soft_wrap=True)


def _format_csv(predictions: Predictions | RelationPredictions, *, safe: bool) -> str:
    """CSV; ``safe`` escapes control characters, for a terminal (a file gets labels as they are)."""
    frame = predictions.to_frame()
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(frame.columns)
    for row in frame.iter_rows():
        writer.writerow(
            make_printable(x) if safe and isinstance(x, str) else "" if x is None else x
            for x in row
        )
    return text.getvalue()
