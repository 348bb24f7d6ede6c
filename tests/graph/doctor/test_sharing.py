"""Groups of entities that share something, and what is said of them."""

from __future__ import annotations

from collections import defaultdict

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from momok.graph import MultimodalGraph, Vocabulary
from momok.graph.doctor.sharing import find_sharing
from tests.graph.small_graph import as_triples

FACTS = as_triples([(0, 0, 1)])
GRAPH = MultimodalGraph(
    name="g",
    entities=Vocabulary(tuple(f"e{i}" for i in range(8))),
    relations=Vocabulary(("r",)),
    train=FACTS,
    valid=FACTS,
    test=FACTS,
)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 7)), max_size=20))
def test_groups_of_several_entities(pairs):
    members = defaultdict(set)
    for group, entity in pairs:
        members[group].add(entity)
    shared = {group: sorted(found) for group, found in members.items() if len(found) > 1}
    groups, entities = np.array(pairs, dtype=np.int64).reshape(-1, 2).T
    sharing = find_sharing(groups, entities, GRAPH)
    if not shared:
        assert sharing is None
        return
    assert sharing is not None
    assert sharing.count == len({entity for found in shared.values() for entity in found})
    largest = max(map(len, shared.values()))
    assert (
        sharing.extent == f"{len(shared)} group{'s'[: len(shared) > 1]}, the largest of {largest}"
    )
    ranked = sorted(shared, key=lambda group: (-len(shared[group]), group))
    assert sharing.examples == tuple(
        " = ".join(f"e{entity}" for entity in shared[group][:3])
        + (f" and {len(shared[group]) - 3} more" if len(shared[group]) > 3 else "")
        for group in ranked[:5]
    )
    assert sharing.grade(10 * sharing.count) == "warning"
    assert sharing.grade(10 * sharing.count + 1) == "note"
