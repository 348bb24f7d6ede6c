"""The presets: what settings begin with, before a file and single ones change them."""

from __future__ import annotations

from typing import Any


def _structure_alone(decoder: str, scale: float = 1e-3, **training: Any) -> dict[str, Any]:
    """A baseline: one head that learns from the facts alone, by softmax over sampled entities.

    Chosen on the validation facts of the four benchmarks: docs/results.md.
    """
    return {
        "model": {
            "modalities": ("structure",),
            "heads": "modalities",
            "decoder": decoder,
            "experts": 0,
            "structure_width": 256,
            "initial_scale": scale,
            "input_dropout": 0.0,
            "score_prior": False,
        },
        "training": {
            "epochs": 24,
            "optimizer": "adagrad",
            "learning_rate": 0.1,
            "learning_rate_decay": 1.0,
            "loss": "softmax",
            "regulariser": "dura",
            "regularisation": 0.05,
            "candidates": "sampled",
            "negatives": 2048,
            "disentanglement": 0.0,
            "validate_every": 4,
            **training,
        },
        "runtime": {"precision": "float32"},  # scores as large as these lose too much in bfloat16
    }


PRESETS: dict[str, dict[str, Any]] = {
    # Every modality a head of its own: free rows, and a map of the features; docs/results.md.
    "default": {
        **(pooled := _structure_alone("complex")),
        "model": {**pooled["model"], "modalities": (), "members": 2},
        "features": {"mapped": True, "reduce": "none"},
        "evaluation": {"pool": "heads+rules"},
    },
    # For graphs of some thousand entities: about a point below the default on world, in less than
    # a third of its time (docs/results.md).
    "small": {
        **pooled,
        "model": {**pooled["model"], "modalities": (), "structure_width": 128},
        "features": {"mapped": True, "reduce": "none"},
        "training": {
            **pooled["training"],
            "epochs": 12,
            "batch_size": 256,
            "candidates": "all",
        },
        "evaluation": {"pool": "heads+rules"},
    },
    # For hundreds of thousands of entities: memory grows by some 2 KB an entity and head, and
    # nothing looks at all paths of the graph, as rules do.
    "large": {
        **pooled,
        "model": {**pooled["model"], "modalities": (), "structure_width": 128},
        "features": {"mapped": True, "reduce": "pca", "width": 128},
        "training": {
            **pooled["training"],
            "epochs": 12,
            "batch_size": 1024,
            "negatives": 4096,
            "validate_every": 6,
        },
    },
    "experts": {},
    # Zhang et al. 2025, section 4.1 and appendix; widths and pooling of the released code. DB15K
    # and KVC16K have these values; ``PAPER_ON`` has what the other two benchmarks differ in. The
    # authors look at test every 100 epochs; here every validation is a checkpoint to go on from.
    "paper": {
        "features": {"reduce": "paper", "width": 256, "missing": "mean"},
        "model": {
            "structure_width": 256,
            "relation_width": 256,
            "joint_width": 256,
            "input_dropout": 0.3,
            "relation_dropout": 0.4,
            "query_dropout": 0.5,
            "score_prior": False,
        },
        "training": {
            "epochs": 2000,
            "batch_size": 1024,
            "learning_rate": 5e-4,
            "learning_rate_decay": 1.0,
            "beta2": 0.999,
            "loss": "probabilities",
            "patience": 0,
        },
    },
    "distmult": _structure_alone("distmult"),
    "complex": _structure_alone("complex"),
    "rotate": _structure_alone("rotate", 0.05, learning_rate=0.3, regulariser="none"),
    # binary cross-entropy, as its paper has it, with the sizes of the default
    "tucker": {
        "model": {"modalities": ("structure",), "heads": "modalities", "experts": 0},
        "training": {"epochs": 80, "learning_rate": 4e-3, "disentanglement": 0.0},
    },
}

# What the authors set apart for single benchmarks; relations and features stay 256 wide.
PAPER_ON: dict[str, dict[str, Any]] = {
    "MKG-W": {
        "model": {"structure_width": 200, "joint_width": 200},
        "training": {"learning_rate": 1e-3},
    },
    "MKG-Y": {"model": {"structure_width": 300, "joint_width": 300}},
}
