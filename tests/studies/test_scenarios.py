"""Damage: how much, what, nested, the same for everyone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from momok.graph import MultimodalGraph, load_graph, write_momok_folder
from momok.studies import Scenario
from momok.studies.scenarios import damage_graph
from tests.training.small_training import build_graph

GRAPH = build_graph(entities=60)
FEATURE_SCENARIOS = [("noise", "gaussian"), ("noise", "swap"), ("missing", "random"),
                     ("missing", "degree")]  # fmt: skip


def find_damaged(graph: MultimodalGraph, modality: str) -> set[int]:
    """The rows that are not what they were."""
    before, after = GRAPH.features[modality], graph.features[modality]
    changed = (before.matrix != after.matrix).any(axis=1) | (before.present != after.present)
    return set(np.flatnonzero(changed).tolist())


@pytest.mark.parametrize(("kind", "how"), FEATURE_SCENARIOS)
@given(seed=st.integers(0, 5), levels=st.tuples(st.floats(0.05, 1), st.floats(0.05, 1)))
def test_a_higher_level_damages_the_same_and_more(
    kind: str, how: str, seed: int, levels: tuple[float, float]
) -> None:
    scenario = Scenario.model_validate({"kind": kind, "how": how})
    low, high = (damage_graph(GRAPH, scenario, level, seed) for level in sorted(levels))
    for modality, features in GRAPH.features.items():
        there = int(features.present.sum())
        rows, more = find_damaged(low, modality), find_damaged(high, modality)
        assert rows <= more
        assert (len(rows), len(more)) == tuple(round(level * there) for level in sorted(levels))
        np.testing.assert_array_equal(  # what is damaged twice is damaged in the same way
            low.features[modality].matrix[sorted(rows)],
            high.features[modality].matrix[sorted(rows)],
        )
        assert not low.features[modality].matrix[~low.features[modality].present].any()
    assert low.train is GRAPH.train


def test_one_modality_leaves_the_others() -> None:
    scenario = Scenario(kind="missing", modality="image")
    graph = damage_graph(GRAPH, scenario, 1.0, 0)
    assert not graph.features["image"].present.any()
    assert graph.features["text"] is GRAPH.features["text"]


def test_seeds_damage_differently() -> None:
    scenario = Scenario(kind="missing")
    first, second = (find_damaged(damage_graph(GRAPH, scenario, 0.5, s), "text") for s in (0, 1))
    assert first != second


def test_modalities_lose_different_entities() -> None:
    both = GRAPH.features["image"].present & GRAPH.features["text"].present
    graph = damage_graph(GRAPH, Scenario(kind="missing"), 0.5, 0)
    lost = {m: ~graph.features[m].present & both for m in graph.features}
    assert (lost["image"] != lost["text"]).any()


def test_entities_with_the_fewest_facts_lose_first() -> None:
    graph = damage_graph(GRAPH, Scenario(kind="missing", how="degree"), 0.5, 0)
    degrees = np.bincount(GRAPH.train[:, [0, 2]].ravel(), minlength=60)
    lost = sorted(find_damaged(graph, "text"))
    assert degrees[lost].max() <= degrees[graph.features["text"].present].min()


def test_noise_has_the_scale_of_each_column() -> None:
    graph = build_graph(entities=4000, facts=300, text=2)
    features = graph.features["text"]
    scaled = features.matrix * np.array([1.0, 10.0], dtype=np.float32)
    graph = graph.with_features({"text": type(features)(scaled, features.present,
                                                        features.manifest)})  # fmt: skip
    noisy = damage_graph(graph, Scenario(kind="noise"), 1.0, 0).features["text"]
    there = features.present
    change = (noisy.matrix - scaled)[there]
    np.testing.assert_allclose(change.std(axis=0), scaled[there].std(axis=0), rtol=0.05)
    np.testing.assert_allclose(change.mean(axis=0), 0.0, atol=0.6)


def test_swapped_vectors_are_those_of_another_entity() -> None:
    graph = damage_graph(GRAPH, Scenario(kind="noise", how="swap"), 1.0, 0)
    before, after = GRAPH.features["text"], graph.features["text"]
    there = np.flatnonzero(before.present)
    rows = {row.tobytes(): place for place, row in zip(there, before.matrix[there], strict=True)}
    taken = [rows[after.matrix[place].tobytes()] for place in there]
    assert sorted(taken) == there.tolist()
    assert all(a != b for a, b in zip(taken, there, strict=True))


def test_facts_that_are_taken_away_stay_known_to_be_true(tmp_path: Path) -> None:
    scenario = Scenario(kind="sparse")
    few, fewer = (damage_graph(GRAPH, scenario, level, 0) for level in (0.2, 0.6))
    total = len(GRAPH.train)
    assert [len(g.withheld) for g in (few, fewer)] == [round(0.2 * total), round(0.6 * total)]
    for graph in (few, fewer):
        both = np.concatenate([graph.train, graph.withheld])
        assert sorted(map(tuple, both)) == sorted(map(tuple, GRAPH.train))
        assert graph.valid is GRAPH.valid
        assert graph.test is GRAPH.test
        assert graph.entities is GRAPH.entities
        assert graph.fingerprint() != GRAPH.fingerprint()
    assert set(map(tuple, few.withheld)) <= set(map(tuple, fewer.withheld))
    heads, relations, tails = fewer.withheld.T
    assert (fewer.true_facts.find_rows(heads, relations, tails) >= 0).all()
    write_momok_folder(fewer, tmp_path / "graph")
    back = load_graph(tmp_path / "graph")
    np.testing.assert_array_equal(back.withheld, fewer.withheld)
    assert back.fingerprint() == fewer.fingerprint()
