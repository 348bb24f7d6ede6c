"""``momok predict`` and ``momok predict-new``, and how answers are printed or written."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from momok.cli.remarks import say_if_not_calibrated
from momok.console import console, error_console, format_json, make_printable
from momok.errors import ConfigError, DataError, FeatureError

if TYPE_CHECKING:
    from momok.graph import MultimodalGraph
    from momok.prediction import NewEntity, Predictions, RelationPredictions

_FILE_WIDTH = 120  # columns of a table that is written into a file
_FORMATS = {".json": "json", ".csv": "csv"}
_KEYS = ("name", "text", "image")


relation_option = click.option(
    "--relation", required=True, metavar="RELATION", help="The relation of the fact."
)
plausible_option = click.option(
    "--plausible",
    is_flag=True,
    help="Only entities that the relation has on that side in train.",
)


def read_entities(given: str | None, graph: MultimodalGraph) -> str | list[str] | None:
    """A type of entities as it is, or the labels of a file, one a line.

    What is both is taken as the type, and said; a path with a separator in it is a file.

    Raises:
        DataError: the file cannot be read.
    """
    if given is None:
        return None
    path, is_path = Path(given), os.sep in given
    if not is_path and (given in graph.entity_types or not path.is_file()):
        if path.is_file():
            shown = make_printable(given)
            message = f"{shown}: taken as the type of entities; ./{shown} would be the file"
            error_console().print(message, soft_wrap=True, highlight=False, markup=False)
        return given
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except (OSError, ValueError) as error:
        why = "there is no such file" if isinstance(error, FileNotFoundError) else "cannot be read"
        raise DataError(f"{given}: {why}; expected labels or names in UTF-8, one a line") from error
    return [line.strip() for line in lines if line.strip()]


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
    "--known",
    type=click.Choice(["mark", "hide"]),
    default="mark",
    help="Facts that the graph has already: mark them, or leave them out [mark].",
)
@click.option(
    "--among",
    metavar="FILE|TYPE",
    help="Only these entities as answers: a type of the graph, or a file with one a line (./FILE "
    "where a type has the same name).",
)
@add_answer_options
def predict_command(
    *, run: str, questions: str | None, form: str | None, out: str | None, **question: Any
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
    given = [key for key in ("head", "relation", "tail") if question[key] is not None]
    if questions is not None:
        if given or form is not None:
            raise click.UsageError(
                "--questions stands for --head, --relation, --tail and --format; the form of the "
                "answers is the ending of --out"
            )
        options = {key: question[key] for key in ("k", "known", "plausible", "among")}
        _answer_table(run, Path(questions), out, options)
        return
    if len(given) != 2:
        raise click.UsageError(
            "give exactly two of --head, --relation and --tail; the third is predicted"
        )
    if question["relation"] is None and (question["plausible"] or question["among"]):
        raise click.UsageError(
            "--plausible and --among are of entities; leave them out to predict a relation"
        )

    from momok.prediction import Predictor

    predictor = Predictor(run)
    say_if_not_calibrated(run, predictor.calibration)
    about = {"graph": predictor.graph.name, "run": run, "known": question["known"]}
    if question["relation"] is None:
        del question["relation"], question["plausible"], question["among"]
        give_answers(predictor.predict_relations(**question), form, out, about)
    else:
        about |= {key: question[key] for key in ("plausible", "among")}
        question["among"] = read_entities(question["among"], predictor.graph)
        give_answers(predictor.predict(**question), form, out, about)


def _answer_table(run: str, questions: Path, out: str | None, options: dict[str, Any]) -> None:
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
    options["among"] = read_entities(options["among"], predictor.graph)
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


@click.command("predict-new")
@click.argument("run")
@click.argument("words", nargs=-1, required=True, metavar="KEY=VALUE...")
@relation_option
@click.option(
    "--as",
    "role",
    type=click.Choice(["head", "tail"]),
    default="head",
    help="The side of the fact that the new entity is; the other is predicted [head].",
)
@click.option(
    "--graph",
    metavar="GRAPH",
    help="Where the graph of the run is now, if it was moved [where it was].",
)
@add_answer_options
def predict_new_command(
    *,
    run: str,
    words: tuple[str, ...],
    graph: str | None,
    form: str | None,
    out: str | None,
    **question: Any,
) -> None:
    """Predict facts of an entity that the graph does not have.

    KEY=VALUE says what is known of it: name= is its name, text= a description, image= a picture
    file (again for several); MODALITY=@vector.npy gives a feature vector instead.

    \b
    An entity that came after training, and has no facts yet:
      momok predict-new RUN name="Republic of Nuku" image=flag.png --relation "located in"
    Which countries would pay with a new currency?
      momok predict-new RUN name="Nuku Dollar" --as tail --relation currency
    Known by a feature vector, the answers as data:
      momok predict-new RUN text=@vector.npy --relation "city in" -k 100 --out cities.json

    The entity is encoded as the graph was (momok encode), so the graph must be where it was and
    its encoders installed. The heads of what it has vote, and beside them the entities of the graph
    that are similar to it. docs/prediction.md says how good the answers are: from people's names
    alone expect little. `momok predict --help` explains the numbers.
    """
    entity = read_new_entity(words)

    from momok.prediction import Predictor
    from momok.progress import ProgressBar

    with ProgressBar() as bar:  # seconds, most of them for the encoder's weights
        bar.progress("loading the model", 0, 0)
        predictor = Predictor(run, source=graph)
        bar.progress("encoding the new entity", 0, 0)
        predictions = predictor.predict_new(entity, **question)
    about = {"graph": predictor.graph.name, "run": run, "plausible": question["plausible"]}
    give_answers(predictions, form, out, about)


def read_new_entity(words: Sequence[str]) -> NewEntity:
    """Read what is known of an entity from KEY=VALUE words.

    Raises:
        ConfigError: a word without a key, an unknown key, or a key given twice.
        FeatureError: a vector's file cannot be read.
    """
    from momok.graph.names import suggest_near_misses
    from momok.prediction import NewEntity

    given: dict[str, str] = {}
    pictures: list[str] = []
    vectors: dict[str, Any] = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not key or not equals:
            raise ConfigError(
                f"{word!r} is not KEY=VALUE; give name=, text= or image=, in quotes "
                'where there are blanks: "name=East Timor"'
            )
        if not value.strip():
            raise ConfigError(f"{key}= says nothing; leave it out")
        if key in given or key in vectors:
            raise ConfigError(f"{key}= is given twice; only image= may be repeated")
        if value.startswith("@") and key != "name":
            vectors[key] = _read_vector(key, Path(value[1:]))
        elif key == "image":
            pictures.append(value)
        elif key in _KEYS:
            given[key] = value
        else:
            near = suggest_near_misses(key, _KEYS) or f"; there are {', '.join(_KEYS)}"
            raise ConfigError(
                f"there is no key {key!r}{near}; a vector for a modality of this name is "
                f"given as {key}=@vector.npy"
            )
    return NewEntity(**given, pictures=tuple(pictures), vectors=vectors)


def _read_vector(key: str, path: Path) -> Any:
    """A vector [d] from a .npy file; [1, d] is taken too."""
    from zipfile import BadZipFile  # NumPy opens what looks like an archive as one

    import numpy as np

    try:
        with path.open("rb") as file:  # by its name NumPy may leave it open
            vector = np.load(file, allow_pickle=False)
    except FileNotFoundError:
        raise FeatureError(
            f"{key}=@{path}: there is no such file; @ stands before the file of a vector"
        ) from None
    except (OSError, ValueError, EOFError, BadZipFile) as error:
        raise FeatureError(f"{key}=@{path}: is no .npy file of numbers ({error})") from error
    if not isinstance(vector, np.ndarray) or vector.dtype.kind not in "fiu":
        raise FeatureError(f"{key}=@{path}: is no .npy file of numbers")
    if vector.shape[:-1] not in {(), (1,)}:
        raise FeatureError(f"{key}=@{path}: shape {list(vector.shape)}, expected one vector [d]")
    return vector.reshape(-1)


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
