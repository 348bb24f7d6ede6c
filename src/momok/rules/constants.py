"""Rules with constants: what an entity has tells what else it has.

"x has r'(c)" -> r(x, d) and "x has some r'" -> r(x, d). An entity that has r'(c) is a link
x -r'-> c, so that the entities with (r', c) are the targets of one step (see ``Links``), which
stands for the property. A body is a property or a relation. What entities have is counted in pairs;
those with many links would take most of the work and say least, and are left out.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from momok.arrays import Ints
from momok.rules.links import Links, count_keys, cut_into_chunks, expand, merge_counts
from momok.rules.table import ANY, RuleTable, join_tables, keep_strongest, make_table

_CHUNK = 1 << 21  # rows of a join at once: some hundred megabytes


def list_bodies(links: Links) -> tuple[Ints, Ints]:
    """The bodies that hold for every entity, entity by entity: [N + 1] starts, [L + S] bodies.

    The body of a property is the number of its step; that of "has some r" is S + r.
    """
    S, D = len(links.step_keys), max(2 * links.num_relations, 1)
    owners, leaving = np.divmod(links.step_keys, D)
    order = np.argsort(np.concatenate([links.sources, owners]), kind="stable")
    bodies = np.concatenate([links.backward_steps(), S + leaving])[order]
    return links.starts + links.first_steps, bodies


def build_constant_rules(
    links: Links, *, least_support: int, most_links: int, per_body: int, per_relation: int
) -> RuleTable:
    """Rules with constants.

    Where "x has some r" concludes r(x, d), x must have another r than d too: a fact is no evidence
    of itself.

    Args:
        links: L links.
        least_support: rules with less are left out.
        most_links: entities with more are not counted.
        per_body: the strongest rules that are kept of each relation and body.
        per_relation: the strongest rules that are kept of each relation, and constants or none.
    """
    S, D = len(links.step_keys), max(2 * links.num_relations, 1)
    few = links.degrees <= most_links
    counted, back = few[links.sources], links.backward_steps()
    alone = np.repeat(links.step_sizes == 1, links.step_sizes)  # links: the only of their step
    lonely = np.bincount(back[counted & alone], minlength=S)
    owners, leaving = np.divmod(links.step_keys, D)
    concluded = links.reverse(leaving)  # by property
    having = np.bincount(leaving[few[owners]], minlength=D)
    sizes = np.concatenate([np.bincount(back[counted], minlength=S), having])
    constants = np.concatenate([owners, np.full(D, ANY)])  # by body
    firsts = np.concatenate([concluded, np.arange(D)])

    def cut(rules: RuleTable) -> RuleTable:
        bodies = (rules.relation * D + rules.first) * (links.num_entities + 1) + rules.constant + 1
        rules = keep_strongest(rules, np.unique(bodies, return_inverse=True)[1], per_body)
        return keep_strongest(rules, rules.relation * 2 + (rules.constant == ANY), per_relation)

    kept: list[RuleTable] = []
    waiting = 0
    frequent = counted & (sizes[back] >= least_support)
    for *pairs, owned in _count_pairs(links, frequent, back, alone):
        enough = owned >= least_support
        heads, bodies, support = (x[enough] for x in (*pairs, owned))
        relation = concluded[heads]
        body = sizes[bodies] - np.where(bodies == S + relation, lonely[heads], 0)
        columns = {"relation": relation, "first": firsts[bodies], "constant": constants[bodies]}
        columns |= {"answer": owners[heads], "support": support, "body": body}
        kept.append(make_table(columns))
        waiting += len(heads)
        if waiting > _CHUNK:
            kept = [cut(join_tables(kept))]
            waiting = 0
    return cut(join_tables(kept)).sort()


def _count_pairs(
    links: Links,
    frequent: np.typing.NDArray[np.bool_],
    back: Ints,
    alone: np.typing.NDArray[np.bool_],
) -> Iterator[tuple[Ints, Ints, Ints]]:
    """Count entities that have a property and a body: (property, body, entities), ascending.

    Args:
        links: L links.
        frequent: [L] links of entities that are counted, with a property that may be concluded.
        back: [L] the property that each link is.
        alone: [L] links that are the only ones of their step.
    """
    S = len(links.step_keys)
    width = S + 2 * links.num_relations
    starts, all_bodies = list_bodies(links)
    order = np.argsort(back, kind="stable")
    order = order[frequent[order]]  # links by property
    begins, ends = starts[links.sources[order]], starts[links.sources[order] + 1]
    open_counts = count_keys(order[:0])
    for chunk in cut_into_chunks(ends - begins, _CHUNK):
        rows, places = expand(begins[chunk], (ends - begins)[chunk])
        mine, bodies = order[chunk][rows], all_bodies[places]
        itself = (bodies == back[mine]) | (alone[mine] & (bodies == S + links.relations[mine]))
        new = count_keys((back[mine] * width + bodies)[~itself])
        keys, counts = merge_counts(open_counts, new)
        # The last property may go on in the next chunk.
        done = int(np.searchsorted(keys, back[order[chunk][-1]] * width))
        open_counts = keys[done:], counts[done:]
        yield *np.divmod(keys[:done], width), counts[:done]
    yield *np.divmod(open_counts[0], max(width, 1)), open_counts[1]
