"""What a predictor loads, checks and computes before its first question.

Shapes: N entities, M modalities, K experts, d width of a head.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from momok.errors import ConfigError, RunError
from momok.evaluation import ANSWER
from momok.graph import MultimodalGraph
from momok.model import MoMoK
from momok.prediction.calibration.record import FACT, PLAUSIBLE_FACT, Calibration, load_calibration
from momok.prediction.explanation import average_branches
from momok.training import RunFolder

__all__ = ["check_sizes", "choose_device", "encode_candidates", "load_current_calibration"]


def choose_device(device: str) -> torch.device:
    """The device that ``auto``, ``cpu`` or ``cuda`` means here.

    Raises:
        ConfigError: a GPU was asked for and there is none.
    """
    available = torch.cuda.is_available()
    if device == "cuda" and not available:
        raise ConfigError("device = 'cuda': PyTorch sees no GPU here; use 'auto' or 'cpu'")
    return torch.device("cuda" if available and device != "cpu" else "cpu")


def load_current_calibration(
    run: RunFolder, state: Mapping[str, Any], heads: Sequence[str]
) -> Calibration | None:
    """The calibration of the checkpoint in use: one made before training went on is not for it.

    Args:
        state: that of the checkpoint.
        heads: names of its decision heads.

    Raises:
        RunError: the calibration is damaged, or of other heads.
    """
    calibration = load_calibration(run)
    if calibration is None or calibration.selected != state.get("selected", {}):
        return None
    calibration.check_outputs([*heads, ANSWER, FACT, PLAUSIBLE_FACT], run)
    return calibration


def check_sizes(run: RunFolder, graph: MultimodalGraph, model: MoMoK) -> None:
    """Check that the graph in a run folder is that of its model.

    Raises:
        RunError: it is not.
    """
    has = graph.num_entities, graph.num_relations
    needs = model.num_entities, model.num_relations
    if has != needs:
        raise RunError(
            f"{run.path}: its graph has {has[0]} entities and {has[1]} relations, its model was "
            f"trained for {needs[0]} and {needs[1]}; the folder is mixed up or was changed"
        )


@torch.no_grad()
def encode_candidates(
    model: MoMoK,
) -> tuple[dict[str, Tensor], dict[str, Tensor], Tensor | None]:
    """All entities: vectors per head [N, d], gates per modality [N, K], attention [N, M]."""
    encoded = model.candidates()
    vectors = {head: x.float() for head, x in encoded.vectors.items()}
    gates = {name: x.float() for name, x in encoded.gates.items()}
    return vectors, gates, average_branches(encoded.fusion_weights)
