"""``momok runs``."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click

from momok.console import console, make_printable, print_line


@click.command("runs")
@click.argument("folder", default="runs")
@click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
def runs_command(folder: str, *, as_json: bool) -> None:
    """List the run folders in FOLDER and below, the latest last [runs].

    The MRR is of validation: of the finished run, or the best so far while it trains.
    """
    import json

    from rich.table import Table

    from momok.errors import RunError
    from momok.training.run_list import find_runs

    if not Path(folder).is_dir():
        raise RunError(f"{folder}: no such folder; momok train makes runs/GRAPH-TIME")
    found = list(find_runs(Path(folder)))
    if as_json:
        for run in found:
            print_line(json.dumps(run, ensure_ascii=False))
        return
    if not found:
        print_line(f"no run folders in {make_printable(folder)}")
        return
    names = ("run", "graph", "preset", "seed", "state", "epoch", "valid MRR", "age")
    table = Table(*names, box=None, header_style="bold")
    for run in found:
        mrr = "" if run["valid_mrr"] is None else f"{100 * run['valid_mrr']:.2f}"
        cells: list[Any] = [run["run"], run["graph"], run["preset"], run["seed"], run["state"]]
        cells += [f"{run['epoch']} of {run['epochs']}", mrr, _describe_age(run["created"])]
        table.add_row(*(make_printable(str(cell)) for cell in cells))
    console().print(table)


def _describe_age(created: str) -> str:
    seconds = (datetime.now(UTC) - datetime.fromisoformat(created)).total_seconds()
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit}"
    return f"{max(seconds, 0):.0f} s"
