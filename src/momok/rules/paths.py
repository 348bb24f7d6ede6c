"""Rules of one step and of two: counted over pairs and triangles of entities.

r'(x, y) -> r(x, y) holds where two links join the same entities; r1(x, z), r2(z, y) -> r(x, y)
where
three links make a triangle. A triangle is found once, from its entity with the fewest neighbours:
each pair of an entity's neighbours with more neighbours than itself is looked up. That takes
O(links^1.5) steps however large the hubs are (Chiba and Nishizeki, "Arboricity and Subgraph Listing
Algorithms", SIAM J. Comput. 14, 1985).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from momok.arrays import Ints
from momok.rules.links import (
    Links,
    count_keys,
    cut_into_chunks,
    expand,
    find_keys,
    merge_counts,
)
from momok.rules.table import RuleTable, make_table

_CHUNK = 1 << 21  # rows of a join at once: some hundred megabytes
_NOTHING = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, eq=False)
class Pairs:
    """Pairs of entities that links join, by rank: the entity with fewer neighbours comes first.

    Attributes:
        lower: [p] ranks; pairs are sorted by these, then by the higher ones.
        higher: [p] ranks.
        starts: [N + 1] where the pairs of each lower entity begin.
        link_starts: [p + 1] where the relations of each pair begin.
        relations: [L / 2] from the lower to the higher entity.
    """

    lower: Ints
    higher: Ints
    starts: Ints
    link_starts: Ints
    relations: Ints

    def find(self, lower: Ints, higher: Ints) -> Ints:
        """The numbers of pairs of ranks [n], -1 where nothing joins them."""
        N = len(self.starts) - 1
        places, found = find_keys(self.lower * N + self.higher, lower * N + higher)
        return np.where(found, places, -1)

    def expand(self, pairs: Ints) -> tuple[Ints, Ints]:
        """(rows, relations) of pairs [n]."""
        begins = self.link_starts[pairs]
        rows, places = expand(begins, self.link_starts[pairs + 1] - begins)
        return rows, self.relations[places]


def pair_entities(links: Links) -> Pairs:
    """Find the pairs of entities that links join."""
    N = links.num_entities
    neighbours = np.bincount(np.unique(links.sources * N + links.targets) // N, minlength=N)
    ranks = np.empty(N, dtype=np.int64)
    ranks[np.argsort(neighbours, kind="stable")] = np.arange(N)
    upwards = ranks[links.sources] < ranks[links.targets]
    keys = ranks[links.sources[upwards]] * N + ranks[links.targets[upwards]]
    order = np.argsort(keys, kind="stable")
    pairs, begins = np.unique(keys[order], return_index=True)
    return Pairs(
        lower=pairs // N,
        higher=pairs % N,
        starts=np.searchsorted(pairs // N, np.arange(N + 1)),
        link_starts=np.append(begins, len(keys)),
        relations=links.relations[upwards][order],
    )


def count_one_step(links: Links, pairs: Pairs) -> tuple[Ints, Ints]:
    """How often two different links join the same entities: codes ``body * 2R + head``, counts."""
    D = 2 * links.num_relations
    rows, bodies = pairs.expand(np.arange(len(pairs.lower)))
    left, heads = pairs.expand(rows)
    bodies = bodies[left]
    differ = bodies != heads
    bodies, heads = bodies[differ], heads[differ]
    backwards = links.reverse(bodies) * D + links.reverse(heads)
    return count_keys(np.concatenate([bodies * D + heads, backwards]))


def build_one_step(links: Links, counts: tuple[Ints, Ints]) -> RuleTable:
    """Rules of one step from their counts."""
    D = 2 * links.num_relations
    first, relation = np.divmod(counts[0], D)
    sizes = np.bincount(links.relations, minlength=D)
    return make_table(
        {"relation": relation, "first": first, "support": counts[1], "body": sizes[first]}
    ).sort()


def build_two_steps(
    links: Links, pairs: Pairs, one_step: tuple[Ints, Ints], least_support: int
) -> RuleTable:
    """Rules of two steps.

    Args:
        links: L links.
        pairs: the pairs that they join.
        one_step: what ``count_one_step`` gave.
        least_support: rules with less are left out.
    """
    D = 2 * links.num_relations
    codes, support = _count_triangles(links, pairs)
    kept = support >= least_support
    codes, support = codes[kept], support[kept]
    relation, path = np.divmod(codes, D * D)
    first, second = np.divmod(path, D)
    bodies = _count_paths(links, one_step)
    columns = {"relation": relation, "first": first, "second": second, "support": support}
    body = bodies[1][np.searchsorted(bodies[0], path)] if len(path) else path
    return make_table({**columns, "body": body}).sort()


def _count_triangles(links: Links, pairs: Pairs) -> tuple[Ints, Ints]:
    """Support of two-step rules: codes ``(relation * 2R + first) * 2R + second``, counts."""
    D = 2 * links.num_relations
    counts = _NOTHING, _NOTHING
    numbers = np.arange(len(pairs.lower))
    ends = pairs.starts[pairs.lower + 1]
    for chunk in cut_into_chunks(ends - numbers - 1, _CHUNK):
        rows, others = expand(numbers[chunk] + 1, (ends - numbers - 1)[chunk])
        firsts = numbers[chunk][rows]
        closing = pairs.find(pairs.higher[firsts], pairs.higher[others])
        closed = np.flatnonzero(closing >= 0)
        counts = merge_counts(
            counts, _count_corners(links, pairs, firsts[closed], others[closed], closing[closed])
        )
    # The same triangle read backwards: r2 reversed, then r1 reversed, tells r reversed.
    relation, path = np.divmod(counts[0], D * D)
    first, second = (links.reverse(part) for part in np.divmod(path, D))
    turned = (links.reverse(relation) * D + second) * D + first
    return merge_counts(counts, (turned, counts[1]))


def _count_corners(
    links: Links, pairs: Pairs, firsts: Ints, seconds: Ints, closing: Ints
) -> tuple[Ints, Ints]:
    """Count triangles u < v < w, pairs uv, uw and vw, with each corner in the middle once."""
    D = 2 * links.num_relations
    rows, uv = pairs.expand(firsts)
    again, uw = pairs.expand(seconds[rows])
    rows, uv = rows[again], uv[again]
    again, vw = pairs.expand(closing[rows])
    uv, uw = uv[again], uw[again]
    middle_u = (vw * D + links.reverse(uv)) * D + uw
    middle_v = (uw * D + uv) * D + vw
    middle_w = (uv * D + uw) * D + links.reverse(vw)
    return count_keys(np.concatenate([middle_u, middle_v, middle_w]))


def _count_paths(links: Links, one_step: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Paths x -first-> z -second-> y with x not y: codes ``first * 2R + second``, counts."""
    D = 2 * links.num_relations
    sources, relations = np.divmod(links.step_keys, D)
    sizes = links.step_sizes
    counts = _NOTHING, _NOTHING
    steps = np.diff(links.first_steps)[sources]
    for chunk in cut_into_chunks(steps, _CHUNK):
        rows, others = expand(links.first_steps[sources[chunk]], steps[chunk])
        codes = links.reverse(relations[chunk])[rows] * D + relations[others]
        counts = merge_counts(counts, count_keys(codes, sizes[chunk][rows] * sizes[others]))
    # Without those that lead back to x: there a second link, or the same, joins x and z.
    every = np.arange(D)
    same = every * D + links.reverse(every), np.bincount(links.relations, minlength=D)
    first, back = np.divmod(one_step[0], D)
    others_back = first * D + links.reverse(back), one_step[1]
    for codes, number in (same, others_back):
        there = number > 0
        counts = merge_counts(counts, (codes[there], -number[there]))
    return counts
