"""TensorBoard: event files in the run folder"""

from __future__ import annotations

from collections.abc import Mapping

from momok.extras import require_extra
from momok.training.tracking.tracker import TrackedRun


class TensorBoard:
    """Writes event files into ``RUN/tensorboard``, one more whenever the run goes on.

    Numbers are kept as float32. An epoch that was logged before a kill, after the last checkpoint,
    stays as it was logged then.
    """

    def __init__(self, run: TrackedRun) -> None:
        from torch.utils.tensorboard import SummaryWriter

        self._writer = SummaryWriter(str(run.path / "tensorboard"))
        self.where = f"tensorboard --logdir {run.path / 'tensorboard'}"

    @staticmethod
    def require() -> None:
        require_extra({"tensorboard": "tensorboard"}, "tensorboard", "training.track = tensorboard")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        for name, value in metrics.items():
            self._writer.add_scalar(name, value, step)
        self._writer.flush()

    log_results = log

    def finish(self, state: str) -> None:  # noqa: ARG002 - files have no state
        self._writer.close()
