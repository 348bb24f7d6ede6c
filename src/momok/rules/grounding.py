"""Which rules speak for an answer, and the facts of train that they rest on."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from momok.rules.links import Links, expand, find_keys
from momok.rules.table import ANY, Rule, RuleTable

_Fact: TypeAlias = tuple[int, int, int]


@dataclass(frozen=True)
class Grounding:
    """A rule that speaks for an answer.

    Attributes:
        rule: the rule.
        facts: facts of train, (head, relation, tail) ids, that are its body: two of a path.
        ways: how many such bodies there are, of which one is given: that by the entity in the
            fewest facts.
    """

    rule: Rule
    facts: tuple[_Fact, ...]
    ways: int

    @property
    def weight(self) -> float:
        """What it adds to the evidence of its kind."""
        return self.rule.weight * self.ways


def ground_rules(
    links: Links, tables: Mapping[str, RuleTable], head: int, relation: int, answer: int
) -> list[Grounding]:
    """All rules that speak for an answer to (head, relation, ?), those that say most first."""
    parts = (_ground_one_step, _ground_two_steps, _ground_constant)
    found = [
        grounding
        for (kind, table), ground in zip(tables.items(), parts, strict=True)
        for grounding in ground(links, table, kind, (head, relation, answer))
    ]
    return sorted(found, key=lambda grounding: -grounding.weight)


def _ground_one_step(
    links: Links, table: RuleTable, kind: str, asked: _Fact
) -> Iterator[Grounding]:
    head, relation, answer = asked
    mine = _find_links(links, head)
    joining = links.relations[mine][links.targets[mine] == answer]
    rows = table.find_relation(relation)
    kept = rows.start + np.flatnonzero(np.isin(table.first[rows], joining))
    for rule in table.read(kept, kind):
        yield Grounding(rule, (_read_fact(links, head, rule.first, answer),), 1)


def _ground_two_steps(
    links: Links, table: RuleTable, kind: str, asked: _Fact
) -> Iterator[Grounding]:
    head, relation, answer = asked
    if head == answer:  # a path that leads back says nothing
        return
    D = 2 * links.num_relations
    mine, others = _find_links(links, head), _find_links(links, answer)
    order = np.argsort(links.targets[others], kind="stable")
    ends, back = links.targets[others][order], links.relations[others][order]
    begins = np.searchsorted(ends, links.targets[mine])
    sizes = np.searchsorted(ends, links.targets[mine], side="right") - begins
    paths, places = expand(begins, sizes)
    codes = links.relations[mine][paths] * D + links.reverse(back[places])
    rows = table.find_relation(relation)
    found, there = find_keys(table.first[rows] * D + table.second[rows], codes)
    found, middles = found[there], links.targets[mine][paths[there]]
    order = np.lexsort((middles, links.degrees[middles], found))
    kept, first, ways = np.unique(found[order], return_index=True, return_counts=True)
    rules = table.read(rows.start + kept, kind)
    for rule, middle, count in zip(rules, middles[order[first]].tolist(), ways, strict=True):
        facts = (
            _read_fact(links, head, rule.first, middle),
            _read_fact(links, middle, rule.second, answer),
        )
        yield Grounding(rule, facts, int(count))


def _ground_constant(
    links: Links, table: RuleTable, kind: str, asked: _Fact
) -> Iterator[Grounding]:
    head, relation, answer = asked
    mine, N = _find_links(links, head), links.num_entities
    relations, targets = links.relations[mine], links.targets[mine]
    rows = table.find_relation(relation)
    kept = rows.start + np.flatnonzero(table.answer[rows] == answer)
    first, constant = table.first[kept], table.constant[kept]
    _, has = find_keys(relations * N + targets, first * N + constant)
    has = np.where(constant == ANY, np.isin(first, relations), has)
    for rule in table.read(kept[has], kind):
        target = rule.constant
        if target == ANY:
            ends = targets[relations == rule.first]
            target = int(ends[np.argmin(links.degrees[ends])])
        yield Grounding(rule, (_read_fact(links, head, rule.first, target),), 1)


def _find_links(links: Links, entity: int) -> slice:
    return slice(*links.starts[entity : entity + 2].tolist())


def _read_fact(links: Links, source: int, relation: int, target: int) -> _Fact:
    R = links.num_relations
    return (source, relation, target) if relation < R else (target, relation - R, source)
