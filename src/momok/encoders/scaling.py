"""Numbers as features: each attribute on a scale of its own, beside a mark of its presence.

An entity with A attributes becomes 2 A numbers: A scaled values, 0 where there is none, and A marks
1 or 0. Two scales:

``quantile``: the value's place among the values of the attribute, from -1 to 1 (the middle of its
ties, so that a value that half of the entities share stands at its centre). Outliers do no harm.
``log``: sign(x) log(1 + |x|), brought to mean 0 and standard deviation 1, cut at 4; for counts and
sizes, where ratios matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import version
from typing import Any, Literal

import numpy as np

from momok.arrays import FloatMatrix, Floats
from momok.encoders.encoder import EncoderContext, EncoderSpec, Kind, NumberTable
from momok.errors import FeatureError

Scale = Literal["quantile", "log"]
_KNOTS = 33  # of an attribute's scale: 32 steps tell apart what a linear map can use
_FARTHEST = 4.0  # standard deviations


class ScalingEncoder:
    """Encodes rows of numbers ``[A]`` with NaN where there is none."""

    kind: Kind = "numeric"
    weights = ""

    def __init__(self, scale: Scale, numbers: NumberTable) -> None:
        if not numbers.attributes:
            raise FeatureError("there are no numbers to fit a scale to")
        self._scale: Scale = scale
        self.name = f"momok {scale} scaling"
        self.version = version("momok")
        self.width = 2 * len(numbers.attributes)
        columns = numbers.values.T
        if scale == "quantile":
            self._knots = [_fit_knots(column) for column in columns]
            scales = [[knots.tolist(), places.tolist()] for knots, places in self._knots]
        else:
            self._moments = np.array([_fit_moments(column) for column in columns])  # [A, 2]
            scales = self._moments.tolist()
        self.settings: dict[str, Any] = {
            "scales": dict(zip(numbers.attributes, scales, strict=True)),
            "columns": "scaled values, then marks of presence",
        }

    def encode(self, batch: Sequence[Floats]) -> FloatMatrix:
        """Encode b rows: ``[b, 2 A]``."""
        attributes = self.width // 2
        values = np.asarray(batch, dtype=np.float64).reshape(-1, attributes)
        present = ~np.isnan(values)
        scaled = self._place(values) if self._scale == "quantile" else self._standardise(values)
        return np.hstack([np.where(present, scaled, 0.0), present]).astype(np.float32)

    def _place(self, values: Floats) -> Floats:
        columns = zip(values.T, self._knots, strict=True)
        return np.stack([np.interp(column, *knots) for column, knots in columns], axis=1)

    def _standardise(self, values: Floats) -> Floats:
        means, deviations = self._moments.T
        scaled: Floats = (_log(values) - means) / deviations
        return scaled.clip(-_FARTHEST, _FARTHEST)


def _fit_knots(column: Floats) -> tuple[Floats, Floats]:
    """Find values of an attribute and their places from -1 to 1: at most 33 of each."""
    values, counts = np.unique(column[~np.isnan(column)], return_counts=True)
    middles = np.cumsum(counts) - counts / 2  # the middle rank of each value's ties
    places = 2 * middles / counts.sum() - 1
    if len(values) > _KNOTS:
        # At equal steps of rank and not of value, so that a long tail does not take them all.
        kept = np.unique(np.searchsorted(places, np.linspace(places[0], places[-1], _KNOTS)))
        values, places = values[kept], places[kept]
    return values, places


def _fit_moments(column: Floats) -> tuple[float, float]:
    logs = _log(column[~np.isnan(column)])
    return float(logs.mean()), float(logs.std()) or 1.0


def _log(values: Floats) -> Floats:
    return np.sign(values) * np.log1p(np.abs(values))


def build(spec: EncoderSpec, context: EncoderContext) -> ScalingEncoder:
    """Build the encoder ``quantile`` or ``log``, fitted to the numbers of the context."""
    spec.check_options()
    return ScalingEncoder("log" if spec.name == "log" else "quantile", context.numbers)
