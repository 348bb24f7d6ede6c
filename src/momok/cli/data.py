"""``momok data``: look at graphs, check and fetch them; ``data_build`` makes one."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Literal

import click

from momok.cli import data_build
from momok.cli.completion import complete_graph
from momok.console import console, print_json, print_line

if TYPE_CHECKING:
    from collections.abc import Iterator

    from momok.graph import MultimodalGraph
    from momok.graph.fetch import Fetched

_CHECKS = ("splits", "leakage", "labels", "features", "pictures")  # a test holds it to the doctor's


@click.group("data")
def command() -> None:
    """Build a graph of your own, check one, fetch a known one, or look at one."""


command.add_command(data_build.command)


@command.command("list")
def list_graphs() -> None:
    """List the graphs that momok knows by name."""
    from momok.cli.views import build_table
    from momok.graph import CATALOG
    from momok.graph.catalog import find_folder

    rows = []
    for entry in CATALOG:
        where = "comes with momok" if entry.bundled else find_folder(entry)
        rows.append((entry.name, entry.about, str(where or "not on this machine")))
    console().print(build_table("graph", "what it is", "where", rows=rows, text=3))
    origins = sorted({entry.origin for entry in CATALOG if entry.origin})
    print_line(f"Published at {', '.join(origins)}; momok data fetch NAME gets one.")
    print_line("A folder with triples of your own is a graph too: momok data info FOLDER")


@command.command("info")
@click.argument("graph", shell_complete=complete_graph)
@click.option(
    "--split",
    type=click.Choice(["clean", "published"]),
    default="clean",
    help="clean mends a broken split, published takes the files as they are [clean].",
)
@click.option("--strict", is_flag=True, help="Malformed lines are errors.")
def show_info(graph: str, split: Literal["clean", "published"], strict: bool) -> None:
    """Show how large a graph is, how it is split, and what was found in its files."""
    from momok.cli.views import build_fields
    from momok.cli.views.build_report import describe_findings
    from momok.graph import load_graph

    loaded = load_graph(graph, split=split, strict=strict)
    fields = [(name, value) for name, value in _describe_graph(loaded) if value]
    console().print(build_fields(fields, title=loaded.name))
    if not loaded.features:
        print_line("No features: the model would learn from structure alone.")
    notes = (f"split: {note}" for note in loaded.split_notes)
    for line in (*notes, *describe_findings(loaded.findings)):
        print_line(line)
    if not loaded.findings:
        print_line("Nothing is wrong with the files.")


def _describe_graph(graph: MultimodalGraph) -> Iterator[tuple[str, str]]:
    from momok.graph.fact_columns import KEYS, WEIGHT

    yield "about", graph.about
    yield "from", graph.source
    yield "licence", graph.licence
    yield "entities", f"{graph.num_entities:,}"
    yield "relations", f"{graph.num_relations:,}"
    yield "split", graph.split
    for split in ("train", "valid", "test"):
        yield split, f"{len(graph.facts(split)):,} facts"
    if (weights := graph.weights("train")) is not None:
        yield "weights of train", f"{weights.min():g} to {weights.max():g}"
    if graph.fact_columns is not None:
        names = graph.fact_columns.drop(*KEYS, WEIGHT, strict=False).columns
        yield "known of facts", ", ".join(names)
    yield "pictures", f"{len(graph.pictures):,} entities"
    for name, features in graph.features.items():
        present = int(features.present.sum())
        yield (
            f"features: {name}",
            f"{features.matrix.shape[1]} numbers for {present:,} entities "
            f"({present / graph.num_entities:.0%}), by {features.manifest.encoder}",
        )


@command.command("check")
@click.argument("graph", shell_complete=complete_graph)
@click.option("--json", "as_json", is_flag=True, help="Print everything as JSON instead.")
@click.option(
    "--fail-on",
    type=click.Choice(["error", "warning", "never"]),
    default="error",
    help="Exit with 1 if anything as bad as this was found [error].",
)
@click.option(
    "--skip",
    type=click.Choice(_CHECKS),
    multiple=True,
    help="Leave out a family of checks; may be repeated. Decoding pictures takes longest.",
)
@click.pass_context
def check(
    ctx: click.Context,
    *,
    graph: str,
    as_json: bool,
    fail_on: Literal["error", "warning", "never"],
    skip: tuple[str, ...],
) -> None:
    """Find what is wrong with a graph, ranked by how much it hurts.

    GRAPH is a folder or a name of `momok data list`. Its files are checked as published: sizes,
    degrees and cardinalities; facts repeated or in two splits; entities and relations that train
    never shows; test answers that a rule reads off train, with a bound on what they add to MRR;
    labels that mean the same; vectors and pictures that do not fit. What each finding means and how
    to mend it: docs/data-check.md.

    Exit status: 0 nothing as bad as --fail-on, 1 something was, 2 the graph cannot be read.

    \b
    momok data check world
    momok data check my-graph --fail-on warning
    momok data check my-graph --skip pictures --json > check.json
    """
    from momok.graph.doctor import check_graph
    from momok.progress import ProgressBar

    with ProgressBar() as bar:
        report = check_graph(graph, bar.progress, skip=skip)
    if as_json:
        print_json(report.to_json())
    else:
        from momok.cli.views.data_report import show_data_report

        show_data_report(console(), report)
    if fail_on != "never" and report.reaches(fail_on):
        ctx.exit(1)


@command.command("fetch")
@click.argument("name")
@click.option(
    "--features",
    is_flag=True,
    help="Also fetch the authors' archive of image and text features (large; unverified).",
)
def fetch(name: str, features: bool) -> None:
    """Fetch a benchmark from its public addresses.

    NAME is MKG-W, MKG-Y, DB15K or KVC16K. The files go to $MOMOK_DATA/NAME (or, where that is not
    set, ~/.local/share/momok/NAME). Their sizes and hashes are checked; an interrupted download
    continues with the same command; the folder appears when all of it is right, and what came from
    where is printed.

    The benchmarks carry no licence of their own: see their authors' pages.

    \b
    momok data fetch MKG-W
    momok data fetch DB15K --features
    """
    from momok.errors import DataError
    from momok.graph import CATALOG
    from momok.graph.benchmark_format import is_benchmark_folder
    from momok.graph.catalog import find_entry, list_places
    from momok.graph.fetch import fetch_features, fetch_graph
    from momok.progress import ProgressBar

    entry = find_entry(name)
    if entry is None:
        names = ", ".join(known.name for known in CATALOG if not known.bundled)
        raise DataError(f"there is no benchmark {name!r}; momok can fetch {names}")
    if not features or not is_benchmark_folder(list_places(entry)[0]):
        with ProgressBar() as bar:
            folder, fetched = fetch_graph(entry, bar.progress)
        for part in fetched:
            _print_fetched(part)
        print_line(f"{entry.name} is in {folder}")
    if not features:
        print_line(f"Next: momok data check {entry.name}")
        return
    with ProgressBar() as bar:
        folder, archive, files = fetch_features(entry, bar.progress)
    _print_fetched(archive)
    for file in files:
        path = shlex.quote(str(folder / file))
        print_line(f"Next: momok features import {entry.name} {path}")


def _print_fetched(file: Fetched) -> None:
    trust = {
        "verified": "verified",
        "unverified": "UNVERIFIED: no hash is published; this one is recorded for next time",
        "recorded": "the same as when it was first fetched",
    }[file.trust]
    print_line(
        f"{file.name}  {file.size:,} bytes  sha256 {file.sha256[:16]}…  {trust}  from {file.url}"
    )
