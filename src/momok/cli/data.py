"""``momok data``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

from momok.cli import COMMANDS, data_build, data_check, data_fetch

if TYPE_CHECKING:
    from rich.console import Console

    from momok.graph import MultimodalGraph

__all__ = ["command"]

_EXAMPLES = 3  # of a finding


@click.group("data", short_help=COMMANDS["data"], invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Build a graph of your own, check one, fetch a known one, or look at one."""
    if ctx.invoked_subcommand is None:
        click.echo(ctx.get_help())


command.add_command(data_build.command)
command.add_command(data_check.command)
command.add_command(data_fetch.command)


@command.command("list")
def list_graphs() -> None:
    """List the graphs that momok knows by name."""
    from rich.table import Table

    from momok.console import console, make_printable
    from momok.graph import CATALOG
    from momok.graph.catalog import find_folder

    table = Table("graph", "what it is", "where")
    for entry in CATALOG:
        folder = find_folder(entry)
        where = "not on this machine" if folder is None else make_printable(str(folder))
        table.add_row(entry.name, entry.about, "comes with momok" if entry.bundled else where)
    out = console()
    out.print(table)
    origins = sorted({entry.origin for entry in CATALOG if entry.origin})
    out.print(f"Published at {', '.join(origins)}; momok data fetch NAME gets one, when asked.")
    out.print("A folder with triples of your own is a graph too: momok data info FOLDER")


@command.command("info")
@click.argument("graph")
@click.option(
    "--split",
    type=click.Choice(["clean", "published"]),
    default="clean",
    help="clean mends a broken split, published takes the files as they are [clean].",
)
@click.option("--strict", is_flag=True, help="Malformed lines are errors.")
def show_info(graph: str, split: Literal["clean", "published"], strict: bool) -> None:
    """Say how large a graph is, how it is split, and what was found in its files."""
    from momok.console import console
    from momok.graph import load_graph

    loaded = load_graph(graph, split=split, strict=strict)
    out = console()
    _show_sizes(out, loaded)
    _show_remarks(out, loaded)


def _show_sizes(out: Console, graph: MultimodalGraph) -> None:
    from rich.table import Table
    from rich.text import Text

    from momok.console import make_printable

    table = Table(title=Text(make_printable(graph.name), style="bold"), show_header=False)
    table.add_column(style="dim")
    table.add_column()
    rows = [("", graph.about), ("from", graph.source), ("licence", graph.licence)]
    rows += [
        ("entities", f"{graph.num_entities:,}"),
        ("relations", f"{graph.num_relations:,}"),
        ("split", graph.split),
        ("train", f"{len(graph.train):,} facts"),
        ("valid", f"{len(graph.valid):,} facts"),
        ("test", f"{len(graph.test):,} facts"),
        ("pictures", f"{len(graph.pictures):,} entities"),
    ]
    for name, features in graph.features.items():
        present = int(features.present.sum())
        rows.append(
            (
                f"features: {name}",
                f"{features.matrix.shape[1]} numbers for {present:,} entities "
                f"({present / graph.num_entities:.0%}), by {features.manifest.encoder}",
            )
        )
    for what, value in rows:
        if value:
            table.add_row(Text(make_printable(what)), Text(make_printable(value)))
    out.print(table)
    if not graph.features:
        out.print("No features: the model would learn from structure alone.")


def _show_remarks(out: Console, graph: MultimodalGraph) -> None:
    from momok.console import make_printable

    for note in graph.split_notes:
        out.print(f"split: {make_printable(note)}")
    if not graph.findings:
        out.print("Nothing is wrong with the files.")
    for finding in graph.findings:
        out.print(f"{finding.kind} ({finding.count:,}): {make_printable(finding.message)}")
        for example in finding.examples[:_EXAMPLES]:
            out.print(f"    {make_printable(example)}")
        if finding.count > _EXAMPLES and finding.examples:
            out.print(f"    and {finding.count - min(_EXAMPLES, len(finding.examples)):,} more")
