"""What a trained model is worth when its graph has grown: ``momok train --from`` against anew.

    python -m benchmarks.growth world --out /tmp/growth

A fifth of the entities is held back with all their facts, and a model trained on what is left. Then
the whole graph is trained on, starting from that model and starting anew, and ranked: validation
by epoch, and test. All settings are those of the preset ``default``.
"""

from __future__ import annotations

import time
from pathlib import Path

import click
import numpy as np

import momok
from benchmarks.new_entities import keep_entities
from momok.graph import MultimodalGraph
from momok.training import RunFolder


def hold_back(graph: MultimodalGraph, share: float, seed: int = 0) -> MultimodalGraph:
    """The graph without a share of its entities and without their facts."""
    gone = np.zeros(graph.num_entities, dtype=bool)
    count = int(graph.num_entities * share)
    gone[np.random.default_rng(seed).permutation(graph.num_entities)[:count]] = True
    return keep_entities(graph, ~gone)[0]


@click.command()
@click.argument("graph")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="For the three runs.")
@click.option("--share", default=0.2, help="Of the entities that are held back [0.2].")
def main(graph: str, out: Path, share: float) -> None:
    """Train on a part, then on the whole from there and anew; runs that are there are kept."""
    whole = momok.load_graph(graph, split="clean")
    part = hold_back(whole, share)
    click.echo(f"{graph}: {len(part.train):,} of {len(whole.train):,} train facts at first")
    for name, given, start in (
        ("part", part, None),
        ("from the part", whole, out / "part"),
        ("anew", whole, None),
    ):
        path = out / name.replace(" ", "-")
        began = time.perf_counter()
        if not path.exists():
            momok.train(given, run=path, start=start, progress=False)
        seconds = time.perf_counter() - began
        run = RunFolder(path)
        curve = [
            f"{record['epoch']}: {100 * record['metrics']['answer']['mrr']:.2f}"
            for record in run.records("valid")
        ]
        test = run.load_evaluation("test").overall["answer"].mrr
        click.echo(f"{name}: test MRR {100 * (test or 0):.2f}, {seconds:.0f} s")
        click.echo(f"  valid MRR by epoch: {', '.join(curve)}")


if __name__ == "__main__":
    main()
