"""Time and memory of ``momok data build`` on a generated file of facts, and of loading the graph.

    python -m benchmarks.data_build --facts 10000000 --entities 1000000 --out data_build.json
    python -m benchmarks.data_build --rdf

Facts are tab separated URIs, or with ``--rdf`` N-Triples; tails are drawn by a power law, as in
real graphs, and a tenth of the facts are the reverse of others by another relation. The command
runs in a process of its own, on as many cores as asked. Processor seconds leave out what other
processes of the machine took; the peak memory is the largest resident set of the command.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import click
import numpy as np
import polars as pl

RELATIONS = 500


def write_facts(path: Path, facts: int, entities: int, *, rdf: bool) -> None:
    """Write random facts in blocks; some repeat."""
    before, after, end = ("<", ">", " .") if rdf else ("", "", "")
    rng = np.random.default_rng(0)
    with path.open("wb") as file:
        for start in range(0, facts, 1_000_000):
            size = min(1_000_000, facts - start)
            heads = rng.integers(0, entities, size)
            tails = (entities * rng.random(size) ** 3).astype(np.int64)
            relations = rng.integers(0, RELATIONS, size)
            tenth = size // 10
            heads[:tenth], tails[:tenth] = tails[tenth : 2 * tenth], heads[tenth : 2 * tenth]
            relations[:tenth] = relations[tenth : 2 * tenth] ^ 1
            frame = pl.DataFrame({"head": heads, "relation": relations, "tail": tails}).select(
                head=f"{before}http://example.org/entity/Q"
                + pl.col("head").cast(pl.String)
                + after,
                relation=f"{before}http://example.org/property/P"
                + pl.col("relation").cast(pl.String)
                + after,
                tail=f"{before}http://example.org/entity/Q"
                + pl.col("tail").cast(pl.String)
                + f"{after}{end}",
            )
            frame.write_csv(
                file, separator=" " if rdf else "\t", include_header=False, quote_style="never"
            )


def build(source: Path, folder: Path, cores: int) -> dict[str, Any]:
    """Build a graph once and measure it."""
    return measure(["-m", "momok", "data", "build", str(source), "--out", str(folder)], cores)


def load(folder: Path, cores: int) -> dict[str, Any]:
    """Load the graph that was built once and measure it."""
    return measure(["-c", f"import momok; momok.load_graph({str(folder)!r})"], cores)


def measure(arguments: list[str], cores: int) -> dict[str, Any]:
    """Run Python in a process of its own."""
    begin, chosen = time.perf_counter(), sorted(os.sched_getaffinity(0))[:cores]
    command = subprocess.Popen(
        [sys.executable, *arguments],
        stdout=subprocess.DEVNULL,
        env=os.environ | {"POLARS_MAX_THREADS": str(cores), "OMP_NUM_THREADS": str(cores)},
        preexec_fn=lambda: os.sched_setaffinity(0, chosen),  # noqa: PLW1509
    )
    _, status, used = os.wait4(command.pid, 0)  # the peak of this process alone
    command.returncode = os.waitstatus_to_exitcode(status)
    if command.returncode:
        raise SystemExit(f"{arguments}: exit code {command.returncode}")
    return {
        "seconds": round(time.perf_counter() - begin, 1),
        "processor_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_gb": round(used.ru_maxrss * 1024 / 1e9, 2),
        "load_average": round(os.getloadavg()[0], 1),
    }


@click.command()
@click.option("--facts", default=10_000_000, show_default=True)
@click.option("--entities", default=1_000_000, show_default=True)
@click.option("--cores", default=2, show_default=True)
@click.option("--repeat", default=1, show_default=True)
@click.option("--rdf", is_flag=True, help="N-Triples instead of tab separated columns.")
@click.option("--out", type=click.Path(path_type=Path), help="A JSON file for the result.")
def main(
    facts: int, entities: int, cores: int, repeat: int, *, rdf: bool, out: Path | None
) -> None:
    """Measure momok data build, and loading what it built."""
    with tempfile.TemporaryDirectory() as name:
        source = Path(name) / ("facts.nt" if rdf else "facts.tsv")
        write_facts(source, facts, entities, rdf=rdf)
        folders = [Path(name) / f"graph-{number}" for number in range(repeat)]
        builds = [build(source, folder, cores) for folder in folders]
        loads = [load(folder, cores) for folder in folders]
        size = source.stat().st_size
    result = {
        "format": "N-Triples" if rdf else "tab separated",
        "facts": facts,
        "entities": entities,
        "relations": RELATIONS,
        "file_mb": round(size / 1e6),
        "cores": cores,
        "machine": platform.processor() or platform.machine(),
        "python": platform.python_version(),
        "polars": pl.__version__,
        "numpy": np.__version__,
        "builds": builds,
        "loads": loads,
    }
    text = json.dumps(result, indent=2)
    click.echo(text)
    if out is not None:
        out.write_text(text + "\n")


if __name__ == "__main__":
    main()
