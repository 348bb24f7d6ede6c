"""Rules with constants: what an entity has tells what else it has.

"x has r'(c)" -> r(x, d) and "x has some r'" -> r(x, d). An entity that has r'(c) is a link
x -r'-> c, so that the entities with (r', c) are the targets of one step (see ``Links``), which
stands for the property. Properties of an entity are counted in pairs; entities with many would take
most of the work and say least, and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from momok.arrays import Ints
from momok.rules.links import Links, count_keys, cut_into_chunks, expand, merge_counts
from momok.rules.table import RuleTable, join_tables, keep_strongest, make_table

_CHUNK = 1 << 21  # rows of a join at once: some hundred megabytes


def build_constant_rules(
    links: Links, *, least_support: int, most_links: int, per_body: int, per_relation: int
) -> RuleTable:
    """Rules with constants.

    Args:
        links: L links.
        least_support: rules with less are left out.
        most_links: entities with more are not counted.
        per_body: the strongest rules that are kept of each relation and body.
        per_relation: the strongest rules that are kept of each relation, and constants or none.
    """
    D = 2 * links.num_relations
    counted = (links.degrees <= most_links)[links.sources]
    back = links.backward_steps()
    sizes = np.bincount(back[counted], minlength=len(links.step_keys))
    entity, reverse = np.divmod(links.step_keys, D)
    relation = links.reverse(reverse)

    def cut(rules: RuleTable) -> RuleTable:
        bodies = (rules.relation * D + rules.first) * (links.num_entities + 1) + rules.constant + 1
        rules = keep_strongest(rules, np.unique(bodies, return_inverse=True)[1], per_body)
        return keep_strongest(rules, rules.relation, per_relation)

    kept: list[RuleTable] = []
    waiting = 0
    for pair_heads, pair_bodies, support in _count_pairs(
        links, counted, back, sizes >= least_support
    ):
        enough = support >= least_support
        heads, bodies = pair_heads[enough], pair_bodies[enough]
        columns = {"relation": relation[heads], "first": relation[bodies]}
        columns |= {"constant": entity[bodies], "answer": entity[heads]}
        kept.append(make_table({**columns, "support": support[enough], "body": sizes[bodies]}))
        waiting += len(heads)
        if waiting > _CHUNK:
            kept = [cut(join_tables(kept))]
            waiting = 0
    some = cut(_build_without_constant(links, counted, back, least_support))
    return join_tables([*([cut(join_tables(kept))] if kept else []), some]).sort()


def _count_pairs(
    links: Links,
    counted: np.typing.NDArray[np.bool_],
    back: Ints,
    frequent: np.typing.NDArray[np.bool_],
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Count entities that have two properties: (property concluded, property, entities), ascending.

    Args:
        links: L links.
        counted: [L] links of entities that are counted.
        back: [L] the property that each link is.
        frequent: [S] properties that may be concluded.
    """
    order = np.argsort(back, kind="stable")
    order = order[counted[order] & frequent[back[order]]]  # links by property
    owners, heads = links.sources[order], back[order]
    S = len(links.step_keys)
    nothing = np.empty(0, dtype=np.int64)
    open_counts = nothing, nothing
    for chunk in cut_into_chunks(links.degrees[owners], _CHUNK):
        rows, places = expand(links.starts[owners[chunk]], links.degrees[owners[chunk]])
        bodies, concluded = back[places], heads[chunk][rows]
        differ = bodies != concluded
        new = count_keys(concluded[differ] * S + bodies[differ])
        keys, counts = merge_counts(open_counts, new)
        # The last property may go on in the next chunk.
        done = int(np.searchsorted(keys, heads[chunk][-1] * S))
        open_counts = keys[done:], counts[done:]
        yield keys[:done] // S, keys[:done] % S, counts[:done]
    yield open_counts[0] // max(S, 1), open_counts[0] % max(S, 1), open_counts[1]


def _build_without_constant(
    links: Links, counted: np.typing.NDArray[np.bool_], back: Ints, least_support: int
) -> RuleTable:
    """Rules "x has some r'" -> r(x, d).

    Where r' is r, another answer than d must be there: a fact is no evidence of itself.
    """
    D, S = 2 * links.num_relations, len(links.step_keys)
    step_sizes = links.step_sizes
    owner, leaving = np.divmod(links.step_keys, D)
    rows = np.flatnonzero(counted)
    begins = links.first_steps[links.sources[rows]]
    sizes = links.first_steps[links.sources[rows] + 1] - begins
    counts = np.empty(0, dtype=np.int64), np.empty(0, dtype=np.int64)
    alone: list[Ints] = []  # properties whose entity has no other of the relation
    for chunk in cut_into_chunks(sizes, _CHUNK):
        left, steps = expand(begins[chunk], sizes[chunk])
        mine = rows[chunk][left]
        same = leaving[steps] == links.relations[mine]
        single = same & (step_sizes[steps] == 1)
        alone.append(back[mine[single]])
        keys = leaving[steps[~single]] * S + back[mine[~single]]
        counts = merge_counts(counts, count_keys(keys))
    enough = counts[1] >= least_support
    first, heads = np.divmod(counts[0][enough], max(S, 1))
    relation, answer = links.reverse(leaving[heads]), owner[heads]
    has = np.bincount(leaving[counted_steps(links, counted)], minlength=D)
    lonely = np.bincount(np.concatenate([*alone, first[:0]]), minlength=S)
    body = has[first] - np.where(first == relation, lonely[heads], 0)
    columns = {"relation": relation, "first": first, "answer": answer}
    return make_table({**columns, "support": counts[1][enough], "body": body})


def counted_steps(links: Links, counted: np.typing.NDArray[np.bool_]) -> Ints:
    """The steps of entities that are counted."""
    return np.flatnonzero(counted[links.step_starts[:-1]])
