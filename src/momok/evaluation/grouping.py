"""From ranks to an evaluation: grouped in every useful way, with the metrics of every group.

Notation: F facts, 2F queries (tail side, then head side), Q of them ranked, R relations.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from momok.arrays import Floats, Ints
from momok.evaluation.metrics import Metrics, compute_grouped_metrics
from momok.evaluation.results import TIE_RULES, Evaluation, Protocol, QueryRanks, Ranks, Split
from momok.graph import MultimodalGraph
from momok.graph.candidates import Side
from momok.graph.triples import CARDINALITIES, classify_cardinality, mark_unseen
from momok.model.towers import TwoTowerModel

SIDES: tuple[Side, Side] = ("tail", "head")


def summarise(
    model: TwoTowerModel,
    graph: MultimodalGraph,
    facts: Ints,
    chosen: Ints,
    ranks: Mapping[str, Ranks],
    *,
    split: Split,
    protocol: Protocol,
) -> Evaluation:
    """Group the ranks [Q] of every head and compute the metrics of every group."""
    of_fact, side = chosen % len(facts), chosen // len(facts)
    relations = facts[of_fact, 1]
    cardinalities = classify_cardinality(graph.train, graph.num_entities, graph.num_relations)
    unseen = mark_unseen(graph.train, facts, graph.num_entities)
    by_rule = {rule: {head: getattr(r, rule) for head, r in ranks.items()} for rule in TIE_RULES}
    realistic = by_rule["realistic"]
    of_cardinality = cardinalities[relations]
    labels = tuple(graph.relations.labels)

    def by_side_and(groups: Ints, names: Sequence[str]) -> dict[str, Any]:
        return {
            name: _group(
                {head: r[side == number] for head, r in realistic.items()},
                groups[side == number],
                names,
            )
            for number, name in enumerate(SIDES)
        }

    return Evaluation(
        split=split,
        protocol=protocol,
        num_facts=len(facts),
        num_queries=len(chosen),
        num_unseen_facts=int(unseen.sum()),
        by_tie_rule={
            rule: _group(values, np.zeros_like(relations), ["all"])["all"]
            for rule, values in by_rule.items()
        },
        by_side=_group(realistic, side, SIDES),
        by_relation=_group(realistic, relations, labels),
        by_relation_and_side=by_side_and(relations, labels),
        by_cardinality=_group(realistic, of_cardinality, CARDINALITIES),
        by_cardinality_and_side=by_side_and(of_cardinality, CARDINALITIES),
        by_presence=_group_by_presence(model, facts, chosen, realistic),
        by_seen=_group(realistic, unseen[of_fact].astype(np.int64), ("seen", "unseen")),
        query_ranks=QueryRanks(facts=facts, ranks=_spread(ranks, chosen, 2 * len(facts))),
    )


def _spread(ranks: Mapping[str, Ranks], chosen: Ints, count: int) -> dict[str, Ranks]:
    """Ranks of all queries from those of the chosen ones: 0 for the others."""

    def spread(values: Ints) -> Ints:
        every = np.zeros(count, dtype=values.dtype)
        every[chosen] = values
        return every

    return {h: Ranks(spread(r.optimistic), spread(r.pessimistic)) for h, r in ranks.items()}


def _group(
    ranks: Mapping[str, Floats], groups: Ints, names: Sequence[str]
) -> dict[str, dict[str, Metrics]]:
    """Return {group name: {head: metrics}}; ``groups`` [2F] are positions in ``names``."""
    by_head = {
        head: compute_grouped_metrics(values, groups, len(names)) for head, values in ranks.items()
    }
    return {
        name: {head: metrics[g] for head, metrics in by_head.items()}
        for g, name in enumerate(names)
    }


def _group_by_presence(
    model: TwoTowerModel, facts: Ints, chosen: Ints, ranks: Mapping[str, Floats]
) -> dict[str, dict[str, dict[str, Metrics]]]:
    """Group by whether the query's entity, and the answer, has each modality."""
    roles = {
        "query": np.concatenate([facts[:, 0], facts[:, 2]])[chosen],
        "answer": np.concatenate([facts[:, 2], facts[:, 0]])[chosen],
    }
    result = {}
    for modality in model.modalities:
        absent = ~model.present[modality].cpu().numpy().astype(bool)
        result[modality] = {
            name: by_head
            for role, entities in roles.items()
            for name, by_head in _group(
                ranks, absent[entities].astype(np.int64), (f"{role}_present", f"{role}_absent")
            ).items()
        }
    return result
