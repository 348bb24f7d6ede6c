"""Experiment trackers: what a run writes into its log, shown by TensorBoard or Weights & Biases"""

from momok.training.tracking.tracker import TrackedRun, Tracker
from momok.training.tracking.trackers import (
    TRACKERS,
    Tracking,
    flatten_metrics,
    needs_result,
    open_tracking,
    require_trackers,
)

__all__ = [
    "TRACKERS",
    "TrackedRun",
    "Tracker",
    "Tracking",
    "flatten_metrics",
    "needs_result",
    "open_tracking",
    "require_trackers",
]
