"""Which entities a relation has in train, against a plain loop."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from momok.graph import MultimodalGraph, Vocabulary
from momok.prediction.train_sides import TrainSides

N, R = 6, 3
triples = st.lists(
    st.tuples(st.integers(0, N - 1), st.integers(0, R - 1), st.integers(0, N - 1)), max_size=20
)


@settings(deadline=None)
@given(train=triples, valid=triples)
def test_sides(train: list[tuple[int, int, int]], valid: list[tuple[int, int, int]]) -> None:
    graph = MultimodalGraph(
        name="made up",
        entities=Vocabulary(tuple(f"e{i}" for i in range(N))),
        relations=Vocabulary(tuple(f"r{i}" for i in range(R))),
        train=np.array(train, dtype=np.int64).reshape(-1, 3),
        valid=np.array(valid, dtype=np.int64).reshape(-1, 3),
        test=np.empty((0, 3), dtype=np.int64),
    )
    sides = TrainSides(graph)
    for relation in range(R):
        tails = sorted({t for _, r, t in train if r == relation})
        heads = sorted({h for h, r, _ in train if r == relation})
        assert sides.answers(relation).tolist() == tails
        assert sides.answers(relation + R).tolist() == heads
        loops = any(h == t and r == relation for h, r, t in train)
        assert sides.has_loops(relation) == sides.has_loops(relation + R) == loops
