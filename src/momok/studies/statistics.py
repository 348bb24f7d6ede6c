"""What can be said of a difference that was seen on some seeds and some test facts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.arrays import Floats

_CELLS = 1 << 24  # of one block of samples


def hierarchical_bootstrap(
    change: NDArray[Any], *, seed: int, samples: int = 2000, confidence: float = 0.95
) -> tuple[float, float, float, float]:
    """The mean of paired differences, its interval (low, high) and a two-sided p-value.

    Both levels that could have fallen out otherwise are drawn with replacement: seeds, then test
    facts (Davison and Hinkley 1997, section 3.8). A few seeds drawn so vary too little, by
    (S - 1) / S in variance, so the seeds' means are first moved apart by its inverse.

    Args:
        change: differences ``[S, F]``: seeds by test facts.
    """
    change = np.asarray(change, dtype=np.float64)
    if change.ndim != 2 or not change.size:
        raise ValueError(f"expected differences [seeds, facts], got shape {change.shape}")
    seeds, facts = change.shape
    if seeds > 1:
        means = change.mean(axis=1, keepdims=True)
        change = change + (np.sqrt(seeds / (seeds - 1)) - 1) * (means - means.mean())
    generator = np.random.default_rng(seed)
    block = max(1, _CELLS // facts)
    found = []
    for start in range(0, samples, block):
        rows = min(block, samples - start)
        weights = generator.multinomial(seeds, np.full(seeds, 1 / seeds), size=rows) / seeds
        drawn = generator.integers(facts, size=(rows, facts))
        found.append(np.take_along_axis(weights @ change, drawn, axis=1).mean(axis=1))
    means = np.concatenate(found)
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
