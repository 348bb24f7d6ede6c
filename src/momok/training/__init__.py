"""Training: queries, objective, trainer, checkpoints, run folders."""

from momok.training.api import resume, train
from momok.training.losses import LOSSES, REGULARISERS, SAMPLED_LOSSES, CellLoss, RowLoss
from momok.training.run_evaluation import evaluate_run
from momok.training.run_folder import RunFolder
from momok.training.warm_start import settings_from

__all__ = [
    "LOSSES",
    "REGULARISERS",
    "SAMPLED_LOSSES",
    "CellLoss",
    "RowLoss",
    "RunFolder",
    "evaluate_run",
    "resume",
    "settings_from",
    "train",
]
