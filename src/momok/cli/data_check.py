"""``momok data check``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import click

if TYPE_CHECKING:
    pass

__all__ = ["command"]

_CHECKS = ("splits", "leakage", "labels", "features", "pictures")  # a test holds it to the doctor's


@click.command("check")
@click.argument("graph")
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
def command(
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
    from momok.console import console
    from momok.graph.doctor import check_graph
    from momok.progress import ProgressBar

    with ProgressBar() as bar:
        report = check_graph(graph, bar.progress, skip=skip)
    if as_json:
        import json

        # ASCII only: labels may hold what a terminal would obey.
        click.echo(json.dumps(report.to_json(), indent=1))
    else:
        from momok.cli.views.data_report import show_data_report

        show_data_report(console(), report)
    if fail_on != "never" and report.reaches(fail_on):
        ctx.exit(1)
