from __future__ import annotations

import numpy as np

from momok.graph import MultimodalGraph, Vocabulary
from momok.prediction.known import UNKNOWN, KnownFacts


def build_graph() -> MultimodalGraph:
    def facts(*rows: tuple[int, int, int]) -> np.ndarray:
        return np.array(rows, dtype=np.int64).reshape(-1, 3)

    return MultimodalGraph(
        name="small",
        entities=Vocabulary(("a", "b", "c")),
        relations=Vocabulary(("r", "s")),
        train=facts((0, 0, 1), (0, 1, 2)),
        valid=facts((0, 0, 2), (0, 0, 1)),  # the second is in train as well
        test=facts((2, 1, 2)),
    )


def test_splits_of_facts_in_both_directions() -> None:
    known = KnownFacts(build_graph())
    entities = np.array([0, 0, 0, 1, 2, 2, 2, 1])
    relations = np.array([0, 0, 1, 2, 2, 3, 1, 0])
    answers = np.array([1, 2, 2, 0, 0, 2, 2, 0])
    splits = known.find_splits(entities, relations, answers)
    assert splits.tolist() == [0, 1, 0, 0, 1, 2, 2, UNKNOWN]


def test_answers_of_queries() -> None:
    rows, ids = KnownFacts(build_graph()).answers(np.array([0, 2, 1]), np.array([0, 3, 1]))
    assert list(zip(rows.tolist(), ids.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 0), (1, 2)]
