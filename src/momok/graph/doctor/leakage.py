"""Test answers that a rule of one step reads off the train facts, and what that is worth.

Three kinds of rules, as train itself supports them (Toutanova and Chen, "Observed versus latent
features for knowledge base and text inference", 2015; Akrami et al., "Realistic Re-evaluation of
Knowledge Graph Completion Methods", 2020):

- symmetric: (t, r, h) in train tells (h, r, t),
- inverse: (t, s, h) in train tells (h, r, t), where s and r go opposite ways,
- duplicate: (h, s, t) in train tells (h, r, t), where s and r say the same.

A rule s -> r counts if at least ``MIN_SUPPORT`` train facts of s have their r counterpart in train,
and these are at least ``MIN_CONFIDENCE`` of the facts of s.

The bound on what they add to MRR is the share of test facts that a rule gives: docs/data-check.md
has the proof.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from momok.arrays import Bools, Ints
from momok.graph.doctor.report import Problem, count_problem, format_count, grade, quote_source
from momok.graph.doctor.splits import show_fact
from momok.graph.graph import MultimodalGraph
from momok.graph.splits import count_counterparts
from momok.graph.triples import Triples, encode_triples, is_member

MIN_SUPPORT = 2  # one fact is a coincidence
# Of a symmetric relation split 80/10/10, 80 % of the counterparts are in train.
MIN_CONFIDENCE = 0.5

KINDS = ("symmetric", "inverse", "duplicate")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Facts of ``body`` tell facts of ``head``, between the same entities.

    Attributes:
        kind: symmetric, inverse (the entities change places) or duplicate.
        head: relation id; the body's own if symmetric.
        support: train facts of the body whose counterpart is in train.
        confidence: their share of the train facts of the body.
    """

    kind: str
    body: int
    head: int
    support: int
    confidence: float


def find_rules(train: Triples, num_entities: int, num_relations: int) -> list[Rule]:
    """Find the rules of one step that the distinct facts of train support, the best first.

    Facts of an entity with itself turn into themselves, and support no rule that turns.
    """
    sizes = np.bincount(train[:, 1], minlength=num_relations).tolist()
    rules: list[Rule] = []
    for first, second, turned, support in count_counterparts(train, num_entities, num_relations):
        kind = "duplicate" if not turned else "symmetric" if first == second else "inverse"
        for body, head in {(first, second), (second, first)}:
            confidence = support / sizes[body]
            if support >= MIN_SUPPORT and confidence >= MIN_CONFIDENCE:
                rules.append(
                    Rule(kind=kind, body=body, head=head, support=support, confidence=confidence)
                )
    return sorted(rules, key=lambda r: (-r.support, r.kind, r.body, r.head))


def follow_rules(
    train: Triples, facts: Triples, rules: Sequence[Rule], num_entities: int, num_relations: int
) -> Iterator[tuple[Rule, Ints]]:
    """Give each rule with the places of the facts ``[n, 3]`` that it gives from train."""
    known = np.sort(encode_triples(train, num_entities, num_relations))
    for rule in rules:
        rows = np.flatnonzero(facts[:, 1] == rule.head)
        bodies = facts[rows]
        bodies[:, 1] = rule.body
        if rule.kind != "duplicate":
            bodies = bodies[:, ::-1]
        keys = encode_triples(bodies, num_entities, num_relations)
        places = np.minimum(np.searchsorted(known, keys), len(known) - 1)
        yield rule, rows[known[places] == keys]


def find_leaks(
    train: Triples, facts: Triples, rules: Sequence[Rule], num_entities: int, num_relations: int
) -> dict[str, Bools]:
    """Mark for each kind of rule the facts ``[n]`` that a rule gives from train."""
    marks = {kind: np.zeros(len(facts), dtype=np.bool_) for kind in KINDS}
    for rule, rows in follow_rules(train, facts, rules, num_entities, num_relations):
        marks[rule.kind][rows] = True
    return marks


def find_linked(train: Triples, facts: Triples, num_entities: int) -> Bools:
    """Mark the facts ``[n]`` whose entities are joined in train by any relation, either way."""
    keys = train[:, 0] * num_entities + train[:, 2]
    straight = facts[:, 0] * num_entities + facts[:, 2]
    turned = facts[:, 2] * num_entities + facts[:, 0]
    return is_member(straight, keys) | is_member(turned, keys)


def check_leakage(graph: MultimodalGraph) -> Iterator[Problem]:
    """Check what rules of one step give away of the test facts."""
    sizes = graph.num_entities, graph.num_relations
    rules = find_rules(graph.train, *sizes)
    marks = find_leaks(graph.train, graph.test, rules, *sizes)
    for kind in KINDS:
        if marks[kind].any():
            yield from _describe_leak(
                graph, kind, marks[kind], [r for r in rules if r.kind == kind]
            )
    linked = find_linked(graph.train, graph.test, graph.num_entities)
    any_rule = np.logical_or.reduce(list(marks.values()))
    if linked.any() and not np.array_equal(linked, any_rule):
        yield from _describe_linked(graph, linked, any_rule)


def _describe_leak(
    graph: MultimodalGraph, kind: str, marks: Bools, rules: list[Rule]
) -> Iterator[Problem]:
    share = float(marks.mean())
    leaking = set(graph.test[marks, 1].tolist())
    concerned = [rule for rule in rules if rule.head in leaking]
    what = {
        "symmetric": "are the reverse of a train fact of the same, symmetric relation",
        "inverse": "are the reverse of a train fact of an inverse relation",
        "duplicate": "repeat a train fact under a relation that says the same",
    }[kind]
    yield from count_problem(
        *("leakage", f"{kind}-leak", grade(share)),
        count=int(marks.sum()),
        total=len(marks),
        unit="test facts",
        what=f"{what} ({format_count(len(concerned), 'rule')})",
        effect=(
            f"a rule of one step answers them: they raise MRR by at most {100 * share:.2f} points "
            f"over that of the other test facts"
        ),
        examples=(_show_rule(graph, rule) for rule in concerned),
        remedy=_describe_remedy(graph, kind),
    )


def _describe_remedy(graph: MultimodalGraph, kind: str) -> str:
    if kind == "symmetric":
        return (
            "report results with and without these relations; momok data build of facts without a "
            "split keeps both directions in one"
        )
    return (
        f"momok data build {quote_source(graph.source)} --drop-inverse-leaks --out NEW leaves out "
        f"the smaller of each pair of such relations; or report results without them"
    )


def _show_rule(graph: MultimodalGraph, rule: Rule) -> str:
    names = graph.relations.labels
    seen = f"{rule.confidence:.0%} of {round(rule.support / rule.confidence):,} train facts"
    if rule.kind == "symmetric":
        return f"{names[rule.body]} is symmetric ({seen})"
    way = "turned round, tells" if rule.kind == "inverse" else "tells"
    return f"{names[rule.body]}, {way} {names[rule.head]} ({seen})"


def _describe_linked(graph: MultimodalGraph, linked: Bools, by_rule: Bools) -> Iterator[Problem]:
    yield from count_problem(
        *("leakage", "linked-pair", "note"),
        count=int(linked.sum()),
        total=len(linked),
        unit="test facts",
        what=(
            f"join two entities that a train fact joins already ({int(by_rule.sum()):,} by the "
            f"rules above)"
        ),
        effect=(
            f"no set of rules from one relation to another gives away more than "
            f"{100 * float(linked.mean()):.2f} points of MRR"
        ),
        examples=(show_fact(graph, f) for f in graph.test[linked & ~by_rule]),
        remedy="nothing to do; it is the ceiling of leaks of one step",
    )
