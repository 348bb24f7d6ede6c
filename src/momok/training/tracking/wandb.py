"""Weights & Biases: a run on its server, or offline in the run folder"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, cast

from momok.extras import require_extra
from momok.training.tracking.tracker import TrackedRun

_SECONDS = 30.0  # that the server may take to begin or to end a run: by itself wandb waits forever


class WeightsAndBiases:
    """Logs to wandb, as its environment says: ``WANDB_MODE``, ``WANDB_PROJECT`` [momok], ...

    Offline where nobody has logged in and no mode is given. Its files go to the run folder, or to
    ``WANDB_DIR``. The results of the chosen model are in the run's summary. A run that goes on has
    the same id; offline it leaves one more folder, of that id. wandb takes no step twice: an epoch
    that was logged before a kill, after the last checkpoint, stays as it was logged then.
    """

    def __init__(self, run: TrackedRun) -> None:
        import wandb

        mode = os.environ.get("WANDB_MODE")  # wandb itself may have read it long ago
        if mode is None and not wandb.login(prompt=False):
            mode = "offline"  # else it would ask at the terminal, and wait
        self._run = wandb.init(
            project=os.environ.get("WANDB_PROJECT", "momok"),
            dir=os.environ.get("WANDB_DIR", str(run.path)),
            id=run.id,
            name=run.path.name,
            group=run.group or None,
            config=dict(run.settings),
            resume="allow",
            reinit="create_new",  # another run of this process, the user's perhaps, stays open
            mode=cast("Any", mode),
            settings=wandb.Settings(
                console="off",  # the terminal is momok's
                silent=True,
                init_timeout=float(os.environ.get("WANDB_INIT_TIMEOUT", _SECONDS)),
                finish_timeout=float(os.environ.get("WANDB_FINISH_TIMEOUT", _SECONDS)),
                finish_timeout_raises=True,
            ),
        )
        offline = f"offline; wandb sync {self._run.dir.removesuffix('/files')}"
        self.where = offline if self._run.offline else str(self._run.url)

    @staticmethod
    def require() -> None:
        require_extra({"wandb": "wandb"}, "wandb", "training.track = wandb")

    def log(self, metrics: Mapping[str, float], step: int) -> None:
        self._run.log(dict(metrics), step=step, commit=True)

    def log_results(self, results: Mapping[str, float], step: int) -> None:  # noqa: ARG002
        self._run.summary.update(dict(results))

    def finish(self, state: str) -> None:
        self._run.finish(exit_code=0 if state == "finished" else 1)
