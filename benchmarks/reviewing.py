"""What a round of reviewing is worth: retraining with accepted facts, with rejected ones, by order.

    python -m benchmarks.reviewing world --out /tmp/reviewing --seeds 3

Up to a fifth of the train facts is hidden (facts that tell each other together; each of their
entities keeps another fact in the same role), and a model trained on what is left. A simulated
reviewer, who knows the hidden facts and takes every other proposal for false, decides the first
proposals of each relation of which facts are hidden, in one of the orders of the queue (of the 200
likeliest); what says the same turned round is decided along. Then training starts from that model:
without the decisions, with the accepted facts, and with the rejected ones too. Of each model: MRR
on test, and the precision of its next proposals, those undecided that it finds likeliest.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import fmean, stdev

import click
import numpy as np

import momok
from momok.config import resolve_config
from momok.graph import MultimodalGraph
from momok.graph.reviewed import Labels, ReviewedFacts, apply_reviews
from momok.graph.splits import find_redundant_relations, group_facts
from momok.prediction import Predictor
from momok.prediction.calibration.fit import calibrate_run
from momok.progress import Reporter
from momok.serving.proposals import (
    Mirrors,
    Order,
    Proposal,
    QueueFilter,
    choose,
    label_fact,
    rank_new_facts,
)
from momok.training import RunFolder, settings_from

_HIDDEN = 0.2  # of the train facts, at most
_LEAST = 30  # hidden facts of a relation that is reviewed
_POOL = 200  # of its proposals are worth looking at
_ARMS: tuple[tuple[str, Order, bool, bool], ...] = (
    ("no decisions", "probability", False, False),
    ("accepted, likeliest first", "probability", True, False),
    ("accepted and rejected, likeliest first", "probability", True, True),
    ("accepted and rejected, at random", "random", True, True),
)  # name, order, whether accepted and rejected facts are learned from


def hide(graph: MultimodalGraph, seed: int) -> tuple[MultimodalGraph, set[tuple[int, ...]]]:
    """The graph without a share of its train facts, and these.

    Their entities keep another fact in the same role: others are not proposed.
    """
    sizes = graph.num_entities, graph.num_relations
    train = graph.train
    groups = group_facts(train, find_redundant_relations(train, *sizes), *sizes)
    roles = [
        [("head", head, relation), ("tail", tail, relation)]
        for head, relation, tail in train.tolist()
    ]
    left = Counter(role for of_fact in roles for role in of_fact)
    members: dict[int, list[int]] = {}
    for row, group in enumerate(groups.tolist()):
        members.setdefault(group, []).append(row)
    gone = np.zeros(len(train), dtype=bool)
    for group in np.random.default_rng(seed).permutation(len(members)).tolist():
        needed = Counter(role for row in members[group] for role in roles[row])
        if gone.sum() < _HIDDEN * len(train) and all(left[x] > n for x, n in needed.items()):
            gone[members[group]] = True
            left -= needed
    return replace(graph, train=train[~gone]), set(map(tuple, train[gone].tolist()))


class Desk:
    """The proposals of a run, for the relations that facts were hidden of."""

    def __init__(self, run: RunFolder, truth: set[tuple[int, ...]]) -> None:
        self._predictor, self._truth = Predictor(run), truth
        self._mirrors = Mirrors(self._predictor.graph.fact_index)
        hidden = Counter(relation for _, relation, _ in truth)
        self._ranked = {
            relation: rank_new_facts(self._predictor, relation, self._mirrors)
            for relation, count in sorted(hidden.items())
            if count >= _LEAST
        }

    def pick(self, order: Order, count: int, but: set[Labels] | None = None) -> list[Proposal]:
        """The first of every relation in an order of the queue, without those decided."""
        picked: list[Proposal] = []
        for ranked in self._ranked.values():
            left = [p for p in ranked if p.fact not in (but or ())][:_POOL]
            picked += choose(self._predictor, left, QueueFilter(order=order))[:count]
        return picked

    def decide(self, proposals: list[Proposal]) -> ReviewedFacts:
        """What a reviewer says who knows the truth."""
        found: dict[bool, list[Labels]] = {True: [], False: []}
        for proposal in proposals:
            together = [proposal.ids, *self._mirrors.find(proposal.ids)]
            labels = [label_fact(self._predictor.graph, ids) for ids in together]
            found[self._is_true(proposal)] += labels
        return ReviewedFacts(accepted=found[True], rejected=found[False])

    def measure(self, decided: ReviewedFacts, count: int) -> float:
        """The precision of the next proposals."""
        known = {*decided.accepted, *decided.rejected}
        return fmean(self._is_true(p) for p in self.pick("probability", count, known))

    def _is_true(self, proposal: Proposal) -> bool:
        together = [proposal.ids, *self._mirrors.find(proposal.ids)]
        return any(ids in self._truth for ids in together)


def _finish(run: RunFolder, reporter: Reporter) -> None:
    calibrate_run(run, progress=reporter.progress)


def run_seed(
    graph: MultimodalGraph, out: Path, seed: int, preset: str, decisions: int
) -> Iterator[dict[str, object]]:
    """One round with every arm; runs that are there are kept."""
    part, truth = hide(graph, seed)
    config = resolve_config(preset, overrides=[f"seed={seed}"])
    base = out / f"{preset}-{seed}"
    if not base.exists():
        momok.train(part, config, run=base, progress=False, finish=_finish)
    desk = Desk(RunFolder(base), truth)
    for arm, order, accepts, rejects in _ARMS:
        decided = desk.decide(desk.pick(order, decisions))
        learned = ReviewedFacts(
            accepted=[*decided.accepted] * accepts, rejected=[*decided.rejected] * rejects
        )
        path = out / f"{preset}-{seed}-{arm.replace(', ', '-').replace(' ', '-')}"
        if not path.exists():
            momok.train(
                apply_reviews(part, learned),
                settings_from(RunFolder(base)),
                run=path,
                start=base,
                progress=False,
                finish=_finish,
            )
        run = RunFolder(path)
        yield {
            "seed": seed,
            "arm": arm,
            "accepted": len(decided.accepted),
            "rejected": len(decided.rejected),
            "mrr": run.load_evaluation("test").overall["answer"].mrr,
            "precision": Desk(run, truth).measure(decided, decisions),
        }


@click.command()
@click.argument("graph")
@click.option("--out", required=True, type=click.Path(path_type=Path), help="For the runs.")
@click.option("--seeds", default=3, help="How many [3].")
@click.option("--preset", default="small", help="Settings of the models [small].")
@click.option("--decisions", default=40, help="Of a relation, and looked at next [40].")
def main(graph: str, out: Path, seeds: int, preset: str, decisions: int) -> None:
    """Simulate a round of reviewing; a JSON line per seed and arm, then means."""
    whole = momok.load_graph(graph, split="clean")
    rows = []
    for seed in range(seeds):
        for row in run_seed(whole, out, seed, preset, decisions):
            click.echo(json.dumps(row))
            rows.append(row)
    for arm, *_ in _ARMS:
        own = [row for row in rows if row["arm"] == arm]
        texts = []
        for name in ("mrr", "precision"):
            values = [100 * float(str(row[name])) for row in own]
            spread = stdev(values) if len(values) > 1 else 0.0
            texts.append(f"{name} {fmean(values):.2f} ± {spread:.2f}")
        click.echo(f"{arm}: {', '.join(texts)}")


if __name__ == "__main__":
    main()
