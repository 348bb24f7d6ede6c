"""New facts of a whole graph: which score ranks them best, and how fast they are found.

    python -m benchmarks.new_facts RUN             both
    python -m benchmarks.new_facts RUN --only rules
    python -m benchmarks.new_facts RUN --only speed --relations 4

*Rules.* A fact has two answers, that to (head, relation, ?) and that to (?, relation, tail). For
every way of making one score of them: average precision of the validation facts among all facts
that are in neither train nor test, over the whole graph and as the mean over relations with at
least five of them. Every head with a validation fact is looked at, and of the others a sample that
is weighted accordingly; facts whose both answers are below 0.02 are taken as not ranked.

*Speed.* Pairs of entities per second of ``find_new_facts`` for the best 1,000 facts of a relation.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.prediction.missing.search import find_new_facts
from momok.prediction.scorer import Scorer

Floats = NDArray[np.float64]

RULES: dict[str, Callable[[Floats, Floats], Floats]] = {
    "tail side": lambda tail, _head: tail,
    "head side": lambda _tail, head: head,
    "mean": lambda tail, head: (tail + head) / 2,
    "geometric mean": lambda tail, head: np.sqrt(tail * head),
    "lower": np.minimum,
}
LEAST = 0.02  # an answer below it does not count as one
FEWEST = 5  # validation facts of a relation that has an average precision


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("run")
    parser.add_argument("--only", choices=["rules", "speed"])
    parser.add_argument("--sample", type=int, default=300, help="other heads per relation")
    parser.add_argument("--relations", type=int, help="how many relations, for speed")
    options = parser.parse_args()
    scorer = Scorer(options.run)
    if options.only != "speed":
        compare_rules(scorer, options.sample)
    if options.only != "rules":
        measure_speed(scorer, options.relations or scorer.graph.num_relations)


def compare_rules(scorer: Scorer, sample: int) -> None:
    parts = [look_at(scorer, relation, sample) for relation in range(scorer.graph.num_relations)]
    relations = np.repeat(np.arange(len(parts)), [len(part[0]) for part in parts])
    tail, head, weights, labels = (np.concatenate(column) for column in zip(*parts, strict=True))
    counts = np.bincount(relations, weights=labels, minlength=len(parts))
    print(f"{len(scorer.graph.valid)} validation facts; {sample} other heads per relation")
    for name, rule in RULES.items():
        scores = rule(tail, head)
        over_all = average_precision(scores, labels, weights)
        by_relation = [
            average_precision(scores[mine], labels[mine], weights[mine])
            for mine in (relations == r for r in np.flatnonzero(counts >= FEWEST))
        ]
        print(
            f"  {name:15} average precision {over_all:.4f}, by relation {np.mean(by_relation):.4f}"
        )


@torch.no_grad()
def look_at(scorer: Scorer, relation: int, sample: int) -> tuple[Floats, Floats, Floats, Floats]:
    """(tail answers, head answers, weights, labels) of the facts that are worth ranking."""
    graph, random = scorer.graph, np.random.default_rng(relation)
    N, R = graph.num_entities, graph.num_relations
    train, valid, test = (f[f[:, 1] == relation] for f in (graph.train, graph.valid, graph.test))
    certain = np.unique(valid[:, 0])
    rest = np.setdiff1d(np.arange(N), certain)
    chosen = random.choice(rest, min(sample, len(rest)), replace=False)
    heads = np.concatenate([certain, chosen])
    candidates = scorer.candidates.vectors
    forward, _ = scorer.encode_relation(heads, relation)
    backward, _ = scorer.encode_relation(np.arange(N), relation + R)
    tail = mean_probability([forward[h] @ candidates[h].T for h in scorer.heads])
    head = mean_probability([candidates[h][heads] @ backward[h].T for h in scorer.heads])
    rows = np.full(N, -1)
    rows[heads] = np.arange(len(heads))
    labels = np.zeros(tail.shape)
    labels[rows[valid[:, 0]], valid[:, 2]] = 1
    weights = np.repeat(
        [1.0, len(rest) / max(len(chosen), 1)], [len(certain), len(chosen)]
    )[:, None] * np.ones(N)  # fmt: skip
    for facts in (train, test):
        known = facts[rows[facts[:, 0]] >= 0]
        weights[rows[known[:, 0]], known[:, 2]] = 0
    kept = (weights > 0) & ((np.maximum(tail, head) > LEAST) | (labels > 0))
    return tail[kept], head[kept], weights[kept], labels[kept]


def mean_probability(logits: list[Tensor]) -> Floats:
    values: Floats = torch.stack([torch.sigmoid(part) for part in logits]).mean(0).double().numpy()
    return values


def average_precision(scores: Floats, labels: Floats, weights: Floats) -> float:
    order = np.argsort(-scores, kind="stable")
    found = np.cumsum(labels[order])
    precision = found / np.cumsum(weights[order])
    return float((precision * labels[order]).sum() / labels.sum())


def measure_speed(scorer: Scorer, relations: int) -> None:
    graph = scorer.graph
    wall, cpu = time.perf_counter(), time.process_time()
    for relation in range(relations):
        find_new_facts(scorer, relation, limit=1000)
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    pairs = relations * graph.num_entities**2
    print(
        f"{relations} relations, {pairs / 1e6:,.0f} million pairs: {wall:.1f} s, {cpu:.1f} s of "
        f"CPU ({pairs / cpu / 1e6:.1f} million pairs per CPU second), "
        f"{torch.get_num_threads()} threads"
    )


if __name__ == "__main__":
    main()
