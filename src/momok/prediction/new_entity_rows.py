"""From feature vectors of a new entity to rows of a model's tables.

A trained table begins with the prepared features and moves. Where it moved those that were there
says where it would have moved one that was not: a linear map, fitted to the rows of entities that
have the modality and occur in train.

Shapes: n vectors, d numbers in a feature vector, f width of a table.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np

from momok.arrays import FloatMatrix, Floats
from momok.errors import FeatureError
from momok.graph import Features
from momok.graph.triples import Triples
from momok.model import MoMoK
from momok.settings import RunConfig
from momok.training.build import find_preparation

STRENGTHS = tuple(10.0**power for power in range(-4, 5))
"""Of the penalty, in units of the mean variance of the columns."""

_FOLDS = 5


class NewRows:
    """What training made of feature vectors, for vectors that it did not have.

    From the features and train facts ``[n, 3]`` of its graph: entities without any facts have rows
    that never moved as those of others did. FeatureError where the features are not the model's.
    """

    def __init__(
        self, features: Mapping[str, Features], train: Triples, config: RunConfig, model: MoMoK
    ) -> None:
        self._features, self._tables = features, model.tables_by_name
        self._trained = np.zeros(model.num_entities, dtype=np.bool_)
        self._trained[train[:, [0, 2]].ravel()] = True
        self._preparation = cache(
            lambda name: find_preparation(name, features[name], config.features_of(name))
        )
        self.row_map = cache(self._find_row_map)

    def make(self, modality: str, vectors: FloatMatrix, *, moved: bool = True) -> FloatMatrix:
        """Rows ``[n, f]`` of the table of a modality for feature vectors ``[n, d]``.

        Of a trained table those that training would have made of them, or if not ``moved`` those
        that it would have begun with. A table that maps features learned rows beside them, which a
        new entity does not have: the features stay as they are. FeatureError for another width or
        NaN.
        """
        width = self._features[modality].manifest.width
        if vectors.ndim != 2 or vectors.shape[1] != width:
            raise FeatureError(
                f"modality {modality!r}: a vector of shape {list(vectors.shape[1:])}; the graph's "
                f"have {width} numbers"
            )
        if not np.isfinite(vectors).all():
            raise FeatureError(f"modality {modality!r}: a vector holds NaN or infinity")
        prepared = self._preparation(modality).apply(vectors.astype(np.float32))
        spec = self._tables[modality].spec
        if not moved or spec.mapped or not spec.trainable:
            return prepared
        return self.row_map(modality).apply(prepared)

    def _find_row_map(self, modality: str) -> RowMap:
        features, table = self._features[modality], self._tables[modality]
        chosen = np.flatnonzero(features.present & self._trained)
        prepared = self._preparation(modality).apply(features.matrix[chosen])
        rows = table.weight.detach().float().cpu().numpy()[chosen]
        if rows.shape != prepared.shape:
            raise FeatureError(
                f"modality {modality!r}: the features have {prepared.shape[1]} numbers when "
                f"prepared, the table of the model has {rows.shape[1]}"
            )
        return fit_row_map(prepared, rows)


@dataclass(frozen=True, eq=False)
class RowMap:
    """``row = x + (x - centre) @ weights + shift``, for prepared features x.

    Attributes:
        weights: ``[f, f]``.
        centre, shift: ``[f]``.
        strength: the penalty that was chosen; None where the map is the identity.
        error: mean squared error of rows held out, over entities and columns.
        identity_error: that of leaving the features as they are.
    """

    weights: Floats
    centre: Floats
    shift: Floats
    strength: float | None
    error: float
    identity_error: float

    def apply(self, prepared: FloatMatrix) -> FloatMatrix:
        """Rows ``[n, f]`` of prepared features ``[n, f]``."""
        moved: FloatMatrix = (
            prepared + (prepared - self.centre) @ self.weights + self.shift
        ).astype(np.float32)
        return moved


def fit_row_map(
    prepared: FloatMatrix, rows: FloatMatrix, strengths: Sequence[float] = STRENGTHS
) -> RowMap:
    """Fit by ridge regression how far a row is from its features.

    The penalty pulls towards the features themselves, moved by the mean. Its strength is the one
    with the least squared error over five folds, each held out once; where leaving the features as
    they are is better than all, the map is the identity.

    ``prepared`` are features, normalised and reduced as in training, ``rows`` of the trained table.
    """
    x, moved = prepared.astype(np.float64), rows.astype(np.float64) - prepared
    n, f = x.shape
    identity_error = float(np.square(moved).mean()) if n else 0.0
    errors = np.full(len(strengths), np.inf)
    if n >= 2 * _FOLDS and identity_error > 0.0:
        folds = np.arange(n) % _FOLDS
        errors = np.zeros(len(strengths))
        for fold in range(_FOLDS):
            held, kept = folds == fold, folds != fold
            for place, (weights, centre, shift) in enumerate(
                solve_ridge(x[kept], moved[kept], strengths)
            ):
                wrong = (x[held] - centre) @ weights + shift - moved[held]
                errors[place] += np.square(wrong).sum() / (n * f)
    best = int(errors.argmin())
    strength, error = strengths[best], float(errors[best])
    if error >= identity_error:
        return RowMap(
            np.zeros((f, f)), np.zeros(f), np.zeros(f), None, identity_error, identity_error
        )
    [solution] = solve_ridge(x, moved, [strength])
    return RowMap(*solution, strength, error, identity_error)


def solve_ridge(
    x: Floats, y: Floats, strengths: Sequence[float]
) -> list[tuple[Floats, Floats, Floats]]:
    """The minima of ``|(x - mean) W + b - y|² + strength * n * v * |W|²``, in closed form.

    For x ``[n, f]``, whose columns have the mean variance v, and y ``[n, g]``; one decomposition
    serves all strengths. Gives for each W ``[f, g]``, the mean of x, and b, the mean of y.
    """
    centre, shift = x.mean(axis=0), y.mean(axis=0)
    centred = x - centre
    values, vectors = np.linalg.eigh(centred.T @ centred)
    turned = vectors.T @ (centred.T @ (y - shift))
    unit = max(float(values.mean()), np.finfo(np.float64).tiny)
    # Directions without variance have no say in W; rounding must not give them one.
    values = np.maximum(values, 0.0)
    return [
        (vectors @ (turned / (values + strength * unit)[:, None]), centre, shift)
        for strength in strengths
    ]
