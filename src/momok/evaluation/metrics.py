"""Metrics of ranks, and comparisons between runs: pure functions of numpy arrays.

A rank is at least 1 and may end in .5 (the realistic rank of a tie). Every metric that is a share
lies in [0, 1]; a group without queries has count 0 and no values (``None``), never NaN.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import to_jsonable_python

from momok.arrays import Floats

HITS_AT = (1, 3, 10, 100)


@dataclass(frozen=True, kw_only=True)
class Metrics:
    """What is reported of a set of ranks.

    ``count`` is the number of queries; ``mrr`` the mean of 1/rank, in (0, 1]; ``mean_rank`` at
    least 1; ``hits[k]`` the share of queries with rank <= k. Values are ``None`` where count is 0.
    """

    count: int
    mrr: float | None
    mean_rank: float | None
    hits: Mapping[int, float | None]

    def to_json(self) -> dict[str, Any]:
        """Return plain JSON types: keys count, mrr, mean_rank and hits (its keys as text)."""
        plain: dict[str, Any] = to_jsonable_python(self)
        return plain

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Metrics:
        """Read what :meth:`to_json` wrote."""
        hits = {int(k): share for k, share in value["hits"].items()}
        return cls(count=value["count"], mrr=value["mrr"], mean_rank=value["mean_rank"], hits=hits)


def compute_metrics(ranks: NDArray[Any]) -> Metrics:
    """Compute the metrics of ranks [Q] of any one tie rule."""
    return compute_grouped_metrics(ranks, np.zeros(len(ranks), dtype=np.int64), 1)[0]


def compute_grouped_metrics(
    ranks: NDArray[Any], groups: NDArray[np.integer[Any]], num_groups: int
) -> list[Metrics]:
    """Compute the metrics of every group of ranks at once.

    ``ranks`` [Q], ``groups`` [Q] with values in 0..num_groups-1. Returns one Metrics per group;
    a group that no rank belongs to has count 0.
    """
    ranks = np.asarray(ranks, dtype=np.float64)

    def total(weights: NDArray[Any]) -> Floats:
        sums = np.bincount(groups, weights=weights, minlength=num_groups)
        return sums.astype(np.float64, copy=False)

    counts = np.bincount(groups, minlength=num_groups)
    divisors = np.maximum(counts, 1)
    mrr = total(1.0 / ranks) / divisors
    mean_rank = total(ranks) / divisors
    hits = {k: total(ranks <= k) / divisors for k in HITS_AT}
    return [
        Metrics(
            count=int(count),
            mrr=float(mrr[g]) if count else None,
            mean_rank=float(mean_rank[g]) if count else None,
            hits={k: float(shares[g]) if count else None for k, shares in hits.items()},
        )
        for g, count in enumerate(counts)
    ]


def best_of_each_metric(epochs: Sequence[Metrics]) -> Metrics:
    """Keep the best value of each metric over epochs, each on its own.

    This is how published results of this family of methods were selected (on test, the MRR of one
    epoch beside the Hits@1 of another): an optimistic figure that no single model reaches, here
    for comparison with them only. All epochs must have ranked the same number of queries.
    """
    if not epochs:
        raise ValueError("best_of_each_metric needs the metrics of at least one epoch")
    counts = {metrics.count for metrics in epochs}
    if len(counts) > 1:
        raise ValueError(f"the epochs ranked different numbers of queries: {sorted(counts)}")

    def best(values: Sequence[float | None], choose: Any = max) -> float | None:
        return choose((value for value in values if value is not None), default=None)  # type: ignore[no-any-return]

    return Metrics(
        count=counts.pop(),
        mrr=best([metrics.mrr for metrics in epochs]),
        mean_rank=best([metrics.mean_rank for metrics in epochs], min),
        hits={k: best([metrics.hits[k] for metrics in epochs]) for k in epochs[0].hits},
    )
