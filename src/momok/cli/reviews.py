"""``momok reviews``: decisions of reviewers, out of the database and into it."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import click

from momok.console import print_line

_FORMATS = ("tsv", "csv", "jsonl", "ntriples")  # a test holds these to what there is
_STATES = ("accepted", "rejected", "unsure", "disputed")
_REASONS = ("false", "outdated", "imprecise", "relation", "identity", "wrong_tail")
_EXAMPLES = 5


@click.group("reviews")
def command() -> None:
    """Export the decisions of reviewers, import earlier ones, back them up.

    They are those of a run folder, or of a database by its address, as `momok serve --reviews`
    takes it.
    """


@command.command("export")
@click.argument("place", metavar="RUN|ADDRESS")
@click.option(
    "--out",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The file: .tsv, .csv, .jsonl or .nt [standard output].",
)
@click.option(
    "--format", "form", type=click.Choice(_FORMATS), help="By default by the file's ending, or tsv."
)
@click.option(
    "--state",
    "states",
    multiple=True,
    type=click.Choice(_STATES),
    help="Where the facts stand; may be repeated [any].",
)
@click.option("--relation", metavar="NAME", help="Facts of this relation only.")
@click.option(
    "--reviewer", metavar="NAME", help="Facts that this reviewer decided, alone or with others."
)
@click.option("--reason", type=click.Choice(_REASONS), help="Rejections for this reason only.")
@click.option("--since", metavar="TIME", help="From this day or time on (UTC), as in 2026-05-01.")
@click.option("--until", metavar="TIME", help="Before this time, or to the end of this day (UTC).")
def export_command(place: str, out: Path | None, form: Any, **wanted: Any) -> None:
    """Write decisions into a file: where every decided fact stands, who decided and why.

    \b
    momok reviews export runs/world --out decisions.csv
    momok reviews export runs/world --state rejected --reviewer ann --since 2026-05-01
    momok reviews export postgresql+psycopg://curator@db/reviews --out decisions.jsonl

    CSV is safe to open in a spreadsheet: cells that would be formulas have an apostrophe in front.
    N-Triples assert the accepted facts and describe every decision.
    """
    from momok.cli.reviewers import name_user
    from momok.errors import ConfigError
    from momok.serving.reviews.files import choose_format, encode_reviews
    from momok.serving.reviews.places import load_graph_of, open_store
    from momok.serving.reviews.records import ReviewFilter, name_fact
    from momok.storage import write_file

    if form is None and out is not None:
        form = choose_format(out)
        if form is None:
            raise ConfigError(
                f"{out}: decisions are written as .tsv, .csv, .jsonl or .nt, by the ending; or "
                "say --format"
            )
    store, graph = open_store(place), load_graph_of(place)
    if graph is not None and wanted["relation"] is not None:
        wanted["relation"] = graph.relations.labels[graph.find_relation(wanted["relation"])]
    chosen = ReviewFilter(**wanted)
    reviews = store.iterate_reviews(chosen)
    names = None if graph is None else partial(name_fact, graph)
    try:
        if graph is None and chosen.relation not in (None, *store.count()):
            raise ConfigError(
                f"{chosen.relation}: no decisions on this relation; with the address of a database "
                "give its label, or the run folder"
            )
        about = f"decisions as {form or 'tsv'}; {chosen}".removesuffix("; ")
        store.record(name_user(), "export", about)
        text = encode_reviews(reviews, form or "tsv", names)
        if out is None:
            for piece in text:
                click.echo(piece.encode(), nl=False)
        else:
            write_file(out, "".join(text).encode())
    finally:
        store.close()


@command.command("import")
@click.argument("place", metavar="RUN|ADDRESS")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option(
    "--reviewer",
    default="import",
    metavar="NAME",
    help="Who decided, where the file does not say so [import].",
)
def import_command(place: str, file: Path, reviewer: str) -> None:
    """Write the decisions of FILE into those of a run or a database, all of them or none.

    FILE is what `momok reviews export` writes: TSV or CSV with the columns head, relation, tail and
    state, JSON lines, N-Triples; or plain facts, which are taken as accepted. What is decided there
    already stays as it is: imported twice, a file changes nothing.
    """
    from momok.cli.reviewers import name_user
    from momok.serving.reviews.files import read_reviews
    from momok.serving.reviews.places import open_store

    reviews = read_reviews(file)
    store = open_store(place, make=True)
    try:
        report = store.import_reviews(reviews, reviewer, by=name_user())
    finally:
        store.close()
    print_line(
        f"{report.added:,} decisions added; {report.known:,} were there already"
        + (f"; {report.undecided:,} are disputed and left out" if report.undecided else "")
    )
    if report.differing:
        print_line(f"{len(report.differing):,} facts are decided otherwise there, and stay so:")
    for review in report.differing[:_EXAMPLES]:
        print_line(f"    {review.state} in {file.name}: {' | '.join(review.fact)}")


@command.command("backup")
@click.argument("place", metavar="RUN|ADDRESS")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup_command(place: str, file: Path) -> None:
    """Copy everything into the new FILE: decisions, history, reviewers, settings, audit log.

    \b
    momok reviews backup runs/world reviews-2026-05-01.sqlite
    momok reviews backup postgresql+psycopg://curator@db/reviews reviews.sqlite

    Servers may go on meanwhile: FILE is as of one moment. It is an SQLite database, which
    `momok serve --reviews sqlite:///FILE` takes, and `momok reviews restore`. It holds the digests
    of tokens: keep it as you keep the database.
    """
    from momok.cli.reviewers import name_user
    from momok.serving.reviews.backup import back_up
    from momok.serving.reviews.places import open_store

    store = open_store(place)
    try:
        rows = back_up(store, file)
        store.record(name_user(), "backup", file.name)
    finally:
        store.close()
    print_line(f"{rows:,} rows in {file}")


@command.command("restore")
@click.argument("place", metavar="RUN|ADDRESS")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def restore_command(place: str, file: Path) -> None:
    """Copy the backup FILE into a database that holds nothing yet, of any kind.

    \b
    momok reviews restore postgresql+psycopg://curator@db/reviews reviews.sqlite
    """
    from momok.cli.reviewers import name_user
    from momok.serving.reviews.backup import restore
    from momok.serving.reviews.places import open_store

    store = open_store(place, make=True)
    try:
        rows = restore(file, store)
        store.record(name_user(), "restore", file.name)
    finally:
        store.close()
    print_line(f"{rows:,} rows from {file}")
