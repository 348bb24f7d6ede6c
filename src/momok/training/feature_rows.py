"""From feature vectors to rows of a table: normalised and reduced, whoever they belong to.

Training prepares the features of a graph with it, prediction those of an entity that came later.

Shapes: N entities, n vectors, d numbers in a feature vector, f width of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from momok.errors import FeatureError
from momok.graph import Features, l2_normalise, pool
from momok.graph.reductions import Components, find_components
from momok.settings import FeatureSettings

FloatMatrix = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """What becomes of a feature vector before it enters a table.

    Attributes:
        normalise: whether it is brought to length 1 first.
        grid, target: with pooling, the grid that it is seen as and the one it is pooled to.
        components: with PCA, what it is projected onto.
    """

    normalise: bool
    grid: tuple[int, int] | None = None
    target: tuple[int, int] | None = None
    components: Components | None = None

    def apply(self, vectors: FloatMatrix) -> FloatMatrix:
        """Prepare vectors ``[n, d]``: ``[n, f]``."""
        rows = l2_normalise(vectors) if self.normalise else vectors
        if self.grid is not None and self.target is not None:
            return pool(rows, self.grid, self.target)
        if self.components is not None:
            return self.components.reduce(rows)
        return np.ascontiguousarray(rows, dtype=np.float32)

    def apply_present(self, features: Features) -> FloatMatrix:
        """Prepare all features of a graph: ``[N, f]``, zeros for entities that have none."""
        rows = self.apply(features.matrix[features.present])
        prepared = np.zeros((len(features.matrix), rows.shape[1]), dtype=np.float32)
        prepared[features.present] = rows
        return prepared


def find_preparation(name: str, features: Features, settings: FeatureSettings) -> Preparation:
    """Find how the features of a modality are prepared; the same for the same features.

    Raises:
        FeatureError: no entity has features, or they cannot be brought to the width asked for.
    """
    if not features.present.any():
        raise FeatureError(f"modality {name!r}: no entity has features; leave it out")
    rows = features.matrix[features.present]
    width = rows.shape[1]
    reduced = width > settings.width
    if settings.reduce == "pool" and (settings.pool_target or reduced):
        found = Preparation(
            normalise=settings.normalise,
            grid=settings.pool_grid or (1, width),
            target=settings.pool_target or (1, settings.width),
        )
    else:
        found = Preparation(normalise=settings.normalise)
    try:
        if settings.reduce == "pca" and reduced:
            components = find_components(found.apply(rows), settings.width)
            return replace(found, components=components)
        found.apply(rows[:0])  # does the grid fit?
    except FeatureError as error:
        raise FeatureError(f"modality {name!r}: {error}") from error
    return found
