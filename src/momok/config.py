"""Every setting of a run, typed, with what it does; from a preset, a file and overrides.

Resolution order: the preset, then the file (TOML), then ``--set section.key=value`` overrides.
An unknown key is an error that names the nearest one.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, TypeGuard

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from momok.errors import ConfigError

__all__ = [
    "PRESETS",
    "DataSettings",
    "EvaluationSettings",
    "FeatureSettings",
    "ModelSettings",
    "RunConfig",
    "RuntimeSettings",
    "TrainingSettings",
    "list_settings",
    "resolve_config",
    "validate_config",
]


class _Section(BaseModel):
    model_config = ConfigDict(
        frozen=True, extra="forbid", use_attribute_docstrings=True, allow_inf_nan=False
    )


class DataSettings(_Section):
    """Which facts are used."""

    split: Literal["clean", "published"] = "clean"
    """``clean`` mends a broken validation split and takes test facts out of train; ``published``
    leaves the files as they are."""


class FeatureSettings(_Section):
    """How the features of a modality enter the model. ``[features]`` holds for all modalities,
    ``[modality.NAME]`` overrides it for one."""

    normalise: bool = True
    """Bring every vector to length one first."""
    reduce: Literal["none", "pca", "pool", "project"] = "pca"
    """How vectors wider than ``width`` are narrowed: ``pca`` (principal components of the
    present rows), ``pool`` (average pooling, as in the paper), ``project`` (a learned linear
    map), or ``none`` (kept at their own width)."""
    width: int = Field(default=128, ge=1)
    """The width to reduce to; narrower vectors are kept as they are."""
    pool_grid: tuple[int, int] | None = None
    """With ``pool``: see the vector as rows x columns; by default as one row."""
    pool_target: tuple[int, int] | None = None
    """With ``pool``: the grid to pool to; its cells replace ``width``."""
    missing: Literal["mean", "zero", "learned", "random", "masked"] = "random"
    """What stands for an entity without features: the ``mean`` vector, ``zero``, one ``learned``
    vector, a ``random`` vector each, or nothing: ``masked`` leaves the modality out of the joint
    vector and lets its head abstain. docs/results.md compares them."""
    trainable: bool = True
    """Whether the vectors are trained (the paper) or kept as given."""


class ModelSettings(_Section):
    """Sizes and parts of the model; every part can be switched off for an ablation."""

    modalities: tuple[str, ...] = ()
    """Which modalities are used, in order (``structure,text``); none given: structure and all
    that the graph has."""
    structure_width: int = Field(default=128, ge=1)
    """Width of the structure vectors."""
    relation_width: int = Field(default=128, ge=1)
    """Width of the relation vectors."""
    joint: bool = True
    """Whether there is a joint head over the fused modalities (MuJoD)."""
    joint_width: int = Field(default=128, ge=1)
    """Width of the fused vectors."""
    branches: int = Field(default=2, ge=1)
    """Branches of the fusion."""
    experts: int = Field(default=3, ge=1)
    """Experts per modality (ReMoKE)."""
    relation_temperature: bool = True
    """Whether a query's relation sharpens or flattens the gate over experts."""
    gate_noise: bool = True
    """Whether gates are noisy in training."""
    expert_dropout: float = Field(default=0.0, ge=0.0, lt=1.0)
    """Dropout on the input of the experts."""
    fusion_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout on the input of the fusion."""
    input_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout on the query entity in the decoder."""
    relation_dropout: float = Field(default=0.2, ge=0.0, lt=1.0)
    """Dropout on the relation matrix in the decoder."""
    query_dropout: float = Field(default=0.3, ge=0.0, lt=1.0)
    """Dropout on the query vector."""
    score_prior: bool = True
    """Whether scores start at ``-ln N``, the log-odds of one entity among all N: a fixed number
    that every score has on top. Without it (the paper) they start at 0, and the first thousand
    steps go into pushing all of them down there."""

    @field_validator("modalities", mode="before")
    @classmethod
    def _split_names(cls, value: Any) -> Any:
        """Also take ``structure,text``, which needs no quotes on a command line."""
        if not isinstance(value, str):
            return value
        return tuple(filter(None, (name.strip() for name in value.split(","))))


class TrainingSettings(_Section):
    """How the model is trained."""

    epochs: int = Field(default=60, ge=1)
    """At most this many passes over all queries."""
    batch_size: int = Field(default=512, ge=2)
    """Queries in a batch; every query carries all of its training answers (1-N)."""
    learning_rate: float = Field(default=8e-3, gt=0)
    """Of Adam, for the model and the CLUB networks."""
    learning_rate_decay: float = Field(default=0.98, gt=0.0, le=1.0)
    """What the learning rate is multiplied by after every epoch."""
    beta2: float = Field(default=0.9, ge=0.0, lt=1.0)
    """Adam's memory of squared gradients. Without ``model.score_prior`` all scores fall from 0
    to about ``-log N`` in the first steps, with gradients a thousand times those that follow;
    0.999 (the paper) remembers them for thousands of steps and learns little meanwhile."""
    label_smoothing: float = Field(default=0.1, ge=0.0, lt=1.0)
    """Positives count ``1 - label_smoothing``, and every pair ``1/N``."""
    loss: Literal["logits", "probabilities"] = "logits"
    """``logits`` is the exact cross-entropy; ``probabilities`` is the published code's, which
    saturates where float32 probabilities do (beyond a score of 16.6)."""
    disentanglement: float = Field(default=1e-4, ge=0.0)
    """Weight of the mutual-information estimate between experts (ExID); 0 switches it off."""
    validate_every: int = Field(default=5, ge=1)
    """Epochs between validations; each also saves a checkpoint."""
    patience: int = Field(default=10, ge=0)
    """Stop after this many validations without a better MRR; 0 never stops early."""
    candidates: Literal["all", "sampled"] = "all"
    """Score a batch against ``all`` entities (the paper), or against the batch's answers and a
    sample of the others, with the expectation of all: for graphs of hundreds of thousands of
    entities. Tables are then updated only where a step used them."""
    negatives: int = Field(default=8192, ge=1)
    """How many other entities are drawn for a batch when ``candidates`` is ``sampled``."""
    memory_mb: int = Field(default=512, ge=16)
    """Memory for the scores and vectors of the candidates that are scored at a time, in MiB;
    does not change results beyond rounding."""
    candidate_block: int = Field(default=0, ge=0)
    """Candidates scored at a time; 0 takes as many as ``memory_mb`` holds, on a CPU at most 2048,
    beyond which its cache is too small."""
    tensorboard: bool = False
    """Also write TensorBoard event files into the run folder."""


class EvaluationSettings(_Section):
    """How the model is judged."""

    protocol: Literal["clean", "published"] = "clean"
    """``clean``: one checkpoint, chosen on validation, tested once. ``published``: the habit of
    the published code, for comparison only: chosen on test, best of each metric kept apart."""
    memory_mb: int = Field(default=256, ge=16)
    """Memory for score buffers while ranking, in MiB."""


class RuntimeSettings(_Section):
    """On what the run computes."""

    device: Literal["auto", "cpu", "cuda"] = "auto"
    """``auto`` takes a GPU when there is one."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of matrix products in training; losses, weights and ranks are float32 always. ``auto``
    takes bfloat16 where the hardware has it."""
    threads: int = Field(default=0, ge=0, le=1024)
    """CPU threads; 0 takes what ``OMP_NUM_THREADS`` says, else one per core that the process may
    use. For runs side by side give each its share: threads that wait for each other spin."""
    compile: Literal["auto", "on", "off"] = "auto"
    """Training's inner loops by PyTorch's compiler (a C++ compiler on a CPU, Triton on a GPU).
    ``auto``: where there is one and the run is long enough to win back the minute it takes."""


class RunConfig(_Section):
    """All settings of a run."""

    preset: Literal["default", "paper"] = "default"
    """Where unset settings come from: ``paper`` is the method as published."""
    seed: int = Field(default=0, ge=0, lt=2**63)
    """Fixes everything random."""
    data: DataSettings = DataSettings()
    features: FeatureSettings = FeatureSettings()
    modality: dict[str, FeatureSettings] = {}
    model: ModelSettings = ModelSettings()
    training: TrainingSettings = TrainingSettings()
    evaluation: EvaluationSettings = EvaluationSettings()
    runtime: RuntimeSettings = RuntimeSettings()

    def features_of(self, modality: str) -> FeatureSettings:
        """The feature settings of one modality."""
        return self.modality.get(modality, self.features)


PRESETS: dict[str, dict[str, Any]] = {
    "default": {},
    # Zhang et al. 2025, section 4.1 and appendix; widths and pooling of the released code.
    # DB15K and KVC16K have these values; MKG-W takes learning_rate 1e-3 and widths 200, MKG-Y
    # widths 300.
    "paper": {
        "features": {"reduce": "pool", "width": 256, "missing": "mean"},
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
}


def resolve_config(
    preset: str | None = None,
    *,
    file: str | Path | None = None,
    overrides: Sequence[str] | Mapping[str, Any] = (),
) -> RunConfig:
    """Put a configuration together: preset, then file, then overrides.

    Args:
        preset: ``default`` or ``paper``; overrides the one that the file names.
        file: a TOML file with the sections of ``RunConfig``.
        overrides: ``["training.epochs=10", ...]`` or ``{"training.epochs": 10, ...}``.

    Raises:
        ConfigError: an unknown setting (the nearest is named) or a value that does not fit.
    """
    given = _read_file(Path(file)) if file is not None else {}
    changes = _parse_overrides(overrides)
    for source in (given, changes):
        _check_keys(source, RunConfig, ())
    chosen = preset or changes.get("preset") or given.get("preset") or "default"
    if not isinstance(chosen, str) or chosen not in PRESETS:
        raise ConfigError(f"preset {chosen!r} does not exist: choose {' or '.join(PRESETS)}")
    values = _merge(_merge(PRESETS[chosen], given), changes)
    values["preset"] = chosen
    values["modality"] = {
        name: _merge(values.get("features", {}), own)
        for name, own in values.get("modality", {}).items()
    }
    return validate_config(values)


def validate_config(values: Mapping[str, Any]) -> RunConfig:
    """Build a configuration from plain values.

    Raises:
        ConfigError: in one line, every value that does not fit and why.
    """
    _check_keys(values, RunConfig, ())
    try:
        return RunConfig.model_validate(values)
    except ValidationError as error:
        problems = [
            f"{'.'.join(map(str, problem['loc']))} = {problem['input']!r}: {problem['msg']}"
            for problem in error.errors()
        ]
        raise ConfigError("; ".join(problems)) from error


def list_settings(
    section: type[BaseModel] = RunConfig, prefix: str = ""
) -> list[tuple[str, Any, str]]:
    """Every setting as (dotted name, default, what it does), sections first to last."""
    rows: list[tuple[str, Any, str]] = []
    for name, field in section.model_fields.items():
        if name == "modality":
            continue
        inner = field.annotation
        if _is_section(inner):
            rows += list_settings(inner, f"{prefix}{name}.")
        else:
            rows.append((prefix + name, field.default, " ".join((field.description or "").split())))
    return rows


def _read_file(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            return tomllib.load(file)
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read: {error.strerror or error}") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not valid TOML: {error}") from error


def _parse_overrides(overrides: Sequence[str] | Mapping[str, Any]) -> dict[str, Any]:
    """``section.key=value`` pairs as nested values; a value is read as TOML, else as text."""
    if isinstance(overrides, Mapping):
        pairs: list[tuple[str, Any]] = list(overrides.items())
    else:
        pairs = []
        for text in overrides:
            key, equals, value = text.partition("=")
            if not equals or not key.strip():
                raise ConfigError(f"--set {text!r}: expected section.key=value")
            pairs.append((key.strip(), _parse_value(value.strip())))
    nested: dict[str, Any] = {}
    for key, value in pairs:
        *sections, last = key.split(".")
        place = nested
        for section in sections:
            place = place.setdefault(section, {})
            if not isinstance(place, dict):
                raise ConfigError(f"--set {key}: {section!r} is a setting, not a section")
        place[last] = value
    return nested


def _parse_value(text: str) -> Any:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def _merge(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(base)
    for key, value in changes.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _check_keys(values: Mapping[str, Any], section: type[BaseModel], path: tuple[str, ...]) -> None:
    """Refuse an unknown key, naming the nearest setting anywhere."""
    for key, value in values.items():
        here = (*path, key)
        if key not in section.model_fields:
            raise ConfigError(_unknown(".".join(here)))
        inner = section.model_fields[key].annotation
        if section is RunConfig and key == "modality":
            for name, own in _check_section(value, here).items():
                if not isinstance(own, BaseModel):
                    _check_keys(_check_section(own, (*here, name)), FeatureSettings, (*here, name))
        elif _is_section(inner) and not isinstance(value, BaseModel):
            _check_keys(_check_section(value, here), inner, here)


def _is_section(kind: Any) -> TypeGuard[type[BaseModel]]:
    return isinstance(kind, type) and issubclass(kind, BaseModel)


def _check_section(value: Any, path: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{'.'.join(path)} is a section: set one of its settings")
    return value


def _unknown(key: str) -> str:
    from rapidfuzz import process

    names = [name for name, _, _ in list_settings()]
    if key.startswith("modality."):
        modality = key.split(".")[1]
        names = [f"modality.{modality}.{name}" for name in FeatureSettings.model_fields]
    best = process.extractOne(key, names, score_cutoff=50)
    hint = f"; did you mean {best[0]}?" if best else ""
    return f"unknown setting {key!r}{hint} (momok config lists all settings)"
