"""Test answers that a rule of one step reads off the train facts, and what that is worth.

Three kinds of rules, as train itself supports them (Toutanova and Chen, "Observed versus latent
features for knowledge base and text inference", 2015; Akrami et al., "Realistic Re-evaluation of
Knowledge Graph Completion Methods", 2020):

- symmetric: (t, r, h) in train tells (h, r, t),
- inverse: (t, s, h) in train tells (h, r, t), where s and r go opposite ways,
- duplicate: (h, s, t) in train tells (h, r, t), where s and r say the same.

A rule s -> r counts if at least ``MIN_SUPPORT`` train facts of s have their r counterpart in train,
and these are at least ``MIN_CONFIDENCE`` of the facts of s.

The bound. Let L be the test queries whose answer a rule gives, Q all test queries, both directions
of each fact. A reciprocal rank lies in (0, 1], so for any model

    MRR(Q) = (|L| MRR(L) + (|Q| - |L|) MRR(Q \\ L)) / |Q|
    MRR(Q) - MRR(Q \\ L)  =  |L| / |Q| (MRR(L) - MRR(Q \\ L))  <=  |L| / |Q|

and likewise giving a model all these rules can raise its MRR by at most |L| / |Q|: only on L does
a rule move the answer up. Both directions of a fact leak or neither, so |L| / |Q| is the share of
test facts. It bounds what these queries contribute, not what a model learns elsewhere from rules.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momok.graph.doctor.diagnosis import MAX_EXAMPLES, Ailment, grade, name_source, say_count
from momok.graph.doctor.splits import show_fact
from momok.graph.graph import MultimodalGraph
from momok.graph.triples import Triples, encode_triples

__all__ = [
    "MIN_CONFIDENCE",
    "MIN_SUPPORT",
    "Rule",
    "check_leakage",
    "find_leaks",
    "find_linked",
    "find_rules",
]

Ints = NDArray[np.int64]

MIN_SUPPORT = 2  # one fact is a coincidence
MIN_CONFIDENCE = (
    0.5  # of a symmetric relation split 80/10/10, 80 % of the counterparts are in train
)

_BLOCK = 1 << 22  # pairs of facts joined at once: 64 MB
_MOST_RELATIONS = 256  # of one pair of entities that are looked at

KINDS = ("symmetric", "inverse", "duplicate")


@dataclass(frozen=True, kw_only=True)
class Rule:
    """Facts of ``body`` tell facts of ``head``, between the same entities.

    Attributes:
        kind: symmetric, inverse (the entities change places) or duplicate.
        body: relation id.
        head: relation id; the body's own if symmetric.
        support: train facts of the body whose counterpart is in train.
        confidence: their share of the train facts of the body.
    """

    kind: str
    body: int
    head: int
    support: int
    confidence: float


@dataclass(frozen=True)
class _Links:
    """Train facts [n] sorted by their pair of entities: keys h * N + t, and relations."""

    num_entities: int
    keys: Ints
    relations: Ints

    @classmethod
    def build(cls, train: Triples, num_entities: int, num_relations: int) -> _Links:
        # A fact as one number in the order of its pair, as encode_triples has the tail last.
        turned = encode_triples(train[:, [0, 2, 1]], num_relations, num_entities)
        pairs, relations = np.divmod(np.unique(turned), num_relations)
        return cls(num_entities, pairs, relations)

    def join(self, keys: Ints) -> Iterator[tuple[Ints, Ints]]:
        """Give (position in ``keys``, train fact) wherever the pairs are the same, in blocks."""
        starts = np.searchsorted(self.keys, keys, side="left")
        sizes = np.searchsorted(self.keys, keys, side="right") - starts
        sizes = np.minimum(sizes, _MOST_RELATIONS)
        ends = np.cumsum(sizes)
        begin = 0
        while begin < len(keys):
            before = int(ends[begin - 1]) if begin else 0
            end = max(begin + 1, int(np.searchsorted(ends, before + _BLOCK, side="right")))
            part = np.arange(begin, end)
            rows = np.repeat(part, sizes[part])
            offsets = np.arange(len(rows)) - np.repeat(
                ends[part] - sizes[part] - before, sizes[part]
            )
            yield rows, starts[rows] + offsets
            begin = end

    def turn(self) -> Ints:
        """The keys of the pairs in the other direction."""
        heads, tails = np.divmod(self.keys, self.num_entities)
        return tails * self.num_entities + heads


def find_rules(train: Triples, num_entities: int, num_relations: int) -> list[Rule]:
    """Find the rules of one step that train supports, the best supported first."""
    links = _Links.build(train, num_entities, num_relations)
    sizes = np.bincount(links.relations, minlength=num_relations)
    rules: list[Rule] = []
    for turned in (False, True):
        bodies, heads, support = _count_pairs(links, num_relations, turned=turned)
        confidence = support / sizes[bodies]
        kept = (support >= MIN_SUPPORT) & (confidence >= MIN_CONFIDENCE)
        for body, head, count, share in zip(
            bodies[kept], heads[kept], support[kept], confidence[kept], strict=True
        ):
            kind = "duplicate" if not turned else "symmetric" if body == head else "inverse"
            rules.append(
                Rule(
                    kind=kind,
                    body=int(body),
                    head=int(head),
                    support=int(count),
                    confidence=float(share),
                )
            )
    return sorted(rules, key=lambda r: (-r.support, r.kind, r.body, r.head))


def _count_pairs(links: _Links, num_relations: int, *, turned: bool) -> tuple[Ints, Ints, Ints]:
    """Count for pairs (s, r) the train facts of s with an r between the same entities.

    Facts of an entity with itself turn into themselves and are left out.
    """
    keys = links.turn() if turned else links.keys
    loops = links.keys == links.turn()
    codes, counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    for rows, facts in links.join(keys):
        kept = ~loops[rows] if turned else rows != facts
        pairs = links.relations[rows[kept]] * num_relations + links.relations[facts[kept]]
        new, sizes = np.unique(pairs, return_counts=True)
        codes, inverse = np.unique(np.concatenate([codes, new]), return_inverse=True)
        counts = np.bincount(inverse, weights=np.concatenate([counts, sizes])).astype(np.int64)
    bodies, heads = np.divmod(codes, num_relations)
    return bodies, heads, counts


def find_leaks(
    train: Triples, facts: Triples, rules: list[Rule], num_entities: int, num_relations: int
) -> dict[str, NDArray[np.bool_]]:
    """Mark for each kind of rule the facts ``[n]`` that a rule gives from train."""
    links = _Links.build(train, num_entities, num_relations)
    marks = {kind: np.zeros(len(facts), dtype=np.bool_) for kind in KINDS}
    codes = {
        kind: np.array([r.body * num_relations + r.head for r in rules if r.kind == kind], np.int64)
        for kind in KINDS
    }
    straight = facts[:, 0] * num_entities + facts[:, 2]
    turned = facts[:, 2] * num_entities + facts[:, 0]
    for kind, keys in (("duplicate", straight), ("symmetric", turned), ("inverse", turned)):
        if not len(codes[kind]):
            continue
        for rows, found in links.join(keys):
            pairs = links.relations[found] * num_relations + facts[rows, 1]
            marks[kind][rows[np.isin(pairs, codes[kind])]] = True
    return marks


def find_linked(train: Triples, facts: Triples, num_entities: int) -> NDArray[np.bool_]:
    """Mark the facts ``[n]`` whose entities are joined in train by any relation, either way."""
    keys = np.unique(train[:, 0] * num_entities + train[:, 2])
    straight = facts[:, 0] * num_entities + facts[:, 2]
    turned = facts[:, 2] * num_entities + facts[:, 0]
    marked: NDArray[np.bool_] = np.isin(straight, keys) | np.isin(turned, keys)
    return marked


def check_leakage(graph: MultimodalGraph) -> Iterator[Ailment]:
    """Examine what rules of one step give away of the test facts."""
    sizes = graph.num_entities, graph.num_relations
    rules = find_rules(graph.train, *sizes)
    marks = find_leaks(graph.train, graph.test, rules, *sizes)
    for kind in KINDS:
        if marks[kind].any():
            yield _describe_leak(graph, kind, marks[kind], [r for r in rules if r.kind == kind])
    linked = find_linked(graph.train, graph.test, sizes[0])
    any_rule = np.logical_or.reduce(list(marks.values()))
    if linked.any() and not np.array_equal(linked, any_rule):
        yield _describe_linked(graph, linked, any_rule)


def _describe_leak(
    graph: MultimodalGraph, kind: str, marks: NDArray[np.bool_], rules: list[Rule]
) -> Ailment:
    count, total = int(marks.sum()), len(marks)
    share = count / total
    leaking = set(graph.test[marks, 1].tolist())
    concerned = [rule for rule in rules if rule.head in leaking]
    whose = {
        "symmetric": "are the reverse of a train fact of the same, symmetric relation",
        "inverse": "are the reverse of a train fact of an inverse relation",
        "duplicate": "repeat a train fact under a relation that says the same",
    }[kind]
    return Ailment(
        check="leakage",
        kind=f"{kind}-leak",
        severity=grade(share),
        count=count,
        unit="test facts",
        total=total,
        message=f"{count:,} of {total:,} test facts {whose} ({say_count(len(concerned), 'rule')})",
        effect=(
            f"a rule of one step answers them: they raise MRR by at most {100 * share:.2f} points "
            f"over that of the other test facts"
        ),
        examples=tuple(_show_rule(graph, rule) for rule in concerned[:MAX_EXAMPLES]),
        remedy=_say_remedy(graph, kind),
    )


def _say_remedy(graph: MultimodalGraph, kind: str) -> str:
    if kind == "symmetric":
        return (
            "report results with and without these relations; momok data build of facts without a "
            "split keeps both directions in one"
        )
    return (
        f"momok data build {name_source(graph.source)} --drop-inverse-leaks --out NEW leaves out "
        f"the smaller of each pair of such relations; or report results without them"
    )


def _show_rule(graph: MultimodalGraph, rule: Rule) -> str:
    names = graph.relations.labels
    seen = f"{rule.confidence:.0%} of {round(rule.support / rule.confidence):,} train facts"
    if rule.kind == "symmetric":
        return f"{names[rule.body]} is symmetric ({seen})"
    way = "turned round, tells" if rule.kind == "inverse" else "tells"
    return f"{names[rule.body]}, {way} {names[rule.head]} ({seen})"


def _describe_linked(
    graph: MultimodalGraph, linked: NDArray[np.bool_], by_rule: NDArray[np.bool_]
) -> Ailment:
    count, total = int(linked.sum()), len(linked)
    share = count / total
    return Ailment(
        check="leakage",
        kind="linked-pair",
        severity="note",
        count=count,
        unit="test facts",
        total=total,
        message=(
            f"{count:,} of {total:,} test facts join two entities that a train fact joins already "
            f"({int(by_rule.sum()):,} by the rules above)"
        ),
        effect=(
            f"no set of rules from one relation to another gives away more than "
            f"{100 * share:.2f} points of MRR"
        ),
        examples=tuple(show_fact(graph, f) for f in graph.test[linked & ~by_rule][:MAX_EXAMPLES]),
        remedy="nothing to do; it is the ceiling of leaks of one step",
    )
