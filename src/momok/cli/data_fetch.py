"""``momok data fetch``."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from momok.graph.fetch.fetch import Fetched

__all__ = ["command"]


@click.command("fetch")
@click.argument("name")
@click.option(
    "--features",
    is_flag=True,
    help="Also fetch the authors' archive of image and text features (large; unverified).",
)
def command(name: str, features: bool) -> None:
    """Fetch a benchmark from its public addresses.

    NAME is MKG-W, MKG-Y, DB15K or KVC16K. The files go to $MOMOK_DATA/NAME (or, where that is not
    set, ~/.local/share/momok/NAME). Their sizes and hashes are checked; what was cut goes on with
    the same command; the folder appears when all of it is right. It is said what came from where.

    The benchmarks carry no licence of their own: see their authors' pages.

    \b
    momok data fetch MKG-W
    momok data fetch DB15K --features
    """
    from momok.console import console, make_printable
    from momok.errors import DataError
    from momok.graph import CATALOG
    from momok.graph.benchmark_format import is_benchmark_folder
    from momok.graph.catalog import find_entry, list_places
    from momok.graph.fetch.fetch import fetch_features, fetch_graph
    from momok.progress import ProgressBar

    entry = find_entry(name)
    if entry is None:
        names = ", ".join(known.name for known in CATALOG if not known.bundled)
        raise DataError(f"there is no benchmark {name!r}; momok can fetch {names}")
    out = console()
    with ProgressBar() as bar:
        if not features or not is_benchmark_folder(list_places(entry)[0]):
            folder, fetched = fetch_graph(entry, bar.progress)
            for part in fetched:
                out.print(_say(part), soft_wrap=True)
            out.print(make_printable(f"{entry.name} is in {folder}"), soft_wrap=True)
        if features:
            folder, archive, files = fetch_features(entry, bar.progress)
            out.print(_say(archive), soft_wrap=True)
            for file in files:
                command = f"momok features import {entry.name} {shlex.quote(str(folder / file))}"
                out.print(make_printable(f"Next: {command}"), soft_wrap=True)
    if not features:
        out.print(f"Next: momok data check {entry.name}")


def _say(file: Fetched) -> str:
    from momok.console import make_printable

    trust = {
        "verified": "verified",
        "unverified": "UNVERIFIED: no hash is published; this one is recorded for next time",
        "recorded": "the same as when it was first fetched",
    }[file.trust]
    return make_printable(
        f"{file.name}  {file.size:,} bytes  sha256 {file.sha256[:16]}…  {trust}  from {file.url}"
    )
