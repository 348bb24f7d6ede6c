"""Monotone maps from a model's probability to a calibrated one, and how they are fitted.

A map is a rising line in pieces, from log-odds ``x = ln(p / (1 - p))`` to log-odds. It never falls,
so that it does not change which of two answers is the better one, and both sides end at +-30, so
that no probability is exactly 0 or 1.

- ``identity``: the probability as it is;
- ``platt``: one straight line, a x + b with a >= 0 (Platt 1999, "Probabilistic Outputs for Support
  Vector Machines");
- ``isotonic``: straight lines between the centres of the steps of isotonic regression (pool
  adjacent violators; Ayer et al. 1955). The steps themselves would tie different scores.

Shapes: n bins of logits, each with a number (or weight) of candidates that are true and of
candidates that are not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import torch
from numpy.typing import ArrayLike
from pydantic import FiniteFloat
from torch import Tensor

from momok.arrays import Floats, Ints
from momok.errors import RunError

Method = Literal["identity", "platt", "isotonic"]

METHODS: tuple[Method, ...] = get_args(Method)  # the simplest first: it wins where two are equal
LOGIT_LIMIT = 30.0  # sigmoid(-30) is 1e-13: nothing is told apart beyond
# Before the first centre and after the last one isotonic maps go on with this part of their mean
# slope: enough to tell the best answers apart, too little to claim what no data show.
_TAIL_SLOPE = 0.1
_LONGEST_STEP = 4.0
_MOST_STEPS = 200  # of Newton's method, which takes about ten
_LEAST_SLOPE = 1e-4  # of any line: a level one would tie different answers
_LEAST_GAP = 1e-3  # of a share to one: finite log-odds beyond it too


@dataclass(frozen=True, kw_only=True)
class CalibrationMap:
    """One fitted map.

    Attributes:
        method: how it was fitted.
        knots: (raw, calibrated) log-odds at the ends of its pieces, rising; level outside.

    Raises:
        RunError: it falls somewhere, or has no knots.
    """

    method: Method
    knots: tuple[tuple[FiniteFloat, FiniteFloat], ...]

    def __post_init__(self) -> None:
        if not self.knots or (np.diff(self.knots, axis=0) < 0).any():
            raise RunError(f"{self.method}: expected knots [raw, calibrated] that never fall")

    def apply_to_logits(self, logits: ArrayLike) -> Floats:
        """Calibrated probabilities of logits of any shape."""
        raw, calibrated = np.array(self.knots).T
        clipped = np.clip(logits, -LOGIT_LIMIT, LOGIT_LIMIT)
        return _compute_probabilities(np.interp(clipped, raw, calibrated))

    def apply(self, probabilities: ArrayLike, rest: ArrayLike | None = None) -> Floats:
        """Calibrated probabilities of probabilities of any shape, or of parts of a ``rest``."""
        if rest is None:
            return self.apply_to_logits(_compute_logits(probabilities))
        parts, of = (torch.as_tensor(x, dtype=torch.float64) for x in (probabilities, rest))
        return self.apply_to_logits(compute_share_logits(parts, of).numpy())

    def find_threshold(self, probability: float) -> float:
        """The least raw probability that is calibrated to at least this one; above 1 if none is."""
        raw, calibrated = np.array(self.knots).T
        lowest, highest = np.clip(calibrated[[0, -1]], -LOGIT_LIMIT, LOGIT_LIMIT)
        wanted = _compute_logits(probability)
        if wanted <= lowest or wanted > highest:
            return 0.0 if wanted <= lowest else np.inf
        return float(_compute_probabilities(np.interp(wanted, calibrated, raw)))


IDENTITY = CalibrationMap(
    method="identity", knots=((-LOGIT_LIMIT, -LOGIT_LIMIT), (LOGIT_LIMIT, LOGIT_LIMIT))
)


def fit_map(method: Method, logits: Floats, true: Floats, false: Floats) -> CalibrationMap:
    """Fit one map by maximum likelihood to the true and false candidates [n] of ascending bins."""
    used = true + false > 0
    if method == "identity" or not used.any():
        return IDENTITY
    fit = _fit_platt if method == "platt" else _fit_isotonic
    raw, calibrated = fit(logits[used], true[used], false[used])
    return CalibrationMap(
        method=method, knots=tuple(zip(raw.tolist(), calibrated.tolist(), strict=True))
    )


def _fit_platt(x: Floats, true: Floats, false: Floats) -> tuple[Floats, Floats]:
    """The line of the least log-loss; one that would fall, or be level, just rises.

    Targets are Platt's (section 2.2 of his paper): (n + 1) / (n + 2) for the n true candidates and
    1 / (m + 2) for the m others, so that separable data have a solution too.
    """
    n, m, total = true.sum(), false.sum(), true + false
    soft_true = true * (n + 1) / (n + 2) + false / (m + 2)
    soft_false = total - soft_true
    # Standardised logits make the descent short; a single bin has no width.
    centre = np.average(x, weights=total)
    scale = max(float(np.sqrt(np.average((x - centre) ** 2, weights=total))), 0.01)
    z = (x - centre) / scale
    slope, shift = _fit_line(z, soft_true, soft_false, start=(scale, centre))  # the identity
    if slope < _LEAST_SLOPE * scale:
        slope, shift = _LEAST_SLOPE * scale, float(np.log(soft_true.sum() / soft_false.sum()))
    ends = np.array([-LOGIT_LIMIT, LOGIT_LIMIT])
    return ends, slope * (ends - centre) / scale + shift


def _fit_line(
    z: Floats, up: Floats, down: Floats, *, start: tuple[float, float]
) -> tuple[float, float]:
    """Slope and shift of the least log-loss of so many ups and downs at ``z`` [n], all above 0.

    Newton's method: the loss is convex. A step moves no score by more than ``_LONGEST_STEP``, since
    further out the loss has no curvature to go by, and is halved until the loss falls.
    """
    design = np.stack([z, np.ones_like(z)])
    line, total = np.array(start), up + down

    def compute_loss(line: Floats) -> float:
        score = line @ design
        return float((up * np.logaddexp(0.0, -score) + down * np.logaddexp(0.0, score)).sum())

    loss = compute_loss(line)
    for _ in range(_MOST_STEPS):
        said = (1 + np.tanh(line @ design / 2)) / 2
        gradient = design @ (total * said - up)
        curvature = (design * (total * said * (1 - said))) @ design.T
        step = np.linalg.lstsq(curvature, gradient, rcond=None)[0]
        step /= max(float(np.abs(step @ design).max()) / _LONGEST_STEP, 1.0)
        falls = float(gradient @ step)
        while (after := compute_loss(line - step)) > loss - 0.25 * falls and falls > 1e-12 * loss:
            step, falls = step / 2, falls / 2
        if falls <= 1e-12 * loss:
            break
        line, loss = line - step, after
    return float(line[0]), float(line[1])


def _fit_isotonic(x: Floats, true: Floats, false: Floats) -> tuple[Floats, Floats]:
    """The centres of the steps, and the ends of all logits.

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
    odds = _compute_logits(means)
    mean = (odds[-1] - odds[0]) / max(centres[-1] - centres[0], 1e-9)
    slope = min(max(_TAIL_SLOPE * mean, _LEAST_SLOPE), 1.0)
    first = odds[0] - slope * (centres[0] + LOGIT_LIMIT)
    last = odds[-1] + slope * (LOGIT_LIMIT - centres[-1])
    return (
        np.concatenate([[-LOGIT_LIMIT], centres, [LOGIT_LIMIT]]),
        np.concatenate([[first], odds, [last]]),
    )


def pool_adjacent(values: Floats, weights: Floats) -> tuple[Ints, Floats]:
    """The closest non-decreasing sequence to ``values`` [n] by squares with ``weights`` above 0.

    Gives (starts [b], means [b]): where every block of equal result begins, and that result.
    """
    blocks: list[tuple[int, float, float]] = []  # start, mean, weight
    for place, (value, weight) in enumerate(zip(values.tolist(), weights.tolist(), strict=True)):
        start, mean, mass = place, value, weight
        while blocks and blocks[-1][1] >= mean:  # bins, some thousand: a loop over them is cheap
            start, mean_before, mass_before = blocks.pop()
            mean = (mean_before * mass_before + mean * mass) / (mass_before + mass)
            mass += mass_before
        blocks.append((start, mean, mass))
    starts, means, _ = zip(*blocks, strict=True)
    return np.array(starts), np.array(means)


def compute_share_logits(probabilities: Tensor, rest: Tensor) -> Tensor:
    """Log-odds of u = probability / rest; a share near one, or above it, has finite ones too.

    The answers of a softmax share a whole; ``rest`` is what known ones leave of it. They rise with
    the probability, of known answers as well.
    """
    share = (probabilities / rest).clamp_min(1e-30)
    return torch.log(share) - torch.log((1 - share).clamp_min(_LEAST_GAP))


def _compute_logits(probabilities: ArrayLike) -> Floats:
    """ln(p / (1 - p)), clipped to the limit; 0 and 1 are allowed."""
    p = np.asarray(probabilities, dtype=np.float64)
    with np.errstate(divide="ignore"):
        x = np.log(p) - np.log1p(-p)
    return np.asarray(np.clip(x, -LOGIT_LIMIT, LOGIT_LIMIT), dtype=np.float64)


def _compute_probabilities(logits: ArrayLike) -> Floats:
    x = np.clip(np.asarray(logits, dtype=np.float64), -LOGIT_LIMIT, LOGIT_LIMIT)
    return np.asarray(1.0 / (1.0 + np.exp(-x)), dtype=np.float64)
