"""The vote of similar entities, against loops over facts."""

from __future__ import annotations

import math

import numpy as np
import pytest

from momok.graph import FeatureManifest, Features
from momok.prediction.neighbours import Neighbours

N, R = 12, 3


def make_features(modality: str, width: int, present: np.ndarray, seed: int) -> Features:
    matrix = np.random.default_rng(seed).normal(size=(N, width)).astype(np.float32) + 1
    matrix[~present] = 0
    return Features(matrix, present, FeatureManifest(modality=modality, width=width))


@pytest.fixture
def features() -> dict[str, Features]:
    everybody, some = np.ones(N, dtype=bool), np.arange(N) % 3 > 0
    return {
        "text": make_features("text", 5, everybody, 1),
        "image": make_features("image", 4, some, 2),
    }


@pytest.fixture
def train() -> np.ndarray:
    generator = np.random.default_rng(3)
    facts = np.stack(
        [generator.integers(N, size=40), np.zeros(40, int), generator.integers(N, size=40)], axis=1
    )
    facts[20:, 1] = 1  # relation 2 has no fact
    return np.unique(facts, axis=0).astype(np.int64)


def expect(
    features: dict[str, Features], train: np.ndarray, new: dict[str, np.ndarray], relation: int
) -> np.ndarray:
    """Fact by fact, in plain Python."""
    said, counts, total, facts = [0.0] * N, [0.0] * N, 0.0, 0
    for head, r, tail in train.tolist():
        if r != relation % R:
            continue
        given, asked = (tail, head) if relation >= R else (head, tail)
        facts += 1
        counts[asked] += 1
        cosines = []
        for name, vector in new.items():
            part = features[name]
            if part.present[given]:
                mean = part.matrix[part.present].astype(float).mean(axis=0)
                a, b = part.matrix[given] - mean, vector - mean
                cosines.append(float(a @ b) / math.sqrt(float(a @ a) * float(b @ b)))
        if cosines:
            weight = math.exp(12 * sum(cosines) / len(cosines))
            said[asked] += weight
            total += weight
    return np.array(
        [0.99 * s / total + 0.01 * c / facts for s, c in zip(said, counts, strict=True)]
    )


@pytest.mark.parametrize("relation", [0, 1, R, R + 1])
@pytest.mark.parametrize("given", [("text",), ("image",), ("text", "image")])
@pytest.mark.parametrize("block", [3, 1 << 16])
def test_votes_are_weighted_by_similarity(
    features: dict[str, Features],
    train: np.ndarray,
    relation: int,
    given: tuple[str, ...],
    block: int,
) -> None:
    generator = np.random.default_rng(7)
    new = {m: generator.normal(size=features[m].manifest.width).astype("f4") for m in given}
    vote = Neighbours(features, train, R, block=block).vote(new, relation)
    np.testing.assert_allclose(
        vote.probabilities, expect(features, train, new, relation), atol=1e-12
    )
    assert vote.probabilities.sum() == pytest.approx(1)


def test_the_most_similar_come_first(features: dict[str, Features], train: np.ndarray) -> None:
    known = int(train[train[:, 1] == 0][0, 0])
    vector = features["text"].matrix[known]
    vote = Neighbours(features, train, R).vote({"text": vector}, 0, most=4)
    assert vote.similar[0] == known
    assert vote.similarities[0] == pytest.approx(1)
    assert (np.diff(vote.similarities) <= 0).all()
    assert len(set(vote.similar.tolist())) == 4
    assert set(vote.similar.tolist()) <= set(train[train[:, 1] == 0][:, 0].tolist())


def test_a_relation_without_facts_has_no_votes(
    features: dict[str, Features], train: np.ndarray
) -> None:
    vote = Neighbours(features, train, R).vote({"text": np.ones(5, dtype="f4")}, 2)
    assert (vote.probabilities == 0).all()
    assert len(vote.similar) == 0


def test_where_nobody_can_be_compared_answers_count_by_how_often_they_are(
    train: np.ndarray,
) -> None:
    heads = np.zeros(N, dtype=bool)
    heads[train[train[:, 1] == 0][:, 0]] = True
    features = {"text": make_features("text", 5, ~heads, 1)}
    facts = train[train[:, 1] == 0]
    vote = Neighbours(features, train, R).vote({"text": np.ones(5, dtype="f4")}, 0)
    expected = np.bincount(facts[:, 2], minlength=N) / len(facts)
    np.testing.assert_allclose(vote.probabilities, expected)
