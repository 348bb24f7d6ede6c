"""What can be said of a difference that was seen on some seeds and some test facts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Floats

_CELLS = 1 << 24  # of one block of samples


def hierarchical_bootstrap(
    change: NDArray[Any], *, seed: int, samples: int = 4000, confidence: float = 0.95
) -> tuple[float, float, float, float]:
    """The mean of paired differences, its interval (low, high) and a two-sided p-value.

    Both could have fallen out otherwise: the test facts and the seeds. Facts are drawn with
    replacement, the same for all seeds. Three or five seeds are too few to draw from, intervals
    would be far too narrow; their mean is drawn from Student's t with S - 1 degrees of freedom,
    which takes seeds to be normally distributed. With one seed only the facts vary.

    Args:
        change: differences ``[S, F]``: seeds by test facts.
    """
    change = np.asarray(change, dtype=np.float64)
    if change.ndim != 2 or not change.size:
        raise ValueError(f"expected differences [seeds, facts], got shape {change.shape}")
    seeds, facts = change.shape
    generator = np.random.default_rng(seed)
    mean_of_facts = change.mean(axis=0)
    block = max(1, _CELLS // facts)
    means = np.concatenate(
        [
            mean_of_facts[
                generator.integers(facts, size=(min(block, samples - start), facts))
            ].mean(axis=1)
            for start in range(0, samples, block)
        ]
    )
    if seeds > 1:
        error = change.mean(axis=1).std(ddof=1) / np.sqrt(seeds)
        means = means + error * generator.standard_t(seeds - 1, size=samples)
    tail = (1.0 - confidence) / 2.0
    low, high = np.quantile(means, [tail, 1.0 - tail])
    extreme = min((means <= 0).sum(), (means >= 0).sum()) + 1
    p = min(1.0, 2.0 * float(extreme) / (samples + 1))
    return float(change.mean()), float(low), float(high), p


def correct_holm(p: NDArray[Any]) -> Floats:
    """Correct p-values ``[n]`` for being many: the chance of any false one is kept (Holm 1979).

    Returns:
        corrected values in the given order; reject where they are below the level.
    """
    p = np.asarray(p, dtype=np.float64)
    order = np.argsort(p, kind="stable")
    steps = np.maximum.accumulate(p[order] * np.arange(len(p), 0, -1)) if len(p) else p
    corrected: Floats = np.empty_like(p)
    corrected[order] = np.minimum(steps, 1.0)
    return corrected
