"""Facts by query, by entity and by relation: one sorted index for all who look facts up.

Every fact (h, r, t) is there twice, as an answer t of the query (h, r) and as an answer h of the
query (t, r + R): r + R is r reversed.

Shapes: F facts, N entities, R relations, U distinct queries, P distinct (query, answer) pairs,
B queries of a call.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property

import numpy as np

from momok.arrays import Bools, Ints
from momok.errors import DataError
from momok.graph.triples import Triples, sort_unique

UNKNOWN = -1  # the row and the split of a fact that the index does not have


class FactIndex:
    """The facts of one or several splits, sorted by relation, entity, answer.

    A fact that is there more than once, in one split or in several, counts once: the first.

    Args:
        splits: facts [n, 3] of each split; relations in 0..R-1.
        num_entities: N.
        num_relations: R.

    Attributes:
        facts: [F, 3] the facts of all splits, one after the other; a row is a place in it.
        keys: [U] the queries that have answers, relation * N + entity, ascending.
        offsets: [U + 1] where the answers of each query begin.
        answers: [P] ascending within each query.

    Raises:
        DataError: more entities and relations than 64-bit keys can tell apart.
    """

    def __init__(self, splits: Iterable[Triples], num_entities: int, num_relations: int) -> None:
        if 2 * num_relations * num_entities**2 >= 2**63:
            raise DataError(
                f"{num_entities} entities and {num_relations} relations are too many for 64-bit "
                "keys of facts: evaluate on a smaller graph"
            )
        self.num_entities, self.num_relations = num_entities, num_relations
        parts = [np.asarray(split, dtype=np.int64).reshape(-1, 3) for split in splits]
        self.facts = np.concatenate(parts)
        self._ends = np.cumsum([len(part) for part in parts])
        self._pairs = sort_unique(self._number_pairs())
        self.answers = self._pairs % num_entities
        self.keys, starts = np.unique(self._pairs // num_entities, return_index=True)
        self.offsets = np.append(starts, len(self._pairs)).astype(np.int64)

    def _number_pairs(self) -> Ints:
        """One number for every fact and direction: [2F]."""
        heads, relations, tails = self.facts.T
        forward = self._number(heads, relations, tails)
        return np.concatenate([forward, self._number(tails, relations + self.num_relations, heads)])

    def _number(self, entities: Ints, relations: Ints, answers: Ints) -> Ints:
        return (relations * self.num_entities + entities) * self.num_entities + answers

    # -- by query --------------------------------------------------------------------------

    def lookup(self, entities: Ints, relations: Ints) -> tuple[Ints, Ints]:
        """Return (rows, answers) of all known answers of queries [B], relations in 0..2R-1.

        ``rows`` are positions in the queries, ascending. A query without answers gets no pair.
        """
        wanted = relations * self.num_entities + entities
        starts = np.searchsorted(self.keys, wanted)
        # The extra offset makes an insertion point behind the last key an empty range.
        ends = np.append(self.offsets[1:], self.offsets[-1])
        exists = np.append(self.keys, -1)[starts] == wanted
        begins = self.offsets[starts]
        sizes = np.where(exists, ends[starts] - begins, 0)
        rows = np.repeat(np.arange(len(wanted)), sizes)
        before = np.cumsum(sizes) - sizes
        places = np.arange(len(rows)) - np.repeat(before - begins, sizes)
        return rows, self.answers[places]

    def find_rows(self, entities: Ints, relations: Ints, answers: Ints) -> Ints:
        """The rows in ``facts`` of queries with these answers [B], or ``UNKNOWN``."""
        wanted = self._number(entities, relations, answers)
        places = np.searchsorted(self._pairs, wanted)
        found = np.append(self._pairs, UNKNOWN)[places] == wanted
        return np.where(found, np.append(self._rows, UNKNOWN)[places], UNKNOWN)

    def find_splits(self, entities: Ints, relations: Ints, answers: Ints) -> Ints:
        """The positions of the splits that have queries with these answers [B], or ``UNKNOWN``."""
        rows = self.find_rows(entities, relations, answers)
        return np.where(rows == UNKNOWN, UNKNOWN, self.splits_of(rows))

    def splits_of(self, rows: Ints) -> Ints:
        """The positions of the splits that rows of ``facts`` are from."""
        return np.searchsorted(self._ends, rows, side="right")

    @cached_property
    def _rows(self) -> Ints:
        """The row in ``facts`` of every pair [P]."""
        _, first = np.unique(self._number_pairs(), return_index=True)
        return first % max(len(self.facts), 1)

    # -- by relation -----------------------------------------------------------------------

    def entities_of(self, relation: int) -> Ints:
        """The entities that answer a query of a relation in 0..2R-1, ascending.

        They are the tails of a relation, and the heads of the reversed one.
        """
        asked = (relation + self.num_relations) % (2 * self.num_relations)
        N = self.num_entities
        begin, end = np.searchsorted(self.keys, [asked * N, (asked + 1) * N])
        return self.keys[begin:end] - asked * N

    def lookup_own(self, entities: Ints, relations: Ints) -> tuple[Ints, Ints]:
        """Return (rows, entities) of the queries [B] that their own entity cannot answer.

        They are those of relations, in 0..2R-1, that join no entity to itself.
        """
        rows = np.flatnonzero(~self._with_loops[relations % self.num_relations])
        return rows, entities[rows]

    @cached_property
    def relation_counts(self) -> Ints:
        """Distinct facts of each relation [R]."""
        N, R = self.num_entities, self.num_relations
        return np.diff(np.searchsorted(self._pairs, np.arange(R + 1) * N * N))

    @cached_property
    def symmetric(self) -> Bools:
        """Which relations [R] hold the other way round, too, in more than half of their facts."""
        heads, relations, tails = self.facts.T
        both = self.find_rows(tails, relations, heads) != UNKNOWN
        both &= heads != tails
        count = np.bincount(relations, both, self.num_relations)
        return np.asarray(2 * count > np.bincount(relations, minlength=self.num_relations))

    @cached_property
    def _with_loops(self) -> Bools:
        marked = np.zeros(self.num_relations, dtype=np.bool_)
        marked[self.facts[self.facts[:, 0] == self.facts[:, 2], 1]] = True
        return marked

    # -- by entity -------------------------------------------------------------------------

    def about(self, entity: int) -> tuple[Ints, Ints, Ints]:
        """The facts of an entity: (relations in 0..2R-1, other entities, rows in ``facts``).

        Sorted by relation, then by the other entity. A fact that joins the entity to itself is
        there twice, in both directions.
        """
        order, starts = self._by_entity
        places = order[starts[entity] : starts[entity + 1]]
        relations = self._pairs[places] // self.num_entities**2
        return relations, self.answers[places], self._rows[places]

    @cached_property
    def degrees(self) -> Ints:
        """How many facts each entity is in [N]: one that joins it to itself counts twice."""
        return np.diff(self._by_entity[1])

    @cached_property
    def _by_entity(self) -> tuple[Ints, Ints]:
        """Pairs in order of the entity asked about [P], and where each entity's begin [N + 1]."""
        entities = self._pairs // self.num_entities % self.num_entities
        ends = np.cumsum(np.bincount(entities, minlength=self.num_entities))
        return np.argsort(entities, kind="stable"), np.append(0, ends).astype(np.int64)


def lookup_excluded(
    known: FactIndex, train: FactIndex, entities: Ints, relations: Ints
) -> tuple[Ints, Ints]:
    """Return (rows, answers), each once, of what is no new answer to queries [B].

    These are the ``known`` answers, and the entity of a query itself where ``train`` does not have
    the relation, in 0..2R-1, between any entity and itself.
    """
    rows, answers = known.lookup(entities, relations)
    own, itself = train.lookup_own(entities, relations)
    others = ~(np.isin(rows, own) & (answers == entities[rows]))
    return np.concatenate([rows[others], own]), np.concatenate([answers[others], itself])
