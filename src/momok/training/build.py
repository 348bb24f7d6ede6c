"""From a graph and settings to a model: which modalities, how wide, filled with what."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor

from momok.errors import ConfigError
from momok.graph import MultimodalGraph
from momok.graph.names import suggest_near_misses
from momok.model import DECODERS, FUSIONS, JOINT, ModalitySpec, MoMoK, MoMoKSpec
from momok.settings import RunConfig
from momok.training.feature_rows import find_preparation
from momok.training.losses import LOSSES, RowLoss
from momok.training.regularisers import REGULARISERS

STRUCTURE = "structure"  # the modality without features
_RESERVED = {JOINT, "answer"}  # names of heads that are no modality


def build_model(graph: MultimodalGraph, config: RunConfig, generator: torch.Generator) -> MoMoK:
    """Build the model that ``config`` describes for ``graph``.

    Raises:
        ConfigError: a modality that the graph does not have.
        FeatureError: features that cannot be brought to the width asked for.
    """
    settings = config.model
    specs: list[ModalitySpec] = []
    features: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for name in choose_modalities(graph, config):
        if name == STRUCTURE:
            width = settings.structure_width
            specs.append(ModalitySpec(name=name, width=width, table_width=width))
            continue
        chosen = config.features_of(name)
        matrix = find_preparation(name, graph.features[name], chosen).apply_present(
            graph.features[name]
        )
        table_width = matrix.shape[1]
        projected = chosen.reduce == "project" and table_width > chosen.width
        width = chosen.width if projected else table_width
        specs.append(
            ModalitySpec(
                name=name,
                width=settings.structure_width if chosen.mapped else width,
                table_width=table_width,
                trainable=chosen.trainable,
                mapped=chosen.mapped,
                missing=chosen.missing,
            )
        )
        features[name] = torch.from_numpy(matrix)
        present[name] = torch.from_numpy(graph.features[name].present.copy())
    spec = MoMoKSpec(
        num_entities=graph.num_entities,
        num_relations=graph.num_relations,
        modalities=tuple(specs),
        decoder=settings.decoder,
        fusion=settings.fusion,
        modality_heads=settings.heads != "joint",
        relation_width=settings.relation_width,
        joint_width=None if settings.heads == "modalities" else settings.joint_width,
        branches=settings.branches,
        experts=settings.experts,
        relation_temperature=settings.relation_temperature,
        gate_noise=settings.gate_noise,
        expert_dropout=settings.expert_dropout,
        fusion_dropout=settings.fusion_dropout,
        decoder_dropouts=(
            settings.input_dropout,
            settings.relation_dropout,
            settings.query_dropout,
        ),
        softmax=issubclass(LOSSES[config.training.loss], RowLoss),
        initial_scale=settings.initial_scale,
        score_offset=-math.log(graph.num_entities) if settings.score_prior else 0.0,
    )
    _check_widths(spec)
    return MoMoK(spec, features=features, present=present, generator=generator)


def check_parts(config: RunConfig) -> None:
    """Check that there is a decoder, a fusion, a loss and a regulariser of the names chosen.

    Raises:
        ConfigError: there is none; near misses are suggested.
    """
    chosen: tuple[tuple[str, str, Iterable[str]], ...] = (
        ("model.decoder", config.model.decoder, DECODERS),
        ("model.fusion", config.model.fusion, FUSIONS),
        ("training.loss", config.training.loss, LOSSES),
        ("training.regulariser", config.training.regulariser, ("none", *REGULARISERS)),
    )
    for setting, name, known in chosen:
        if name not in known:
            meant = suggest_near_misses(name, known) or f"; there are {', '.join(known)}"
            raise ConfigError(f"{setting} = {name!r}: there is none of this name{meant}")


def _check_widths(spec: MoMoKSpec) -> None:
    if not DECODERS[spec.decoder].needs_even_width:
        return
    for head, width in spec.head_widths.items():
        if width % 2:
            raise ConfigError(
                f"model.decoder = {spec.decoder}: head {head!r} has vectors of width {width}, and "
                "it reads pairs of numbers: choose even widths"
            )


def choose_modalities(graph: MultimodalGraph, config: RunConfig) -> tuple[str, ...]:
    """The modalities of the model, in order.

    Raises:
        ConfigError: one that the graph does not have, given twice, or a reserved name.
    """
    available = (STRUCTURE, *graph.features)
    chosen = config.model.modalities or available
    for name in chosen:
        if name not in available or chosen.count(name) > 1 or name in _RESERVED:
            raise ConfigError(
                f"model.modalities: {name!r} cannot be used: graph {graph.name!r} has "
                f"{', '.join(available)}, each once, and {' and '.join(sorted(_RESERVED))} are "
                "names of heads"
            )
    for name in config.modality:
        if name not in graph.features:
            raise ConfigError(
                f"modality.{name}: graph {graph.name!r} has no such features; it has "
                f"{', '.join(graph.features) or 'none'}"
            )
    return chosen
