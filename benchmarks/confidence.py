"""What weights of facts are worth where a part of the train facts is wrong.

    python -m benchmarks.confidence world --out /tmp/confidence --seeds 3

A share of the train facts gets another tail by chance. The preset ``default`` is trained on the
graph as it is, on the damaged one without weights, with a small weight of the wrong facts, and
without these; validation and test are left alone.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import polars as pl

import momok
from momok.arrays import Bools, Floats
from momok.graph import MultimodalGraph
from momok.graph.fact_columns import label_facts
from momok.graph.triples import encode_triples, first_occurrences, is_member
from momok.training import RunFolder


def damage(graph: MultimodalGraph, share: float, seed: int) -> tuple[MultimodalGraph, Bools]:
    """The graph with other tails in a share of its train facts, and which these are ``[n]``.

    What would be a fact of the graph by chance stays as it was.
    """
    chance, sizes = np.random.default_rng(seed), (graph.num_entities, graph.num_relations)
    train, wrong = graph.train.copy(), np.zeros(len(graph.train), dtype=np.bool_)
    rows = chance.permutation(len(train))[: round(share * len(train))]
    train[rows, 2] = chance.integers(graph.num_entities, size=len(rows))
    known = np.concatenate([graph.train, graph.valid, graph.test])
    keys = encode_triples(train, *sizes)
    wrong[rows] = ~is_member(keys[rows], encode_triples(known, *sizes))
    train[~wrong] = graph.train[~wrong]
    kept, _ = first_occurrences(encode_triples(train, *sizes))
    return replace(graph, train=train[kept]), wrong[kept]


def weigh(graph: MultimodalGraph, weights: Floats) -> MultimodalGraph:
    """The graph with weights of its train facts ``[n]``."""
    facts = label_facts(graph.train, graph.entities.labels, graph.relations.labels)
    return replace(graph, fact_columns=facts.with_columns(weight=pl.Series(weights)))


@click.command()
@click.argument("graph")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="For the runs.")
@click.option("--share", default=0.2, help="Of the train facts that are wrong [0.2].")
@click.option("--weight", default=0.1, help="Of the wrong facts [0.1].")
@click.option("--seeds", default=1, help="How many [1].")
def main(*, graph: str, out: Path, share: float, weight: float, seeds: int) -> None:
    """Train and test; runs that are there are kept."""
    whole = momok.load_graph(graph)
    found: dict[str, list[list[float]]] = {}
    for seed in range(seeds):
        damaged, wrong = damage(whole, share, seed)
        graphs = {
            "as it is": whole,
            "damaged": damaged,
            f"weighted {weight:g}": weigh(damaged, np.where(wrong, weight, 1.0)),
            "wrong left out": replace(damaged, train=damaged.train[~wrong]),
        }
        for name, given in graphs.items():
            path = out / f"{name.replace(' ', '-')}-{share:g}-{seed}"
            if not path.exists():
                config = momok.resolve_config(overrides={"seed": seed})
                momok.train(given, config, run=path, progress=False)
            run = RunFolder(path)
            mrr = [run.load_evaluation(s).overall["answer"].mrr for s in ("valid", "test")]
            found.setdefault(name, []).append([100 * (x or 0) for x in mrr])
            click.echo(f"{name}, seed {seed}: valid, test {np.round(found[name][-1], 2)}")
    for name, values in found.items():
        click.echo(f"{name}: valid, test MRR {np.mean(values, axis=0).round(2)}, {seeds} seeds")


if __name__ == "__main__":
    main()
