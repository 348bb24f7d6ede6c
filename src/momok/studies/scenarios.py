"""Damage to a graph whose effect is studied: noisy features, missing features, missing facts.

What a level takes depends on the scenario, the level and the seed alone, and is nested: what is
damaged at 20% is damaged at 40% too. Zhang et al. 2025 (section 4.4) leave open what their noise
and missing modalities are; docs/studies.md says what stands here for them and why.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from momok.arrays import Floats, Ints
from momok.graph import MultimodalGraph
from momok.graph.features import Features
from momok.studies.plan import Scenario


def damage_graph(
    graph: MultimodalGraph, scenario: Scenario, level: float, seed: int
) -> MultimodalGraph:
    """Damage a graph; what is not damaged stays the same object.

    Args:
        scenario: what kind of damage, and to which modality.
        level: the share that is damaged, from 0 to 1: of the entities that have a vector, or of
            the train facts.
    """
    if scenario.kind == "sparse":
        return _withhold_facts(graph, level, seed)
    damage = _add_noise if scenario.kind == "noise" else _remove_vectors
    return graph.with_features(
        {
            modality: damage(graph, features, scenario, level, seed)
            for modality, features in graph.features.items()
            if scenario.modality in ("all", modality)
        }
    )


def _withhold_facts(graph: MultimodalGraph, level: float, seed: int) -> MultimodalGraph:
    """Take train facts away; rankings still know that they are true."""
    order = _generator(seed, "sparse").permutation(len(graph.train))
    gone = np.zeros(len(graph.train), dtype=np.bool_)
    gone[order[: round(level * len(order))]] = True
    withheld = np.concatenate([graph.withheld, graph.train[gone]])
    return replace(graph, train=graph.train[~gone], withheld=withheld)


def _remove_vectors(
    graph: MultimodalGraph, features: Features, scenario: Scenario, level: float, seed: int
) -> Features:
    rows = _choose_rows(graph, features, scenario, level, seed)
    matrix, present = features.matrix.copy(), features.present.copy()
    matrix[rows], present[rows] = 0.0, False
    return replace(features, matrix=matrix, present=present)


def _add_noise(
    graph: MultimodalGraph, features: Features, scenario: Scenario, level: float, seed: int
) -> Features:
    """Gaussian noise of each column's own standard deviation, or the vector of another entity."""
    rows = _choose_rows(graph, features, scenario, level, seed)
    there = np.flatnonzero(features.present)
    generator = _generator(seed, f"{scenario.how} {features.manifest.modality}")
    matrix = features.matrix.copy()
    if scenario.how == "swap":
        others = np.arange(len(matrix))
        others[there] = np.roll(shuffled := generator.permutation(there), 1)[np.argsort(shuffled)]
        matrix[rows] = features.matrix[others[rows]]
    else:
        scale: Floats = features.matrix[there].std(axis=0)
        noise = generator.standard_normal(matrix.shape, dtype=np.float32)  # of every row: nested
        matrix[rows] += noise[rows] * scale
    return replace(features, matrix=matrix)


def _choose_rows(
    graph: MultimodalGraph, features: Features, scenario: Scenario, level: float, seed: int
) -> Ints:
    """The entities ``[n]`` whose vectors are damaged, of those that have one."""
    there = np.flatnonzero(features.present)
    order = _generator(seed, f"rows {features.manifest.modality}").permutation(there)
    if scenario.how == "degree":  # those with the fewest train facts first, as on the web
        degrees = np.bincount(graph.train[:, [0, 2]].ravel(), minlength=graph.num_entities)
        order = order[np.argsort(degrees[order], kind="stable")]
    return order[: round(level * len(order))]


def _generator(seed: int, purpose: str) -> np.random.Generator:
    return np.random.default_rng([seed, *purpose.encode()])
