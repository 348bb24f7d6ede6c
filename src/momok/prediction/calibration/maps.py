"""Monotone maps from a model's probability to a calibrated one, and how they are fitted.

All maps work on the logit ``x = ln(p / (1 - p))``, clipped to +-30, and never fall, so that they do
not change which of two answers is the better one:

- ``identity``: sigmoid(x), the probability as it is;
- ``temperature``: sigmoid(a x), a >= 0 (Guo et al. 2017, "On Calibration of Modern Neural
  Networks", section 4.2, with a = 1 / T);
- ``platt``: sigmoid(a x + b), a >= 0 (Platt 1999, "Probabilistic Outputs for Support Vector
  Machines");
- ``beta``: sigmoid(a ln p - b ln(1 - p) + c), a, b >= 0 (Kull, Silva Filho and Flach 2017, "Beta
  calibration");
- ``isotonic``: the non-decreasing function of highest likelihood (pool adjacent violators; Ayer et
  al. 1955), linear between its steps.

Shapes: n bins of logits, each with a number (or weight) of candidates that are true and of
candidates that are not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from momok.errors import RunError

__all__ = ["LOGIT_LIMIT", "METHODS", "CalibrationMap", "Method", "fit_map", "pool_adjacent"]

Floats: TypeAlias = NDArray[np.float64]
Method = Literal["identity", "temperature", "platt", "beta", "isotonic"]

METHODS: tuple[Method, ...] = get_args(Method)  # the simplest first: it wins where two are equal
LOGIT_LIMIT = 30.0  # sigmoid(-30) is 1e-13: nothing is told apart beyond

_PARAMETERS: Mapping[str, int] = {"identity": 0, "temperature": 1, "platt": 2, "beta": 3}
_NEWTON_STEPS = 100
_TOLERANCE = 1e-10  # of the step, relative to the parameters


@dataclass(frozen=True, kw_only=True)
class CalibrationMap:
    """One fitted map.

    Attributes:
        method: which of the five.
        parameters: () for identity, (a,) for temperature, (a, b) for platt, (a, b, c) for beta.
        knots: of isotonic: (logit, probability), both ascending.
    """

    method: Method
    parameters: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        """Check that the map is one of ours and never falls.

        Raises:
            RunError: it is not.
        """
        if self.method not in METHODS:
            raise RunError(f"method {self.method!r}: expected one of {', '.join(METHODS)}")
        values = [*self.parameters, *(v for knot in self.knots for v in knot)]
        if not np.isfinite(values).all():
            raise RunError(f"{self.method}: numbers that are not finite")
        if self.method == "isotonic":
            points = np.array(self.knots, dtype=np.float64)
            if points.ndim != 2 or points.shape[1:] != (2,) or (np.diff(points, axis=0) < 0).any():
                raise RunError("isotonic: expected knots [logit, probability] that never fall")
            if points[0, 1] < 0 or points[-1, 1] > 1:
                raise RunError("isotonic: a probability outside 0 to 1")
            return
        slopes = self.parameters[: 2 if self.method == "beta" else 1]
        if len(self.parameters) != _PARAMETERS[self.method] or any(a < 0 for a in slopes):
            raise RunError(
                f"{self.method}: parameters {list(self.parameters)}; expected "
                f"{_PARAMETERS[self.method]} numbers, slopes not below 0"
            )

    def apply_to_logits(self, logits: ArrayLike) -> Floats:
        """Calibrated probabilities of logits of any shape."""
        x = np.clip(np.asarray(logits, dtype=np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)
        if self.method == "isotonic":
            at, probabilities = np.array(self.knots, dtype=np.float64).T
            return np.asarray(np.interp(x, at, probabilities), dtype=np.float64)
        if self.method == "identity":
            return _sigmoid(x)
        design = _build_design(self.method, x)
        return _sigmoid(design @ np.array(self.parameters))

    def apply(self, probabilities: ArrayLike) -> Floats:
        """Calibrated probabilities of probabilities of any shape."""
        return self.apply_to_logits(compute_logits(probabilities))

    def find_threshold(self, probability: float) -> float:
        """The least raw probability that is calibrated to at least this one; above 1 if none is."""
        if float(self.apply(1.0)) < probability:
            return np.inf
        low, high = -LOGIT_LIMIT, LOGIT_LIMIT
        if float(self.apply_to_logits(low)) >= probability:
            return 0.0
        while np.nextafter(low, high) < high:
            middle = (low + high) / 2
            reached = float(self.apply_to_logits(middle)) >= probability
            low, high = (low, middle) if reached else (middle, high)
            if high - low < 1e-12:
                break
        return float(_sigmoid(np.array(low)))  # not above the true one

    def to_json(self) -> dict[str, Any]:
        """The plain form."""
        return {
            "method": self.method,
            "parameters": list(self.parameters),
            "knots": [list(knot) for knot in self.knots],
        }

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> CalibrationMap:
        """Read the plain form.

        Raises:
            RunError: it is not one.
        """
        try:
            return CalibrationMap(
                method=value["method"],
                parameters=tuple(float(v) for v in value["parameters"]),
                knots=tuple((float(x), float(p)) for x, p in value["knots"]),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise RunError(f"not a calibration map ({type(error).__name__}: {error})") from error


def compute_logits(probabilities: ArrayLike) -> Floats:
    """ln(p / (1 - p)), clipped to the limit; 0 and 1 are allowed."""
    p = np.asarray(probabilities, dtype=np.float64)
    with np.errstate(divide="ignore"):
        logits = np.log(p) - np.log1p(-p)
    return np.asarray(np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT), dtype=np.float64)


def fit_map(method: Method, logits: Floats, true: Floats, false: Floats) -> CalibrationMap:
    """Fit one map by maximum likelihood.

    Args:
        method: which.
        logits: [n] of the bins, ascending.
        true: [n] how many candidates there are true.
        false: [n] how many are not.
    """
    used = true + false > 0
    x, true, false = logits[used], true[used], false[used]
    if method == "identity" or not len(x):
        return CalibrationMap(method="identity")
    if method == "isotonic":
        return _fit_isotonic(x, true, false)
    return CalibrationMap(method=method, parameters=_fit_logistic(method, x, true, false))


def _fit_isotonic(x: Floats, true: Floats, false: Floats) -> CalibrationMap:
    """Half a true candidate below all others and half a false one above keep it off 0 and 1."""
    true, false = true.copy(), false.copy()
    true[0] += 0.5
    false[-1] += 0.5
    starts, ends, means = pool_adjacent(true / (true + false), true + false)
    knots: list[tuple[float, float]] = []
    for start, end, mean in zip(x[starts], x[ends], means, strict=True):
        knots.append((float(start), float(mean)))
        if end > start:
            knots.append((float(end), float(mean)))
    return CalibrationMap(method="isotonic", knots=tuple(knots))


def pool_adjacent(values: Sequence[float] | Floats, weights: Sequence[float] | Floats) -> Any:
    """The closest non-decreasing sequence by weighted squares (pool adjacent violators).

    Args:
        values: [n].
        weights: [n], above 0.

    Returns:
        (starts [b], ends [b], means [b]): positions of the first and last value of every block of
        equal result, and that result.
    """
    starts: list[int] = []
    means: list[float] = []
    masses: list[float] = []
    for position, (value, weight) in enumerate(zip(values, weights, strict=True)):
        start, mean, mass = position, float(value), float(weight)
        while means and means[-1] >= mean:  # bins, some thousand: a loop over them is cheap
            mass_before = masses.pop()
            mean = (means.pop() * mass_before + mean * mass) / (mass_before + mass)
            mass += mass_before
            start = starts.pop()
        starts.append(start)
        means.append(mean)
        masses.append(mass)
    ends = np.append(np.array(starts[1:], dtype=np.int64) - 1, len(values) - 1)
    return np.array(starts, dtype=np.int64), ends, np.array(means)


def _build_design(method: Method, x: Floats) -> Floats:
    """What the parameters are multiplied with: [..., number of parameters]."""
    one = np.ones_like(x)
    if method == "temperature":
        return x[..., None]
    if method == "platt":
        return np.stack([x, one], axis=-1)
    return np.stack([-np.logaddexp(0.0, -x), np.logaddexp(0.0, x), one], axis=-1)  # ln p, -ln(1-p)


def _fit_logistic(method: Method, x: Floats, true: Floats, false: Floats) -> tuple[float, ...]:
    """Newton's method on the log-loss; a slope that would fall below 0 is held at 0.

    Targets are Platt's (section 2.2 of his paper): (n + 1) / (n + 2) for the n true candidates and
    1 / (m + 2) for the m others, so that separable data have a solution too.
    """
    n, m = true.sum(), false.sum()
    soft_true = true * (n + 1) / (n + 2) + false / (m + 2)
    soft_false = true + false - soft_true
    design = _build_design(method, x)
    slopes = 2 if method == "beta" else 1
    free = np.ones(design.shape[1], dtype=bool)
    while True:
        start = np.where(free & (np.arange(len(free)) < slopes), 1.0, 0.0)
        solution = _descend(design[:, free], soft_true, soft_false, start[free])
        parameters = np.zeros(len(free))
        parameters[free] = solution
        negative = free & (parameters < 0) & (np.arange(len(free)) < slopes)
        if not negative.any():
            return tuple(parameters.tolist())
        free &= ~negative
        if not free.any():
            return tuple(np.zeros(len(free)).tolist())


def _descend(design: Floats, true: Floats, false: Floats, start: Floats) -> Floats:
    """Minimise sum(true * ln(1 + e^-z) + false * ln(1 + e^z)), z = design @ parameters."""

    def loss(parameters: Floats) -> float:
        z = design @ parameters
        return float((true * np.logaddexp(0, -z) + false * np.logaddexp(0, z)).sum())

    parameters, value, total = start, loss(start), true + false
    for _ in range(_NEWTON_STEPS):
        p = _sigmoid(design @ parameters)
        gradient = design.T @ (total * p - true)
        curvature = (design * (total * p * (1 - p))[:, None]).T @ design
        # A ridge far below the data's own curvature: bins that all lie at one logit have none.
        curvature += 1e-9 * (1 + np.trace(curvature)) * np.eye(len(start))
        step = np.linalg.solve(curvature, gradient)
        size = 1.0
        while size > 1e-12 and not loss(parameters - size * step) <= value:
            size /= 2
        if size <= 1e-12:
            break
        parameters = parameters - size * step
        value = loss(parameters)
        if np.abs(size * step).max() < _TOLERANCE * (1 + np.abs(parameters).max()):
            break
    return parameters


def _sigmoid(x: Floats) -> Floats:
    """Without overflow: 1 / (1 + e^-x) above zero, e^x / (1 + e^x) below."""
    small = np.exp(-np.abs(x))
    return np.where(x >= 0, 1.0, small) / (1.0 + small)
