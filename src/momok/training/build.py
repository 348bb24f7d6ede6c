"""From a graph and settings to a model: which modalities, how wide, filled with what.

What prepares the features of a graph for their tables, prepares those of an entity that came later.

Shapes: N entities, n vectors, d numbers in a feature vector, f width of the table.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from momok.errors import ConfigError, FeatureError
from momok.evaluation.pool import RULES
from momok.evaluation.scoring import ANSWER
from momok.graph import Features, MultimodalGraph, l2_normalise, pool
from momok.graph.names import suggest_near_misses
from momok.graph.reductions import Components, find_components, find_paper_grids
from momok.model import DECODERS, FUSIONS, JOINT, ModalitySpec, MoMoK, MoMoKSpec
from momok.settings import FeatureSettings, RunConfig
from momok.shard import Shard
from momok.training.losses import LOSSES, REGULARISERS, RowLoss

STRUCTURE = "structure"  # the modality without features
_RESERVED = {JOINT, ANSWER, RULES}  # names of parts that are no modality

FloatMatrix = NDArray[np.float32]


def build_model(
    graph: MultimodalGraph,
    config: RunConfig,
    generator: torch.Generator,
    shard: Shard | None = None,
) -> MoMoK:
    """Build the model that ``config`` describes for ``graph``, or a rank's part of it.

    Raises:
        ConfigError: a modality that the graph does not have.
        FeatureError: features that cannot be brought to the width asked for.
    """
    settings, shard = config.model, shard or Shard(graph.num_entities)
    specs: list[ModalitySpec] = []
    features: dict[str, Tensor] = {}
    present: dict[str, Tensor] = {}
    for name in choose_modalities(graph, config):
        if name == STRUCTURE:
            width = settings.structure_width
            specs.append(ModalitySpec(name=name, width=width, table_width=width))
            continue
        own = graph.features[name]
        matrix = find_preparation(name, own, config.features_of(name)).apply_present(own, shard)
        specs.append(_describe_modality(name, config, matrix.shape[1]))
        features[name] = torch.from_numpy(matrix)
        present[name] = torch.from_numpy(own.present.copy())
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
        members=settings.members,
        softmax=issubclass(LOSSES[config.training.loss], RowLoss),
        initial_scale=settings.initial_scale,
        score_offset=-math.log(graph.num_entities) if settings.score_prior else 0.0,
    )
    _check_members(spec)
    _check_widths(spec)
    return MoMoK(spec, features=features, present=present, generator=generator, shard=shard)


def _describe_modality(name: str, config: RunConfig, table_width: int) -> ModalitySpec:
    """The sizes of a modality whose features, made ready, are as wide as ``table_width``."""
    chosen = config.features_of(name)
    projected = chosen.reduce == "project" and table_width > chosen.width
    width = chosen.width if projected else table_width
    return ModalitySpec(
        name=name,
        width=config.model.structure_width if chosen.mapped else width,
        table_width=table_width,
        trainable=chosen.trainable,
        mapped=chosen.mapped,
        missing=chosen.missing,
    )


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
    if config.evaluation.pool != "equal" and not issubclass(LOSSES[config.training.loss], RowLoss):
        raise ConfigError(
            f"evaluation.pool = {config.evaluation.pool}: heads are weighed by the probabilities "
            "that a softmax gives; choose training.loss = softmax, or evaluation.pool = equal"
        )


def _check_members(spec: MoMoKSpec) -> None:
    apart = spec.joint_width is None and not spec.experts and DECODERS[spec.decoder].multiplies
    mapped = all(modality.mapped for modality in spec.modalities if modality.name != STRUCTURE)
    if spec.members > 1 and not (apart and mapped and spec.softmax):
        raise ConfigError(
            f"model.members = {spec.members}: members need heads that share nothing (model.heads = "
            "modalities, model.experts = 0), features.mapped = true, training.loss = softmax, and "
            "model.decoder = complex or distmult, as the preset default has them"
        )


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
                f"{', '.join(available)}, each once, and {', '.join(sorted(_RESERVED))} are "
                "names of other parts"
            )
    for name in config.modality:
        if name not in graph.features:
            raise ConfigError(
                f"modality.{name}: graph {graph.name!r} has no such features; it has "
                f"{', '.join(graph.features) or 'none'}"
            )
    return chosen


def find_reduced(graph: MultimodalGraph, config: RunConfig) -> set[str]:
    """The modalities whose features are reduced by components that the graph's own have."""
    found = set()
    for name in choose_modalities(graph, config):
        if name != STRUCTURE:
            chosen, width = config.features_of(name), graph.features[name].matrix.shape[1]
            if chosen.reduce == "pca" and width > chosen.width:
                found.add(name)
    return found


# -- rows of the tables -------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True, eq=False)
class Preparation:
    """What becomes of a feature vector before it enters a table.

    Attributes:
        normalise: whether it is brought to length 1 first.
        grid, target: with pooling, the grid that it is seen as and the one it is pooled to.
        components: with PCA, what it is projected onto.
    """

    normalise: bool
    grid: tuple[int, int] | None = None
    target: tuple[int, int] | None = None
    components: Components | None = None

    def apply(self, vectors: FloatMatrix) -> FloatMatrix:
        """Prepare vectors ``[n, d]``: ``[n, f]``."""
        rows = l2_normalise(vectors) if self.normalise else vectors
        if self.grid is not None and self.target is not None:
            return pool(rows, self.grid, self.target)
        if self.components is not None:
            return self.components.reduce(rows)
        return np.ascontiguousarray(rows, dtype=np.float32)

    def apply_present(self, features: Features, shard: Shard) -> FloatMatrix:
        """Prepare the features of a rank's entities: ``[n, f]``, zeros where there are none."""
        present = features.present[shard.first : shard.stop]
        rows = self.apply(features.matrix[shard.first : shard.stop][present])
        prepared = np.zeros((len(shard), rows.shape[1]), dtype=np.float32)
        prepared[present] = rows
        return prepared


def find_preparation(name: str, features: Features, settings: FeatureSettings) -> Preparation:
    """Find how the features of a modality are prepared; the same for the same features.

    Raises:
        FeatureError: no entity has features, or they cannot be brought to the width asked for.
    """
    if not features.present.any():
        raise FeatureError(f"modality {name!r}: no entity has features; leave it out")
    rows = features.matrix[features.present]
    width = rows.shape[1]
    reduced = width > settings.width
    grids = None
    own = settings.pool_grid or settings.pool_target
    if settings.reduce == "paper" and not own:
        grids = find_paper_grids(width, settings.width)
    elif settings.reduce in ("pool", "paper") and (settings.pool_target or reduced):
        grids = settings.pool_grid or (1, width), settings.pool_target or (1, settings.width)
    grid, target = grids or (None, None)
    found = Preparation(normalise=settings.normalise, grid=grid, target=target)
    try:
        if settings.reduce == "pca" and reduced:
            components = find_components(found.apply(rows), settings.width)
            return replace(found, components=components)
        found.apply(rows[:0])  # does the grid fit?
    except FeatureError as error:
        raise FeatureError(f"modality {name!r}: {error}") from error
    return found
