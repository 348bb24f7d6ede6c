"""Settings of runs that earlier versions made, as this one names them."""

from __future__ import annotations

from typing import Any

from momok.errors import ConfigError


def translate_old(config: dict[str, Any]) -> dict[str, Any]:
    """The settings of a run of momok 0.1 as this version names them."""
    training = config.get("training", {})
    if "tensorboard" in training:
        training["track"] = "tensorboard" if training.pop("tensorboard") else ""
    model = config.get("model", {})
    if "joint" in model:
        model["heads"] = "all" if model.pop("joint") else "modalities"
    if config.get("preset") == "default" and "members" not in model:
        config["preset"] = "experts"
    elif config.get("preset") == "pool":
        config["preset"] = "default"
    features = [config.get("features", {}), *config.get("modality", {}).values()]
    if any(section.get("missing") in ("masked", "learned") for section in features):
        raise ConfigError("features.missing = masked or learned is read by momok 0.1.0 alone")
    return config
