"""From what an entity's features are to the row that training would have made of them.

A trained table begins with the prepared features and moves. Where it moved those that were there
says where it would have moved one that was not: a linear map, fitted to the rows of entities that
have the modality and occur in train.

Shapes: n entities, f width of the table.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["STRENGTHS", "RowMap", "fit_row_map", "solve_ridge"]

Floats = NDArray[np.float64]
FloatMatrix = NDArray[np.float32]

STRENGTHS = tuple(10.0**power for power in range(-4, 5))
"""Of the penalty, in units of the mean variance of the columns."""

_FOLDS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
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

    Args:
        prepared: ``[n, f]`` features, normalised and reduced as in training.
        rows: ``[n, f]`` of the trained table.
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
                _solve(x[kept], moved[kept], strengths)
            ):
                wrong = (x[held] - centre) @ weights + shift - moved[held]
                errors[place] += np.square(wrong).sum() / (n * f)
    best = int(errors.argmin())
    if errors[best] >= identity_error:
        nothing = np.zeros(f)
        return RowMap(
            weights=np.zeros((f, f)),
            centre=nothing,
            shift=nothing,
            strength=None,
            error=identity_error,
            identity_error=identity_error,
        )
    weights, centre, shift = solve_ridge(x, moved, strengths[best])
    return RowMap(
        weights=weights,
        centre=centre,
        shift=shift,
        strength=strengths[best],
        error=float(errors[best]),
        identity_error=identity_error,
    )


def solve_ridge(x: Floats, y: Floats, strength: float) -> tuple[Floats, Floats, Floats]:
    """The minimum of ``|(x - mean) W + b - y|² + strength * n * v * |W|²``, in closed form.

    Args:
        x: ``[n, f]``; v is the mean variance of its columns.
        y: ``[n, g]``.

    Returns:
        W ``[f, g]``, the mean of x ``[f]``, and b ``[g]``, which is the mean of y.
    """
    return _solve(x, y, [strength])[0]


def _solve(x: Floats, y: Floats, strengths: Sequence[float]) -> list[tuple[Floats, Floats, Floats]]:
    """The same for several strengths, with one decomposition."""
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
