"""What rules alone answer, and what their mining and their evidence take.

    python -m benchmarks.rules world MKG-W MKG-Y DB15K KVC16K
    python -m benchmarks.rules --synthetic 1000000
    python -m benchmarks.rules --run RUN

Rules are mined on train; candidates are ranked by the plain sum of the evidence of all kinds (both
directions, filtered, realistic ranks); ``without leaks`` is the same without the rules of one step
that give held-out facts away (``momok.rules.leaks``). Seconds are of the processor, on one thread
with ``OMP_NUM_THREADS=1``; ``peak MB`` is of the whole process, so measure one graph at a time.
``--synthetic F`` times a random graph of about F facts with hubs, of which a fifth are inverses of
others, and 5,120 of its queries. ``--run`` fits the pool of a trained run again with all rules,
without those that leak, and without any, and says the test MRR of all queries, of those whose
answer a rule of one step gives (``momok.graph.doctor.leakage``), and of the others.
"""

from __future__ import annotations

import json
import resource
import time
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from momok.evaluation import evaluate
from momok.evaluation.pool_fit import fit_pool
from momok.graph import MultimodalGraph, load_graph
from momok.graph.doctor.leakage import find_leaks, find_rules
from momok.rules import Rules, mine_rules
from momok.rules.leaks import Leaks
from momok.training import RunFolder
from momok.training.checkpoint import load_model

Ints = NDArray[np.int64]
_BLOCK = 256


def ask_both(facts: Ints, num_relations: int) -> tuple[Ints, Ints, Ints]:
    """Entities, relations and answers of the two queries of every fact, relation by relation."""
    heads, relations, tails = facts.T
    asked = np.concatenate([relations, relations + num_relations])
    order = np.argsort(asked, kind="stable")
    entities, answers = np.concatenate([heads, tails]), np.concatenate([tails, heads])
    return entities[order], asked[order], answers[order]


def rank(graph: MultimodalGraph, rules: Rules, facts: Ints) -> tuple[float, float]:
    """The filtered MRR of the plain sum of evidence, and the seconds that evidence takes."""
    entities, relations, answers = ask_both(facts, graph.num_relations)
    reciprocal, seconds = np.empty(len(entities)), 0.0
    for start in range(0, len(entities), _BLOCK):
        block = slice(start, start + _BLOCK)
        began = time.process_time()
        found = rules.find_evidence(entities[block], relations[block])
        seconds += time.process_time() - began
        scores = np.zeros((len(entities[block]), graph.num_entities))
        scores[found.rows, found.columns] = found.values.sum(axis=0)
        mine = scores[np.arange(len(scores)), answers[block]][:, None]
        known = graph.fact_index.lookup(entities[block], relations[block])
        scores[known] = np.nan
        ties = (scores == mine).sum(axis=1) / 2
        reciprocal[block] = 1 / (1 + (scores > mine).sum(axis=1) + ties)
    return float(reciprocal.mean()), seconds


def measure(graph: MultimodalGraph) -> dict[str, Any]:
    """Mine and rank."""
    began = time.process_time()
    rules = mine_rules(graph.train, graph.num_entities, graph.num_relations)
    found = {"graph": graph.name, "mining": time.process_time() - began}
    for split, facts in (("valid", graph.valid), ("test", graph.test)):
        mrr, seconds = rank(graph, rules, facts)
        found |= {f"{split} queries": 2 * len(facts), f"{split} MRR": mrr}
        found |= {f"{split} evidence": seconds}
    leaks = Leaks(graph)
    mrr, _ = rank(graph, rules.leave_out(leaks.steps), graph.test)
    return found | {"leaks": len(leaks.steps) // 2, "test MRR without leaks": mrr}


def draw_graph(count: int) -> tuple[Ints, int, int]:
    """About so many random facts, with numbers of entities and relations; many have a few of both.

    Entities and relations follow power laws.
    """
    random = np.random.default_rng(0)
    entities, relations = count // 5, 200

    def draw(size: int, exponent: float) -> Ints:
        weights = np.cumsum(1 / np.arange(1, size + 1) ** exponent)
        drawn = np.searchsorted(weights / weights[-1], random.random(count))
        return random.permutation(size)[np.minimum(drawn, size - 1)]

    facts = np.stack([draw(entities, 0.6), draw(relations, 1.0), draw(entities, 0.9)], axis=1)
    turned = facts[random.random(count) < 0.2]
    facts[: len(turned)] = turned[:, ::-1]
    facts[: len(turned), 1] = (facts[: len(turned), 1] + 7) % relations
    return np.unique(facts[facts[:, 0] != facts[:, 2]], axis=0), entities, relations


def measure_synthetic(count: int) -> dict[str, Any]:
    """Mine a random graph and ask for evidence."""
    facts, entities, relations = draw_graph(count)
    began = time.process_time()
    rules = mine_rules(facts, entities, relations)
    mined = time.process_time()
    drawn = facts[np.random.default_rng(1).integers(0, len(facts), 2_560)]
    asked, under, _ = ask_both(drawn, relations)
    for start in range(0, len(asked), _BLOCK):
        rules.find_evidence(asked[start : start + _BLOCK], under[start : start + _BLOCK])
    degrees = np.bincount(facts[:, [0, 2]].ravel())
    found = {"facts": len(facts), "most facts of an entity": int(degrees.max())}
    found |= {"rules": sum(map(len, rules.tables.values())), "queries": len(asked)}
    return found | {"mining": mined - began, "evidence": time.process_time() - mined}


def measure_run(path: Path) -> Iterator[dict[str, Any]]:
    """Fit the pool of a run with rules, without those that leak, and without any."""
    folder = RunFolder(path)
    graph = folder.load_graph()
    model, _ = load_model(folder.best_checkpoint, torch.device("cpu"), run=folder.identity)
    rules = Rules.load(folder.rules_file, graph.train)
    sizes = graph.num_entities, graph.num_relations
    marks = find_leaks(graph.train, graph.test, find_rules(graph.train, *sizes), *sizes)
    leaked = np.tile(np.logical_or.reduce(list(marks.values())), 2)
    without = rules.leave_out(Leaks(graph).steps)
    for name, chosen in (("all rules", rules), ("without leaks", without), ("no rules", None)):
        with torch.no_grad():
            pool = fit_pool(model.train(False), graph, chosen, seed=folder.config.seed)
        ranks = evaluate(model, graph, "test", pool=pool).query_ranks
        assert ranks is not None
        mrr = ranks.reciprocal()
        yield {
            "run": path.name,
            "pool": name,
            "weights": pool.about["chosen"],
            "validation MRR": max(pool.about["mrr"].values()),
            "test MRR": float(mrr.mean()),
            "leaked queries": float(leaked.mean()),
            "of leaked": float(mrr[leaked].mean()) if leaked.any() else None,
            "of others": float(mrr[~leaked].mean()),
        }


@click.command()
@click.argument("graphs", nargs=-1)
@click.option("--synthetic", type=click.IntRange(1_000), help="Facts of a random graph.")
@click.option("--run", type=click.Path(path_type=Path, exists=True), help="A run with a pool.")
def main(graphs: tuple[str, ...], synthetic: int | None, run: Path | None) -> None:
    """Print one line of JSON per graph, and three of a run."""
    for found in chain(
        (measure(load_graph(name)) for name in graphs),
        (measure_synthetic(count) for count in [synthetic] if count),
        measure_run(run) if run else (),
    ):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(json.dumps(found | {"peak MB": peak}), flush=True)


if __name__ == "__main__":
    main()
