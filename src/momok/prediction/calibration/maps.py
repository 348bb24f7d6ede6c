"""Monotone maps from a model's probability to a calibrated one, and how they are fitted.

All maps work on log-odds ``x = ln(p / (1 - p))``, clipped to +-30 on both sides, so that no
probability is exactly 0 or 1. None ever falls: which of two answers is the better one stays.

- ``identity``: the probability as it is;
- ``platt``: sigmoid(a x + b), a >= 0 (Platt 1999, "Probabilistic Outputs for Support Vector
  Machines");
- ``isotonic``: the non-decreasing step function of highest likelihood (pool adjacent violators;
  Ayer et al. 1955), with straight lines between the centres of its steps instead of the steps, so
  that different scores get different probabilities.

Shapes: n bins of logits, each with a number (or weight) of candidates that are true and of
candidates that are not.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from torch.nn.functional import softplus

from momok.errors import RunError

Floats: TypeAlias = NDArray[np.float64]
Method = Literal["identity", "platt", "isotonic"]

METHODS: tuple[Method, ...] = get_args(Method)  # the simplest first: it wins where two are equal
LOGIT_LIMIT = 30.0  # sigmoid(-30) is 1e-13: nothing is told apart beyond
# Before the first centre and after the last one isotonic maps go on with this part of their mean
# slope: enough to tell the best answers apart, too little to claim what no data show.
_TAIL_SLOPE = 0.1


@dataclass(frozen=True, kw_only=True)
class CalibrationMap:
    """One fitted map.

    Attributes:
        method: which of the three.
        parameters: (a, b) for platt.
        knots: for isotonic (logit, probability), both ascending; log-odds are linear between them.

    Raises:
        RunError: it is none of these, or it falls somewhere.
    """

    method: Method
    parameters: tuple[float, ...] = ()
    knots: tuple[tuple[float, float], ...] = ()

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise RunError(f"method {self.method!r}: expected one of {', '.join(METHODS)}")
        values = [*self.parameters, *(v for knot in self.knots for v in knot)]
        if not np.isfinite(values).all():
            raise RunError(f"{self.method}: numbers that are not finite")
        if self.method == "platt" and (len(self.parameters) != 2 or self.parameters[0] < 0):
            raise RunError(
                f"platt: parameters {list(self.parameters)}; expected a slope of at least 0 and "
                "a shift"
            )
        if self.method == "isotonic":
            points = np.array(self.knots, dtype=np.float64)
            if points.ndim != 2 or points.shape[1:] != (2,) or (np.diff(points, axis=0) < 0).any():
                raise RunError("isotonic: expected knots [logit, probability] that never fall")
            if points[0, 1] < 0 or points[-1, 1] > 1:
                raise RunError("isotonic: a probability outside 0 to 1")

    def apply_to_logits(self, logits: ArrayLike) -> Floats:
        """Calibrated probabilities of logits of any shape."""
        x = _clip(np.asarray(logits, dtype=np.float64))
        if self.method == "platt":
            slope, shift = self.parameters
            x = _clip(slope * x + shift)
        elif self.method == "isotonic":
            at, probabilities = np.array(self.knots, dtype=np.float64).T
            x = np.interp(x, at, compute_logits(probabilities))
        return _squash(x)

    def apply(self, probabilities: ArrayLike) -> Floats:
        """Calibrated probabilities of probabilities of any shape."""
        return self.apply_to_logits(compute_logits(probabilities))

    def find_threshold(self, probability: float) -> float:
        """The least raw probability that is calibrated to at least this one; above 1 if none is.

        It is never above the exact one, and below it by rounding only.
        """
        low, high = -LOGIT_LIMIT, LOGIT_LIMIT
        at_low, at_high = self.apply_to_logits([low, high])
        if at_high < probability:
            return np.inf
        if at_low >= probability:
            return 0.0
        for _ in range(48):  # halvings of 60, down to rounding
            middle = (low + high) / 2
            reached = float(self.apply_to_logits(middle)) >= probability
            low, high = (low, middle) if reached else (middle, high)
        return float(_squash(np.array(low)))

    @staticmethod
    def from_json(value: Mapping[str, Any]) -> CalibrationMap:
        """Read the plain form, which ``dataclasses.asdict`` gives."""
        return CalibrationMap(
            method=value["method"],
            parameters=tuple(value["parameters"]),
            knots=tuple((logit, probability) for logit, probability in value["knots"]),
        )


def compute_logits(probabilities: ArrayLike) -> Floats:
    """ln(p / (1 - p)), clipped to the limit; 0 and 1 are allowed."""
    p = np.asarray(probabilities, dtype=np.float64)
    with np.errstate(divide="ignore"):
        return _clip(np.log(p) - np.log1p(-p))


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
    if method == "platt":
        return CalibrationMap(method="platt", parameters=_fit_platt(x, true, false))
    return CalibrationMap(method="isotonic", knots=_fit_isotonic(x, true, false))


def _fit_platt(x: Floats, true: Floats, false: Floats) -> tuple[float, float]:
    """Slope and shift of the least log-loss; a slope that would fall below 0 is held at 0.

    Targets are Platt's (section 2.2 of his paper): (n + 1) / (n + 2) for the n true candidates and
    1 / (m + 2) for the m others, so that separable data have a solution too.
    """
    n, m, total = true.sum(), false.sum(), true + false
    soft_true = true * (n + 1) / (n + 2) + false / (m + 2)
    soft_false = total - soft_true
    # Standardised logits make the descent short; a single bin has no width.
    centre = np.average(x, weights=total)
    scale = max(float(np.sqrt(np.average((x - centre) ** 2, weights=total))), 0.01)
    z, up, down = map(torch.from_numpy, ((x - centre) / scale, soft_true, soft_false))
    line = torch.tensor([scale, centre], dtype=torch.float64, requires_grad=True)  # the identity
    optimizer = torch.optim.LBFGS(
        [line], max_iter=500, tolerance_grad=1e-9, tolerance_change=1e-13,
        line_search_fn="strong_wolfe",
    )  # fmt: skip

    def compute_loss() -> torch.Tensor:
        optimizer.zero_grad()
        score = line[0] * z + line[1]
        loss = (up * softplus(-score) + down * softplus(score)).sum() / up.sum()
        loss.backward()  # type: ignore[no-untyped-call]
        return loss

    optimizer.step(compute_loss)  # type: ignore[no-untyped-call]
    slope, shift = line.tolist()
    if slope <= 0:
        return 0.0, float(np.log(soft_true.sum() / soft_false.sum()))
    return slope / scale, shift - slope * centre / scale


def _fit_isotonic(x: Floats, true: Floats, false: Floats) -> tuple[tuple[float, float], ...]:
    """The centres of the steps, and the ends of the data.

    Half a true candidate below all others and half a false one above keep it off 0 and 1.
    """
    total = true + false
    trues, weights = true.copy(), total.copy()
    trues[0] += 0.5
    weights[0] += 0.5
    weights[-1] += 0.5
    starts, means = pool_adjacent(trues / weights, weights)
    centres = np.add.reduceat(x * total, starts) / np.add.reduceat(total, starts)
    centres = centres.clip(x[0], x[-1])  # a mean may be rounded out of its bin
    odds = compute_logits(means)
    slope = _TAIL_SLOPE * (odds[-1] - odds[0]) / max(centres[-1] - centres[0], 1e-9)
    at = np.concatenate([x[:1], centres, x[-1:]])
    first, last = odds[0] - slope * (centres[0] - x[0]), odds[-1] + slope * (x[-1] - centres[-1])
    probabilities = _squash(_clip(np.array([first, *odds, last])))
    return tuple(zip(at.tolist(), probabilities.tolist(), strict=True))


def pool_adjacent(values: Floats, weights: Floats) -> tuple[NDArray[np.int64], Floats]:
    """The closest non-decreasing sequence by weighted squares (pool adjacent violators).

    Args:
        values: [n].
        weights: [n], above 0.

    Returns:
        (starts [b], means [b]): where every block of equal result begins, and that result.
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
    return np.array(starts, dtype=np.int64), np.array(means)


def _squash(x: Floats) -> Floats:
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)


def _clip(x: Floats) -> Floats:
    return np.asarray(np.clip(x, -LOGIT_LIMIT, LOGIT_LIMIT), dtype=np.float64)
