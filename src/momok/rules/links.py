"""Facts as links that can be followed from either end, and joins of sorted arrays.

Every fact (h, r, t) is two links, h -r-> t and t -(r + R)-> h; r + R is r reversed. Facts that
join an entity with itself are no links: turned round they would be their own evidence.

Shapes: F facts, L links (twice the facts that are left), N entities, R relations, S steps (distinct
pairs of an entity and a relation that leaves it).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Ints
from momok.errors import DataError
from momok.graph.triples import sort_unique


@dataclass(frozen=True, eq=False)
class Links:
    """The links of some facts, sorted by source, relation, target; each once.

    A step is a source with a relation: its links are next to each other. "The entities that have
    the link -r-> c" are the targets of the step of c and r reversed.

    Attributes:
        sources: [L].
        relations: [L] in 0..2R-1.
        targets: [L].
        starts: [N + 1] where the links of each entity begin.
        step_keys: [S] source * 2R + relation, ascending.
        step_starts: [S + 1] where the links of each step begin.
        first_steps: [N + 1] where the steps of each entity begin.
    """

    num_entities: int
    num_relations: int
    sources: Ints
    relations: Ints
    targets: Ints
    starts: Ints
    step_keys: Ints
    step_starts: Ints
    first_steps: Ints

    @property
    def step_sizes(self) -> Ints:
        """How many links each step has [S]."""
        return np.diff(self.step_starts)

    @property
    def degrees(self) -> Ints:
        """How many links leave each entity [N]."""
        return np.diff(self.starts)

    def reverse(self, relations: Ints) -> Ints:
        """The relations that go the other way."""
        return (relations + self.num_relations) % (2 * self.num_relations)

    def backward_steps(self) -> Ints:
        """For every link [L] the step that leads back: of its target, by the relation reversed."""
        wanted = self.targets * (2 * self.num_relations) + self.reverse(self.relations)
        return np.searchsorted(self.step_keys, wanted)


def build_links(facts: Ints, num_entities: int, num_relations: int) -> Links:
    """Make links of facts [F, 3].

    Raises:
        DataError: more entities and relations than 64-bit keys can tell apart.
    """
    N, R = num_entities, num_relations
    if 2 * R * N * N >= 2**63:
        raise DataError(
            f"{N} entities and {R} relations are too many for 64-bit keys of facts: mine rules on "
            "a smaller graph"
        )
    heads, relations, tails = np.asarray(facts, dtype=np.int64).reshape(-1, 3).T
    kept = heads != tails
    heads, relations, tails = heads[kept], relations[kept], tails[kept]
    forwards = (heads * (2 * R) + relations) * N + tails
    backwards = (tails * (2 * R) + relations + R) * N + heads
    steps, targets = np.divmod(sort_unique(np.concatenate([forwards, backwards])), N)
    sources, directed = np.divmod(steps, max(2 * R, 1))
    step_keys, step_starts = np.unique(steps, return_index=True)
    entities = np.arange(N + 1)
    return Links(
        num_entities=N,
        num_relations=R,
        sources=sources,
        relations=directed,
        targets=targets,
        starts=np.searchsorted(sources, entities),
        step_keys=step_keys,
        step_starts=np.append(step_starts, len(steps)),
        first_steps=np.searchsorted(step_keys // max(2 * R, 1), entities),
    )


def find_keys(keys: Ints, wanted: Ints) -> tuple[Ints, NDArray[np.bool_]]:
    """Places of ``wanted`` [n] in ascending ``keys``, and whether each is there."""
    places = np.searchsorted(keys, wanted)
    return places, np.append(keys, -1)[places] == wanted


def expand(starts: Ints, sizes: Ints) -> tuple[Ints, Ints]:
    """Write out ranges: the number of the range and the place, for every place in each.

    Args:
        starts: [n] where each range begins.
        sizes: [n] how many places it has.
    """
    rows = np.repeat(np.arange(len(sizes)), sizes)
    before = np.cumsum(sizes) - sizes
    return rows, np.arange(len(rows)) + np.repeat(starts - before, sizes)


def cut_into_chunks(sizes: Ints, budget: int) -> Iterator[slice]:
    """Cut rows of some sizes into runs of about ``budget`` in sum; a larger row is alone."""
    ends = np.cumsum(sizes)
    start = 0
    while start < len(sizes):
        done = ends[start - 1] if start else 0
        stop = max(int(np.searchsorted(ends, done + budget, side="right")), start + 1)
        yield slice(start, stop)
        start = stop


def count_keys(keys: Ints, weights: Ints | None = None) -> tuple[Ints, Ints]:
    """The distinct keys, ascending, and how often each is there, or the sum of its weights."""
    if weights is None:
        ordered = np.sort(keys)
    else:
        order = np.argsort(keys, kind="stable")
        ordered, weights = keys[order], weights[order]
    first = np.flatnonzero(np.append(True, ordered[1:] != ordered[:-1])[: len(ordered)])
    if not len(first):
        return ordered, ordered
    if weights is None:
        return ordered[first], np.diff(np.append(first, len(ordered)))
    return ordered[first], np.add.reduceat(weights, first)


def merge_counts(counts: tuple[Ints, Ints], others: tuple[Ints, Ints]) -> tuple[Ints, Ints]:
    """Add two results of ``count_keys``."""
    keys, sums = (np.concatenate(pair) for pair in zip(counts, others, strict=True))
    return count_keys(keys, sums)
