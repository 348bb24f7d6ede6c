"""A map of the entities: their vectors in two dimensions, so that similar ones lie together.

t-SNE (van der Maaten & Hinton 2008, "Visualizing data using t-SNE") of the first principal
components of what all heads have learned. Neighbours on such a map are similar; distances between
far points and sizes of clusters mean nothing.

Shapes: n entities on the map, d width of a vector.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from momok.arrays import FloatMatrix, Ints
from momok.errors import ConfigError, RunError
from momok.extras import import_extra
from momok.prediction.scorer import Scorer
from momok.prediction.vectors import find_vectors
from momok.storage import seal, write_json

Method = Literal["tsne", "pca"]

SIDE = 65_535
"""Coordinates are whole numbers from 0 to this."""
_FILE = "map.json"
_COMPONENTS = 50  # principal components that t-SNE is given, as in its authors' experiments
_PERPLEXITY = 30.0


@dataclass(frozen=True, kw_only=True, eq=False)
class EntityMap:
    """Where entities lie on the map.

    Attributes:
        entities: [n] ids.
        points: [n, 2] x and y, from 0 to ``SIDE``; the larger extent fills it.
        about: how it was made.
    """

    entities: Ints
    points: Ints
    about: Mapping[str, Any]


def compute_map(
    scorer: Scorer, *, method: Method = "tsne", most: int = 20_000, seed: int = 0
) -> EntityMap:
    """Lay the entities of a run out on a map.

    Args:
        scorer: of the run.
        method: ``tsne``, or ``pca``: the first two principal components, in seconds.
        most: of more entities, those with most facts.
        seed: of t-SNE.

    Raises:
        ConfigError: fewer than 2 entities are asked for.
        MissingExtraError: the extra ``map`` is not installed.
    """
    if most < 2:
        raise ConfigError(f"{most} entities: a map has 2 or more")
    decomposition = import_extra("sklearn.decomposition", "map", "momok map", "scikit-learn")
    order = np.argsort(-scorer.graph.fact_index.degrees, kind="stable")
    entities = np.sort(order[:most])
    vectors = find_vectors(scorer).matrix[entities]
    kept = 2 if method == "pca" else min(_COMPONENTS, *vectors.shape)
    found = decomposition.PCA(kept, random_state=seed).fit_transform(vectors)
    if method == "tsne":
        manifold = import_extra("sklearn.manifold", "map", "momok map", "scikit-learn")
        perplexity = min(_PERPLEXITY, (len(entities) - 1) / 3)
        tsne = manifold.TSNE(perplexity=perplexity, init="pca", random_state=seed, n_jobs=1)
        found = tsne.fit_transform(found)
    about = {"method": method, "seed": seed, "entities": len(entities)}
    return EntityMap(entities=entities, points=_scale(found), about=about)


def _scale(found: FloatMatrix) -> Ints:
    """Whole numbers from 0 to ``SIDE``, in the same proportion."""
    low, high = found.min(axis=0), found.max(axis=0)
    extent = max(float((high - low).max()), 1e-12)
    middle = (low + high) / 2
    points: Ints = np.rint(((found - middle) / extent + 0.5) * SIDE).astype(np.int64)
    return points


def save_map(scorer: Scorer, made: EntityMap) -> Path:
    """Write a map into the run folder, whole or not at all; gives the path."""
    path = scorer.run.path / "results" / _FILE
    labels = scorer.graph.entities.labels
    value = {
        "format": "momok-map",
        "version": 1,
        "checkpoint": fingerprint_checkpoint(scorer),
        "about": dict(made.about),
        "entities": [labels[entity] for entity in made.entities.tolist()],
        "x": made.points[:, 0].tolist(),
        "y": made.points[:, 1].tolist(),
    }
    write_json(path, seal(value))
    return path


def load_map(scorer: Scorer) -> EntityMap | None:
    """The map that ``momok map`` left in a run folder; None where there is none.

    Raises:
        RunError: it is damaged, or of another checkpoint.
    """
    path = scorer.run.path / "results" / _FILE
    again = f"momok map {scorer.run.path} makes it again"
    if not path.is_file():
        return None
    try:
        value = scorer.run.read_result(_FILE)
        if value["checkpoint"] != fingerprint_checkpoint(scorer):
            raise RunError(f"{path}: the map of another checkpoint than the run has now; {again}")
        index = scorer.graph.entities.index
        entities = np.array([index(label) for label in value["entities"]], dtype=np.int64)
        points = np.array([value["x"], value["y"]], dtype=np.int64).T
        if value["version"] != 1 or len(points) != len(entities):
            raise ValueError("of another version, or cut off")
        return EntityMap(entities=entities, points=points, about=dict(value["about"]))
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(f"{path}: cannot be read ({error}); {again}") from error


def fingerprint_checkpoint(scorer: Scorer) -> str:
    """What a run's settings and graph are, and how its checkpoint was chosen, as 64 hex digits."""
    said = json.dumps([scorer.run.identity, scorer.selected], sort_keys=True, default=str)
    return hashlib.sha256(said.encode()).hexdigest()
