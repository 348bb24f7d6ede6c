"""Rules of one step that give held-out facts away: the leaks that the doctor finds."""

from __future__ import annotations

import numpy as np

from momok.graph import MultimodalGraph
from momok.graph.doctor.leakage import find_rules, follow_rules
from momok.rules.table import Rule


class Leaks:
    """Tells the rules of one step that answer a validation or test fact from train.

    They are those of ``momok.graph.doctor.leakage``: at least two facts of train, and at least half
    of those of the body, follow them.

    Attributes:
        steps: (relation, first) of each, as in ``RuleTable``, from either end.
    """

    def __init__(self, graph: MultimodalGraph) -> None:
        R, sizes = graph.num_relations, (graph.num_entities, graph.num_relations)
        rules = find_rules(graph.train, *sizes)
        held_out = np.concatenate([graph.valid, graph.test])
        self.steps: set[tuple[int, int]] = set()
        for rule, told in follow_rules(graph.train, held_out, rules, *sizes):
            if not len(told):
                continue
            first = rule.body + R * (rule.kind != "duplicate")
            self.steps |= {(rule.head, first), (rule.head + R, (first + R) % (2 * R))}

    def include(self, rule: Rule) -> bool:
        """Whether a rule is one of them."""
        return rule.kind == "one_step" and (rule.relation, rule.first) in self.steps
