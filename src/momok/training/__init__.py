"""Training: queries, objective, trainer, checkpoints, run folders."""

from momok.training.api import evaluate_run, resume, train
from momok.training.run_folder import RunFolder

__all__ = ["RunFolder", "evaluate_run", "resume", "train"]
