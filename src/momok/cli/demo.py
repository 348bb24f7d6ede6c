"""``momok demo``: the whole way, on the graph that comes with momok."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from momok.cli.train import finish_run, quote_path, show_result
from momok.console import console, error_console, make_printable, print_line

if TYPE_CHECKING:
    from rich.console import Console

    from momok.prediction import Prediction, Predictor
    from momok.training import RunFolder

# Of a graph this small more members and epochs take longer and bring little (docs/results.md).
DEMO_SETTINGS: dict[str, Any] = {"model.members": 1, "training.epochs": 12}

# Head and relation by label; each has a true answer in test, which training never sees. The
# relations are some that the model is good at on validation, the heads well known.
QUESTIONS: tuple[tuple[str, str], ...] = (
    ("country:FR", "borders"),
    ("country:ES", "member_of"),
    ("country:JP", "located_in"),
    ("country:US", "official_language"),
    ("language:bg", "language_script"),
    ("city:JP/Kobe", "city_in"),
)
_SHOWN = 3  # answers to a question


@click.command("demo")
@click.option("--run", metavar="FOLDER", help="The run folder to make [runs/world-TIME].")
def command(run: str | None) -> None:
    """Train MoMoK on the bundled world graph, test it, and show what it predicts.

    Countries, cities, languages and currencies; flags as pictures, names as texts. It takes about
    a minute on two cores and downloads nothing.
    """
    error_console().print("momok demo: the world graph, about a minute on two cores")

    from momok.config import resolve_config
    from momok.graph import load_graph
    from momok.prediction import Predictor
    from momok.progress import ProgressBar
    from momok.training import train

    config = resolve_config(overrides=DEMO_SETTINGS)
    with ProgressBar() as bar:
        graph = load_graph("world", split=config.data.split)
        folder = train(graph, config, run=run, progress=bar, finish=finish_run)
    show_result(folder)
    show_predictions(Predictor(folder), console())
    _show_next(folder)


def show_predictions(predictor: Predictor, out: Console) -> None:
    """Print the best new answers to the demo's questions, and where the held-out ones stand."""
    from rich.table import Column

    from momok.cli.views import build_table

    table = build_table(
        *("question", "#"),
        Column("answer", overflow="fold"),
        *("prob.", *predictor.parts, ""),
        title="What the model predicts",
    )
    questions = [(head, relation, None) for head, relation in QUESTIONS]
    count = predictor.graph.num_entities
    for answers in predictor.predict_many(questions, count, plausible=True):
        new = [a for a in answers if a.known in (None, "test")]
        for place, answer in enumerate(new, start=1):
            if place <= _SHOWN or answer.known == "test":
                table.add_row(*_build_row(answers.question, place, answer))
        table.add_section()
    out.print()
    out.print(table)
    out.print(
        "✓ true, and held out: the fact is in test, which training never saw. ✗ such a fact, but "
        "ranked low. Facts of train and valid are left out; the others are not in the graph.",
        style="dim",
    )
    out.print(
        "prob.: how often such an answer was a held-out fact, for a question that has one. The "
        "shares say how much of the model's score came from each modality; in brackets where the "
        "answer has no picture or text of its own.",
        style="dim",
    )


def _build_row(question: Any, place: int, answer: Prediction) -> list[Any]:
    from rich.text import Text

    from momok.cli.views import format_percent

    mark, style = "", ""
    if answer.known == "test":
        mark, style = ("✓", "bold green") if place <= _SHOWN else ("✗", "dim")
    shares = [
        format_percent(share) if answer.present[modality] else f"({format_percent(share)})"
        for modality, share in answer.shares.items()
    ]
    return [
        make_printable(str(question)) if place == 1 else "",
        str(place),
        Text(make_printable(answer.title), style=style),
        format_percent(answer.probability, 1),
        *shares,
        Text(mark, style=style),
    ]


def _show_next(run: RunFolder) -> None:
    folder = quote_path(run.path)
    lines = {
        f"momok report {folder}": "all of it as one HTML page, with figures",
        f"momok serve {folder}": "search, ask why, accept and reject new facts in a browser",
        f"momok predict {folder} --head Brazil --relation borders": "known facts are marked",
        f"momok predict {folder} --tail Euro --relation currency --known hide": "only new ones",
        f"momok evaluate {folder}": "by side, relation, modality, tie rule",
        "momok config": "every setting, explained",
        "momok train FOLDER": "a graph of your own (momok data info FOLDER looks at it)",
    }
    console().print("\nWhat next:", style="bold")
    for what, why in lines.items():
        print_line(f"  # {why}")
        print_line(f"  {what}")
