"""What entities with similar features answer: a vote that a new entity can have at once.

The answers of train facts, each weighted by how similar the entity that it is an answer for is to
the new one: kernel regression (Nadaraya 1964, Watson 1964) of answers on features.

Shapes: N entities, F facts of a relation, d numbers in a feature vector.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache

import numpy as np

from momok.arrays import FloatMatrix, Floats, Ints
from momok.graph import Features
from momok.graph.triples import Triples

_SHARPNESS = 12.0  # of the weights, exp(sharpness * cosine); chosen on validation facts
_PRIOR = 0.01  # of the answers' counts, whoever they are for: answers of none that is similar


@dataclass(frozen=True, eq=False)
class NeighbourVote:
    """What the entities similar to a new one say.

    Attributes:
        probabilities: ``[N]`` of every entity, to be an answer of the relation's; they sum to one,
            or are zero where train has no fact of it.
        similar: ids of the entities with the most say, at most ``most``, the first ahead.
        similarities: their cosines.
    """

    probabilities: Floats
    similar: Ints
    similarities: Floats


class Neighbours:
    """Similar entities of a graph, and what train says of them.

    Similarities are cosines from the mean of those present, of ``block`` entities at a time.
    """

    def __init__(
        self,
        features: Mapping[str, Features],
        train: Triples,
        num_relations: int,
        *,
        block: int = 1 << 16,
    ) -> None:
        self._features, self._train = features, train
        self._num_relations, self._block = num_relations, block
        self._mean = cache(self._find_mean)

    def vote(
        self, vectors: Mapping[str, FloatMatrix], relation: int, *, most: int = 3
    ) -> NeighbourVote:
        """What is answered for entities like one with these feature vectors ``[d]`` by modality.

        Of several modalities the mean similarity counts, of those that both have. Relations from R
        on ask for heads. At ``most`` so many similar entities are named.
        """
        facts = self._train[self._train[:, 1] == relation % self._num_relations]
        asked, given = (0, 2) if relation >= self._num_relations else (2, 0)
        num_entities = len(next(iter(self._features.values())).matrix)
        counts = np.bincount(facts[:, asked], minlength=num_entities) / max(len(facts), 1)
        entities, places = np.unique(facts[:, given], return_inverse=True)
        cosines = self._compare(vectors, entities)
        comparable = np.isfinite(cosines)
        if not comparable.any():
            return NeighbourVote(counts, np.empty(0, dtype=np.int64), np.empty(0))
        cosines = np.where(comparable, cosines, -np.inf)
        per_fact = np.exp(_SHARPNESS * (cosines - cosines.max()))[places]
        said = np.bincount(facts[:, asked], weights=per_fact, minlength=num_entities)
        probabilities = (1 - _PRIOR) * said / per_fact.sum() + _PRIOR * counts
        order = np.argsort(-cosines, kind="stable")[: min(most, int(comparable.sum()))]
        return NeighbourVote(probabilities, entities[order], cosines[order])

    def _compare(self, vectors: Mapping[str, FloatMatrix], entities: Ints) -> Floats:
        """Mean cosines over modalities ``[n]``; NaN for entities that have none of them."""
        total, modalities = np.zeros(len(entities)), np.zeros(len(entities))
        for name, vector in vectors.items():
            features, mean = self._features[name], self._mean(name)
            new = vector.astype(np.float64) - mean
            new /= max(float(np.linalg.norm(new)), 1e-12)
            for start in range(0, len(entities), self._block):
                some = entities[start : start + self._block]
                rows = features.matrix[some] - mean
                lengths = np.maximum(np.linalg.norm(rows, axis=1), 1e-12)
                present = features.present[some]
                part = slice(start, start + len(some))
                total[part] += np.where(present, rows @ new / lengths, 0.0)
                modalities[part] += present
        with np.errstate(invalid="ignore"):
            return np.asarray(total / modalities)

    def _find_mean(self, modality: str) -> Floats:
        features = self._features[modality]
        return np.asarray(features.matrix[features.present].mean(axis=0, dtype=np.float64))
