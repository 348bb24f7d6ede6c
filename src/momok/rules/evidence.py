"""What rules say of the candidates of queries: joins of the links of an entity with rules.

For a query (h, r, ?) every link of h, every step and every property of it is looked up among the
bodies of the rules for r. What comes back is a row per query, candidate and rule; per query and
candidate the weights of the rules of a kind are summed in a fixed order, so that a query gets the
same bits alone and among others.

Shapes: B queries, n pairs of query and candidate, N entities, R relations.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.arrays import FloatMatrix, Floats, Ints
from momok.graph.triples import sort_unique
from momok.rules.links import Links, cut_into_chunks, expand, find_keys, find_ranges
from momok.rules.table import ANY, KINDS, RuleTable

_CHUNK = 1 << 20  # rows of a join at once: some ten megabytes each
_Said: TypeAlias = tuple[Ints, Floats]  # keys query * N + candidate and weights, a row per rule
_DENSE = 4  # a sum over all candidates pays where there is a row for every so-many of them


@dataclass(frozen=True, eq=False)
class Evidence:
    """What rules say of candidates of B queries; of the others they say nothing.

    Attributes:
        rows: [n] positions of queries, ascending.
        columns: [n] entity ids, ascending within a row.
        values: [3, n] by kind, in the order of ``KINDS``: the sum over the rules of
            ``-log(1 - confidence)``, and 0 where none of the kind speaks for the candidate.
    """

    rows: Ints
    columns: Ints
    values: FloatMatrix


class Lookup:
    """Rules to be found by what they conclude and their body."""

    def __init__(self, keys: Ints, rules: RuleTable, target: Ints) -> None:
        """Sort rules [n] by their keys; ``target`` [n] is what is said about each."""
        order = np.argsort(keys, kind="stable")
        self.keys, starts = np.unique(keys[order], return_index=True)
        self.starts = np.append(starts, len(keys))
        self.targets, self.weights = target[order], rules.weight[order]

    def find(self, wanted: Ints) -> tuple[Ints, Ints]:
        """(positions in ``wanted``, places of rules) of all rules with these keys."""
        return expand(*find_ranges(self.keys, self.starts, wanted))


class EvidenceFinder:
    """Finds evidence: the rules, arranged for it, and the links that they are joined with."""

    def __init__(self, links: Links, tables: Mapping[str, RuleTable], candidates: int) -> None:
        """Arrange rules; at most ``candidates`` per query and kind are kept."""
        self._links, self._candidates = links, candidates
        D, S = 2 * links.num_relations, len(links.step_keys)
        one, two, constant = (tables[kind] for kind in KINDS)
        self._one_step = Lookup(one.relation * D + one.first, one, one.answer)
        self._two_steps = Lookup(two.relation * D + two.first, two, two.second)
        named = constant.take(np.flatnonzero(constant.constant != ANY))
        unnamed = constant.take(np.flatnonzero(constant.constant == ANY))
        step = find_keys(links.step_keys, named.constant * D + links.reverse(named.first))[0]
        self._properties = Lookup(named.relation * S + step, named, named.answer)
        self._steps = Lookup(unnamed.relation * D + unnamed.first, unnamed, unnamed.answer)
        self._back = links.backward_steps()

    def find(self, heads: Ints, relations: Ints) -> Evidence:
        """Find the evidence for queries [B]."""
        work = 16 * self._links.degrees[heads] + 1
        parts = [
            self._find_some(heads[chunk], relations[chunk], chunk.start)
            for chunk in cut_into_chunks(work, _CHUNK)
        ]
        nothing = np.empty((len(KINDS), 0), dtype=np.float32)
        return Evidence(
            rows=np.concatenate([part.rows for part in parts] or [heads[:0]]),
            columns=np.concatenate([part.columns for part in parts] or [heads[:0]]),
            values=np.concatenate([part.values for part in parts] or [nothing], axis=1),
        )

    def _find_some(self, heads: Ints, relations: Ints, first_row: int) -> Evidence:
        """Find the evidence for queries [B]; their rows count from ``first_row``."""
        N = self._links.num_entities
        begins = self._links.starts[heads]
        owners, links = expand(begins, self._links.starts[heads + 1] - begins)
        said = [
            self._say_one_step(owners, links, relations),
            self._say_two_steps(owners, links, heads, relations),
            self._say_constant(owners, links, heads, relations),
        ]
        sums = [_sum_weights(parts, len(heads) * N) for parts in said]
        kept = [_mark_best(keys // N, totals, self._candidates) for keys, totals in sums]
        chosen = [keys[marks] for (keys, _), marks in zip(sums, kept, strict=True)]
        pairs = sort_unique(np.concatenate(chosen))
        values = np.zeros((len(KINDS), len(pairs)), dtype=np.float32)
        for kind, (keys, totals) in enumerate(sums):
            places, found = find_keys(keys, pairs)
            values[kind, found] = totals[places[found]]
        return Evidence(rows=pairs // N + first_row, columns=pairs % N, values=values)

    def _say_one_step(self, owners: Ints, links: Ints, relations: Ints) -> Iterator[_Said]:
        D, N = 2 * self._links.num_relations, self._links.num_entities
        wanted = relations[owners] * D + self._links.relations[links]
        rows, rules = self._one_step.find(wanted)
        keys = owners[rows] * N + self._links.targets[links[rows]]
        yield keys, self._one_step.weights[rules]

    def _say_two_steps(
        self, owners: Ints, links: Ints, heads: Ints, relations: Ints
    ) -> Iterator[_Said]:
        D, N = 2 * self._links.num_relations, self._links.num_entities
        wanted = relations[owners] * D + self._links.relations[links]
        rows, rules = self._two_steps.find(wanted)
        owners, weights = owners[rows], self._two_steps.weights[rules]
        middles = self._links.targets[links[rows]]
        begins, sizes = self._links.find_steps(middles, self._two_steps.targets[rules])
        # Cut between queries; only one that is too large for a chunk of its own is cut further, so
        # that the sums of a query do not depend on the others.
        ends = np.searchsorted(owners, np.arange(len(heads) + 1))
        before = np.append(0, np.cumsum(sizes))
        for chunk in cut_into_chunks(np.diff(before[ends]), _CHUNK):
            first, last = ends[chunk.start], ends[chunk.stop]
            for piece in cut_into_chunks(sizes[first:last], _CHUNK):
                part = slice(first + piece.start, first + piece.stop)
                rows, places = expand(begins[part], sizes[part])
                asked, ended = owners[part][rows], self._links.targets[places]
                away = ended != heads[asked]
                yield (asked * N + ended)[away], weights[part][rows[away]]

    def _say_constant(
        self, owners: Ints, links: Ints, heads: Ints, relations: Ints
    ) -> Iterator[_Said]:
        D, N = 2 * self._links.num_relations, self._links.num_entities
        S = len(self._links.step_keys)
        rows, rules = self._properties.find(relations[owners] * S + self._back[links])
        keys, weights = owners[rows] * N + self._properties.targets[rules], self._properties.weights
        begins = self._links.first_steps[heads]
        having, steps = expand(begins, self._links.first_steps[heads + 1] - begins)
        left = self._links.step_keys[steps] % max(D, 1)
        some, others = self._steps.find(relations[having] * D + left)
        more = having[some] * N + self._steps.targets[others]
        yield (
            np.concatenate([keys, more]),
            np.concatenate([weights[rules], self._steps.weights[others]]),
        )


def _sum_weights(parts: Iterator[_Said], size: int) -> tuple[Ints, FloatMatrix]:
    """Sum weights by key below ``size``: the keys, ascending, and float32 sums.

    Both ways add the weights of a key in their order, to the same bits.
    """
    keys, weights = next(parts, (np.empty(0, dtype=np.int64), np.empty(0)))
    following = next(parts, None)
    if following is None and _DENSE * len(keys) < size:
        keys, where = np.unique(keys, return_inverse=True)
        return keys, np.bincount(where, weights=weights, minlength=len(keys)).astype(np.float32)
    total = np.bincount(keys, weights=weights, minlength=size)
    while following is not None:
        total += np.bincount(following[0], weights=following[1], minlength=size)
        following = next(parts, None)
    keys = np.flatnonzero(total)
    return keys, total[keys].astype(np.float32)


def _mark_best(rows: Ints, values: FloatMatrix, limit: int) -> NDArray[np.bool_]:
    """Mark the ``limit`` largest values of each row; of those that tie for the last places, none.

    To take some of them would be to choose by entity id.
    """
    marks = np.ones(len(rows), dtype=np.bool_)
    begins = np.flatnonzero(np.append(True, rows[1:] != rows[:-1])[: len(rows)])
    ends = np.append(begins[1:], len(rows))
    for row in np.flatnonzero(ends - begins > limit).tolist():
        mine = slice(begins[row], ends[row])
        marks[mine] = values[mine] > np.partition(values[mine], -limit - 1)[-limit - 1]
    return marks
