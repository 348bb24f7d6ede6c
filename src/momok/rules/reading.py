"""Rules as people read them: formulas over the names of a graph, the surest first."""

from __future__ import annotations

import numpy as np

from momok.graph import MultimodalGraph
from momok.rules.rules import Rules
from momok.rules.table import ANY, Rule


def choose_rules(
    rules: Rules, *, relation: int | None = None, kind: str | None = None, limit: int
) -> tuple[list[Rule], int]:
    """The most confident rules, those of equal confidence by support, and how many there are.

    A rule of steps read from its other end concludes the relation reversed: it is one rule, and
    only that of the relation itself is given.

    Args:
        rules: all of them.
        relation: the id of what is concluded, 0..R-1; None for all.
        kind: one of ``KINDS``; None for all.
        limit: how many are given.
    """
    R = rules.num_relations
    found: list[Rule] = []
    count = 0
    for name, table in rules.tables.items():
        kept = np.ones(len(table), dtype=np.bool_) if name == "constant" else table.relation < R
        if relation is not None:
            kept &= table.relation % R == relation
        rows = np.flatnonzero(kept)
        if kind in (None, name):
            count += len(rows)
            best = np.lexsort((-table.support[rows], -table.confidence[rows]))[:limit]
            found += table.read(rows[best], name)
    found.sort(key=lambda rule: (-rule.confidence, -rule.support))
    return found[:limit], count


def write_formula(rule: Rule, graph: MultimodalGraph) -> str:
    """A rule as ``conclusion <- body``, with names: ``borders(x, y) <- borders(y, x)``.

    Variables are letters, ``_`` is anything, and entities are in quotes.
    """
    R = graph.num_relations

    def write(relation: int, source: str, target: str) -> str:
        ends = (source, target) if relation < R else (target, source)
        return f"{graph.relation_names[relation % R]}({', '.join(ends)})"

    def quote(entity: int) -> str:
        return "_" if entity == ANY else f'"{graph.title(entity)}"'

    if rule.kind == "constant":
        conclusion = write(rule.relation, "x", quote(rule.answer))
        return f"{conclusion} <- {write(rule.first, 'x', quote(rule.constant))}"
    conclusion = write(rule.relation, "x", "y")
    if rule.kind == "one_step":
        return f"{conclusion} <- {write(rule.first, 'x', 'y')}"
    body = write(rule.first, "x", "z"), write(rule.second, "z", "y")
    return f"{conclusion} <- {', '.join(body)}"
