"""The facts of a small graph, and short ways to write arrays of facts and features."""

from __future__ import annotations

import numpy as np

from momok.graph import FeatureManifest, Features

ENTITIES = ("France", "Spain", "Germany", "Paris", "Madrid", "Berlin", "Europe")
RELATIONS = ("borders", "capital", "part_of")
TRAIN = [
    (0, 0, 1), (1, 0, 0), (0, 0, 2), (0, 1, 3), (1, 1, 4), (2, 1, 5),
    (0, 2, 6), (1, 2, 6), (3, 2, 6), (4, 2, 6),
]  # fmt: skip
VALID = [(2, 0, 0)]
TEST = [(2, 2, 6), (5, 2, 6)]


def as_triples(facts: list[tuple[int, int, int]]) -> np.ndarray:
    return np.array(facts, dtype=np.int64).reshape(-1, 3)


def as_features(modality: str, matrix: np.ndarray, present: np.ndarray) -> Features:
    manifest = FeatureManifest(
        modality=modality, width=matrix.shape[1], encoder="by hand", created="2025-01-02"
    )
    return Features(matrix.astype(np.float32), present, manifest)
