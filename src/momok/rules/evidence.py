"""What rules say of the candidates of queries, as sparse products.

For a query (h, r, ?) every body that a rule for r finds at h has a weight: a step that leaves h
(one step), a step that leaves an entity joined with h (two steps: the weights of all ways to reach
it are added up before it is followed), or what h has (constant). Weights times the entities that
each body concludes are sums by candidate. They are added in a fixed order, so that a query gets the
same bits alone and among others.

Shapes: B queries, n pairs of query and candidate, N entities, R relations, L links, S steps.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.arrays import FloatMatrix, Ints
from momok.graph.triples import sort_unique
from momok.rules.constants import list_bodies
from momok.rules.links import Links, cut_into_chunks, expand, find_keys
from momok.rules.table import ANY, KINDS, RuleTable

_CHUNK = 1 << 20  # rows of a join, and sums, at once: some hundred megabytes
_Bodies: TypeAlias = tuple[Ints, Ints, NDArray[np.float64]]  # queries, ascending, bodies, weights


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


class _Weights:
    """Weights of rules by key, of which each is there once."""

    def __init__(self, keys: Ints, rules: RuleTable) -> None:
        """Sort rules [n] by their keys."""
        order = np.argsort(keys)
        self.keys, self._weights = keys[order], rules.weight[order]

    def find(self, wanted: Ints) -> tuple[Ints, NDArray[np.float64]]:
        """Positions in ``wanted`` of keys that are there, and their weights."""
        places, found = find_keys(self.keys, wanted)
        return np.flatnonzero(found), self._weights[places[found]]


class EvidenceFinder:
    """Finds evidence: the rules, arranged for it, and the links that they are joined with."""

    def __init__(self, links: Links, tables: Mapping[str, RuleTable], candidates: int) -> None:
        """Arrange rules; at most ``candidates`` per query and kind are kept."""
        self._links, self._candidates = links, candidates
        N, D, S = links.num_entities, 2 * links.num_relations, len(links.step_keys)
        one, two, constant = (tables[kind] for kind in KINDS)
        self._one_step = _Weights(one.relation * D + one.first, one)
        self._two_steps = _Weights((two.relation * D + two.first) * D + two.second, two)
        self._firsts = sort_unique(two.relation * D + two.first)
        # Constant rules by relation and body: see ``list_bodies``.
        step, _ = find_keys(links.step_keys, constant.constant * D + links.reverse(constant.first))
        body = np.where(constant.constant == ANY, S + constant.first, step)
        keys = constant.relation * (S + D) + body
        order = np.argsort(keys, kind="stable")
        self._bodies, starts = np.unique(keys[order], return_index=True)
        # What bodies conclude: of each step the targets, then of each constant body the answers.
        L = len(links.targets)
        self._conclusions = _build_matrix(
            np.append(np.ones(L), constant.weight[order]),
            np.append(links.targets, constant.answer[order]),
            np.concatenate([links.step_starts[:-1], L + starts, [L + len(keys)]]),
            N,
        )
        self._body_starts, self._listed = list_bodies(links)
        self._step_relations = links.step_keys % max(D, 1)
        # What a query about each entity takes: the steps of the entities that it is joined with,
        # no more sums than there are entities, and a few bytes for every entity.
        steps = np.append(0, np.cumsum(np.diff(links.first_steps)[links.targets]))
        ends = np.append(0, np.cumsum(links.degrees[links.targets]))
        steps, ends = (np.diff(sizes[links.starts]) for sizes in (steps, ends))
        self._work = 1 + steps + np.minimum(ends, N) + N // 16

    def find(self, heads: Ints, relations: Ints) -> Evidence:
        """Find the evidence for queries [B]; what is asked twice is looked for once."""
        D = max(2 * self._links.num_relations, 1)
        queries, which = np.unique(heads * D + relations, return_inverse=True)
        heads, relations = np.divmod(queries, D)
        parts = [
            self._find_some(heads[chunk], relations[chunk])
            for chunk in cut_into_chunks(self._work[heads], _CHUNK)
        ]
        nothing = np.empty((len(KINDS), 0), dtype=np.float32)
        sizes = np.concatenate([part[0] for part in parts] or [queries])
        columns = np.concatenate([part[1] for part in parts] or [queries])
        values = np.concatenate([part[2] for part in parts] or [nothing], axis=1)
        rows, places = expand((np.cumsum(sizes) - sizes)[which], sizes[which])
        return Evidence(rows=rows, columns=columns[places], values=values[:, places])

    def _find_some(self, heads: Ints, relations: Ints) -> tuple[Ints, Ints, FloatMatrix]:
        """Evidence for queries [B]: how many candidates each has, [n] candidates, [3, n] values."""
        links, B, N = self._links, len(heads), self._links.num_entities
        owners, mine = expand(links.starts[heads], links.degrees[heads])
        steps = np.diff(links.first_steps)[heads]
        having, leaving = expand(links.first_steps[heads], steps)
        sums = self._add_up(
            B,
            self._weigh_one_step(having, leaving, relations),
            self._weigh_two_steps(owners, mine, relations),
            self._weigh_constant(heads, relations),
        )
        starts, sizes, totals = sums.indptr, np.diff(sums.indptr), sums.data.astype(np.float32)
        back = slice(starts[B], starts[2 * B])  # paths of two steps that lead back say nothing
        to_head = sums.indices[back] == np.repeat(heads.astype(np.int32), sizes[B : 2 * B])
        totals[back][to_head] = 0.0
        offsets = np.tile(np.arange(B, dtype=np.int32) * N, len(KINDS))
        keys = np.repeat(offsets, sizes) + sums.indices
        chosen = np.zeros(B * N, dtype=np.bool_)
        chosen[keys[_mark_best(starts, totals, self._candidates)]] = True
        pairs = np.flatnonzero(chosen)
        places = np.empty(B * N, dtype=np.int32)
        places[pairs] = np.arange(len(pairs))
        values = np.zeros((len(KINDS), len(pairs)), dtype=np.float32)
        for kind, begin in enumerate(starts[:-1:B]):
            kept = begin + np.flatnonzero(chosen[keys[begin : starts[(kind + 1) * B]]])
            values[kind, places[keys[kept]]] = totals[kept]
        rows, columns = np.divmod(pairs, max(N, 1))
        return np.bincount(rows, minlength=B), columns, values

    def _add_up(self, queries: int, *said: _Bodies) -> Any:
        """Sums by candidate: a sparse matrix whose rows are the queries, once for each kind."""
        rows = np.concatenate([kind * queries + part[0] for kind, part in enumerate(said)])
        starts = np.searchsorted(rows, np.arange(len(said) * queries + 1))
        bodies, weights = (np.concatenate([part[k] for part in said]) for k in (1, 2))
        weighed = _build_matrix(weights, bodies, starts, self._conclusions.shape[0])
        weighed.sum_duplicates()
        return weighed @ self._conclusions

    def _weigh_one_step(self, having: Ints, leaving: Ints, relations: Ints) -> _Bodies:
        """Of the steps ``leaving`` the entities of queries ``having`` them."""
        D = 2 * self._links.num_relations
        wanted = relations[having] * D + self._step_relations[leaving]
        rows, weights = self._one_step.find(wanted)
        return having[rows], leaving[rows], weights

    def _weigh_two_steps(self, owners: Ints, places: Ints, relations: Ints) -> _Bodies:
        """Of the steps that leave the targets of the links ``places`` of queries ``owners``."""
        links, D = self._links, 2 * self._links.num_relations
        firsts = relations[owners] * D + links.relations[places]
        _, used = find_keys(self._firsts, firsts)
        owners, firsts, middles = owners[used], firsts[used], links.targets[places[used]]
        begins = links.first_steps[middles]
        again, steps = expand(begins, links.first_steps[middles + 1] - begins)
        rows, weights = self._two_steps.find(firsts[again] * D + self._step_relations[steps])
        return owners[again[rows]], steps[rows], weights

    def _weigh_constant(self, heads: Ints, relations: Ints) -> _Bodies:
        """Of the bodies that hold for entities; each weighs one."""
        begins = self._body_starts[heads]
        owners, places = expand(begins, self._body_starts[heads + 1] - begins)
        steps = len(self._links.step_keys)
        width = steps + 2 * self._links.num_relations
        bodies, found = find_keys(self._bodies, relations[owners] * width + self._listed[places])
        return owners[found], steps + bodies[found], np.ones(int(found.sum()))


def _build_matrix(values: NDArray[np.float64], columns: Ints, starts: Ints, size: int) -> Any:
    """A sparse matrix of so many columns; its rows begin at ``starts``."""
    from scipy.sparse import csr_array  # takes long to import, and not all runs have rules

    indices, pointers = columns.astype(np.int32), starts.astype(np.int32)
    return csr_array((values, indices, pointers), shape=(len(starts) - 1, size))


def _mark_best(starts: Ints, values: FloatMatrix, limit: int) -> NDArray[np.bool_]:
    """Mark the ``limit`` largest values of each row; of those that tie for the last places, none.

    To take some of them would be to choose by entity id. Zeros are not marked.
    """
    marks = values > 0
    for row in np.flatnonzero(np.diff(starts) > limit).tolist():
        mine = slice(starts[row], starts[row + 1])
        marks[mine] = values[mine] > np.partition(values[mine], -limit - 1)[-limit - 1]
    return marks
