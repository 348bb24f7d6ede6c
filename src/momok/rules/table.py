"""Rules of one kind as columns, and which of them are kept."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields

import numpy as np

from momok.arrays import Floats, Ints

KINDS = ("one_step", "two_steps", "constant")
"""The kinds of rules: by their body, as ``momok.rules`` says."""

ANY = -1  # in place of an entity or a relation that a rule does not name
SHRINK = 5.0  # facts that would have to speak against each rule: little support is no certainty
MOST_CERTAIN = 0.99


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One rule: a row of a ``RuleTable``.

    Attributes:
        kind: one of ``KINDS``; the others are those of the table.
    """

    kind: str
    relation: int
    first: int
    second: int
    constant: int
    answer: int
    support: int
    body: int
    confidence: float
    weight: float


@dataclass(frozen=True, eq=False)
class RuleTable:
    """Rules of one kind, [n] each, sorted by the columns from the left.

    Attributes:
        relation: what is concluded, in 0..2R-1.
        first: the relation of the body, or the first of its two.
        second: the second relation of a path, or ``ANY``.
        constant: the entity that the body names, or ``ANY``.
        answer: the entity that the rule concludes, or ``ANY`` where it is the body's end.
        support: facts of train that the rule concludes.
        body: how often the body is there.
    """

    relation: Ints
    first: Ints
    second: Ints
    constant: Ints
    answer: Ints
    support: Ints
    body: Ints

    def __len__(self) -> int:
        return len(self.relation)

    @property
    def confidence(self) -> Floats:
        """Support by body, shrunk: ``support / (body + 5)``."""
        return self.support / (self.body + SHRINK)

    @property
    def weight(self) -> Floats:
        """``-log(1 - confidence)``: what the rule adds to the sum that is a noisy-or."""
        return -np.log1p(-np.minimum(self.confidence, MOST_CERTAIN))

    def columns(self) -> dict[str, Ints]:
        """The columns by name."""
        return {column.name: getattr(self, column.name) for column in fields(self)}

    def check(self, num_entities: int, num_relations: int) -> None:
        """Raise a ValueError where a column has another shape or type, or ids are out of range."""
        sizes = {"first": 2 * num_relations, "second": 2 * num_relations}
        sizes |= {"relation": 2 * num_relations, "constant": num_entities, "answer": num_entities}
        for name, column in self.columns().items():
            if column.dtype != np.int64 or column.shape != self.relation.shape:
                raise ValueError(f"{name} is {column.dtype} {column.shape}")
            least = 0 if name in ("relation", "first", "support", "body") else ANY
            size = sizes.get(name, np.iinfo(np.int64).max)
            if len(column) and not least <= column.min() <= column.max() < size:
                raise ValueError(f"{name} is out of range")

    def find_relation(self, relation: int) -> slice:
        """The rows of the rules that conclude a relation."""
        return slice(*np.searchsorted(self.relation, [relation, relation + 1]).tolist())

    def read(self, rows: Ints, kind: str) -> list[Rule]:
        """The rules of some rows, one by one."""
        taken = self.take(rows)
        columns = taken.columns() | {"confidence": taken.confidence, "weight": taken.weight}
        cells = zip(*(column.tolist() for column in columns.values()), strict=True)
        return [Rule(kind=kind, **dict(zip(columns, row, strict=True))) for row in cells]

    def take(self, rows: Ints) -> RuleTable:
        """The rules of some rows."""
        return RuleTable(**{name: values[rows] for name, values in self.columns().items()})

    def sort(self) -> RuleTable:
        """The same rules in their order."""
        keys = (self.answer, self.constant, self.second, self.first, self.relation)
        return self.take(np.lexsort(keys))


def make_table(columns: Mapping[str, Ints]) -> RuleTable:
    """A table of columns by name; what is left out is ``ANY``."""
    absent = np.full(len(columns["relation"]), ANY, dtype=np.int64)
    names = (column.name for column in fields(RuleTable))
    return RuleTable(**{name: columns.get(name, absent) for name in names})


def join_tables(tables: list[RuleTable]) -> RuleTable:
    """The rules of several tables in one, in order."""
    names = (column.name for column in fields(RuleTable))
    return RuleTable(**{n: np.concatenate([getattr(table, n) for table in tables]) for n in names})


def keep_strongest(rules: RuleTable, groups: Ints, limit: int) -> RuleTable:
    """The at most ``limit`` most confident rules of each group [n]; more support goes first.

    What is equal in both is kept in the order of the rules' columns.
    """
    if len(rules) <= limit:
        return rules
    keys = (-rules.support, -rules.confidence, groups)
    order = np.lexsort((rules.answer, rules.constant, rules.second, rules.first, *keys))
    ordered = groups[order]
    begins = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1]))
    places = np.arange(len(order)) - np.repeat(begins, np.diff(np.append(begins, len(order))))
    return rules.take(order[places < limit])
