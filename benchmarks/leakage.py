"""What leaks are worth: a predictor that knows only the doctor's rules, against its bound.

    python -m benchmarks.leakage world MKG-W MKG-Y DB15K KVC16K
    python -m benchmarks.leakage --run runs/mkg-y

Two predictors rank the test facts (both directions, filtered, realistic ranks): *popularity* scores
an entity by how often it is an answer of the relation in train; *with rules* puts what the rules of
``momok.graph.doctor`` give above all others, by confidence. The gain, and the MRR on leaked queries
weighted by their share, stay below the bound that ``momok data check`` states: the share of test
facts that a rule gives. The closer, the more of the bound a model can reach with rules alone.
With ``--run``, the same of a trained model: its MRR on leaked and on other queries.
"""

from __future__ import annotations

import json
from pathlib import Path

import click
import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import load_file

from momok.graph import MultimodalGraph, load_graph
from momok.graph.doctor.leakage import find_leaks, find_rules

Ints = NDArray[np.int64]


def both_directions(facts: Ints, num_relations: int) -> Ints:
    """Queries [2n, 3] as (entity, relation or relation + R, answer)."""
    heads, relations, tails = facts.T
    turned = np.stack([tails, relations + num_relations, heads], axis=1)
    return np.concatenate([facts, turned])


def group_answers(queries: Ints) -> dict[tuple[int, int], list[int]]:
    """The answers of every (entity, relation)."""
    answers: dict[tuple[int, int], list[int]] = {}
    for entity, relation, answer in queries.tolist():
        answers.setdefault((entity, relation), []).append(answer)
    return answers


def measure(graph: MultimodalGraph) -> dict[str, float | int | str]:
    """Rank the test facts with and without rules."""
    n, r = graph.num_entities, graph.num_relations
    rules = find_rules(graph.train, n, r)
    marks = find_leaks(graph.train, graph.test, rules, n, r)
    leaked = np.tile(np.logical_or.reduce(list(marks.values())), 2)
    queries = both_directions(graph.test, r)
    train = both_directions(graph.train, r)
    answers = group_answers(train)
    known = group_answers(np.concatenate([train, queries, both_directions(graph.valid, r)]))
    # A rule body -> head answers (h, head, ?) with what train has for (h, body, ?), or, turned
    # round, for (h, body + R, ?); and likewise the other way.
    bodies: dict[int, list[tuple[int, float]]] = {}
    for rule in rules:
        straight = rule.kind == "duplicate"
        for head, body in ((rule.head, rule.body), (rule.head + r, rule.body + r)):
            source = body if straight else (body + r if body < r else body - r)
            bodies.setdefault(head, []).append((source, rule.confidence))
    popularity = np.zeros((2 * r, n), dtype=np.float64)
    np.add.at(popularity, (train[:, 1], train[:, 2]), 1.0)
    popularity /= popularity.max() + 1  # below 1: what a rule gives stands above
    ranks = {name: np.empty(len(queries)) for name in ("popularity", "with rules")}
    for row, (entity, relation, answer) in enumerate(queries.tolist()):
        fired = np.zeros(n)
        for source, confidence in bodies.get(relation, ()):
            found = answers.get((entity, source), [])
            fired[found] = np.maximum(fired[found], confidence)
        for name, scores in (
            ("popularity", popularity[relation]),
            ("with rules", popularity[relation] + 2 * fired),
        ):
            others = np.ones(n, dtype=np.bool_)
            others[known[entity, relation]] = False
            higher = int((scores[others] > scores[answer]).sum())
            equal = int((scores[others] == scores[answer]).sum())
            ranks[name][row] = 1 + higher + equal / 2
    base, ruled = (float((1 / ranks[name]).mean()) for name in ("popularity", "with rules"))
    return {
        "graph": graph.name,
        "split": graph.split,
        "rules": len(rules),
        "test facts": len(graph.test),
        "bound": float(leaked.mean()),
        "popularity": base,
        "with rules": ruled,
        "gain": ruled - base,
        "leaked part": float((1 / ranks["with rules"])[leaked].sum() / len(queries)),
        "above the others": ruled - float((1 / ranks["with rules"])[~leaked].mean()),
    }


def measure_run(folder: Path) -> dict[str, float | str]:
    """Compare the MRR of a trained model on leaked and on other test facts, from its ranks."""
    graph = load_graph(folder / "graph")
    ranks = load_file(folder / "results" / "test-ranks.safetensors")
    if not np.array_equal(ranks["facts"], graph.test):
        raise click.ClickException(f"{folder}: the ranks are of other facts")
    sizes = graph.num_entities, graph.num_relations
    rules = find_rules(graph.train, *sizes)
    marks = find_leaks(graph.train, graph.test, rules, *sizes)
    leaked = np.tile(np.logical_or.reduce(list(marks.values())), 2)
    reciprocal = 2 / (ranks["optimistic/answer"] + ranks["pessimistic/answer"])
    return {
        "run": folder.name,
        "bound": float(leaked.mean()),
        "MRR": float(reciprocal.mean()),
        "of leaked": float(reciprocal[leaked].mean()),
        "of others": float(reciprocal[~leaked].mean()),
        "above the others": float(reciprocal.mean() - reciprocal[~leaked].mean()),
    }


@click.command()
@click.argument("graphs", nargs=-1)
@click.option("--run", type=click.Path(path_type=Path, exists=True), help="A trained run instead.")
@click.option("--split", type=click.Choice(["clean", "published"]), default="clean")
def main(graphs: tuple[str, ...], run: Path | None, split: str) -> None:
    """Print one line of JSON per graph, or for a run."""
    if run is not None:
        print(json.dumps(measure_run(run)))
    for name in graphs:
        graph = load_graph(name, split="clean" if split == "clean" else "published")
        print(json.dumps(measure(graph)), flush=True)


if __name__ == "__main__":
    main()
