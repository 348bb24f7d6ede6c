"""A graph made of what a Python session has: frames, arrays and lists of facts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, Literal

import numpy as np

from momok.errors import DataError, FeatureError
from momok.graph.build import BuildOptions, build_in_memory
from momok.graph.features import FeatureManifest, Features, check_modality_name
from momok.graph.graph import MultimodalGraph, SplitName
from momok.graph.names import Vocabulary
from momok.graph.sources.frames import add_entity_frame, read_fact_frame
from momok.graph.sources.raw import RawGraph, TableOptions, merge_sources


def graph_from_frames(
    facts: Any,
    entities: Any = None,
    *,
    name: str = "frames",
    split: Sequence[float] | Mapping[str, Any] | None = None,
    features: Mapping[str, Any] | None = None,
    seed: int = 0,
    weight: str | Literal[False] | None = None,
    keep_columns: Sequence[str] = (),
) -> MultimodalGraph:
    """Make a graph in memory of frames; ``momok.train`` takes it.

    Args:
        facts: a frame of pandas, polars or Arrow; an array of labels ``[F, 3]``; or a list of
            (head, relation, tail). Columns of a frame are found by name, as ``momok data build``
            finds them (head, relation, tail; subject, predicate, object; source, target; ...), else
            the first three are taken. Another may be a weight, and times and sources are kept
            (``MultimodalGraph.fact_columns``).
        entities: a frame with a column of the labels in the facts; those of names, descriptions,
            types and paths of pictures are found by name, other texts become attributes.
        name: of the graph.
        split: the shares of train, valid and test, by default (80, 10, 10); or the facts of
            ``valid``, ``test`` or both, of the same kinds as ``facts``, which then are train.
            Facts are split as ``momok data build`` does; what is given and shares facts is mended
            as ``load_graph`` does.
        features: per modality vectors ``[n, d]`` in the order of the rows of ``entities``, or
            (labels, vectors). Entities without a row have none.
        seed: of the split.
        weight: the column of ``facts`` that says how much each counts in training, finite numbers
            above 0; by default one called weight, confidence or score; False for none.
        keep_columns: further columns of ``facts`` that are kept.

    Raises:
        DataError: a label is missing or neither text nor whole number, an entity has two rows,
            columns cannot be told, or there are too few facts to split.
        FeatureError: vectors do not fit their labels, or hold NaN or infinity.
    """
    given = split if isinstance(split, Mapping) else {}
    options = TableOptions(weight=weight, kept=tuple(keep_columns))
    raw = read_fact_frame(facts, "facts", options)
    if given:
        parts: list[tuple[SplitName | None, RawGraph]] = [("train", raw)]
        for part in _check_split_names(given):
            held_out = replace(options, held_out=True)
            parts.append((part, read_fact_frame(given[part], part, held_out)))
        raw = merge_sources(parts)
    labels: list[str] | None = None
    if entities is not None:
        raw, labels = add_entity_frame(raw, entities)
    shares = (80.0, 10.0, 10.0) if split is None or given else _check_shares(split)
    graph = build_in_memory(raw, BuildOptions(ratio=shares, seed=seed, name=name))
    if features is not None and not isinstance(features, Mapping):
        raise FeatureError(f"features: {features!r:.80}: expected vectors for each modality")
    vectors = {
        modality: _build_features(modality, value, labels, graph.entities)
        for modality, value in (features or {}).items()
    }
    return replace(graph, features=vectors)


def _check_split_names(given: Mapping[str, Any]) -> list[SplitName]:
    odd = sorted(set(given) - {"valid", "test"})
    if odd:
        raise DataError(f"split: {odd[0]!r}; expected 'valid' and 'test'; train is the facts")
    names: tuple[SplitName, ...] = ("valid", "test")
    return [name for name in names if name in given]


def _check_shares(split: Any) -> tuple[float, float, float]:
    try:
        train, valid, test = map(float, split)
    except (TypeError, ValueError):
        raise DataError(
            f"split: {str(split)[:120]!r}; expected three shares, as (80, 10, 10), or the facts: "
            f'{{"valid": frame, "test": frame}}'
        ) from None
    return train, valid, test


def _build_features(
    modality: str, given: Any, labels: list[str] | None, entities: Vocabulary
) -> Features:
    """Give each entity its vector ``[d]``."""
    # The package reads files of PyTorch too, and importing PyTorch takes seconds.
    from momok.graph.feature_import.matching import assign_rows
    from momok.graph.feature_import.vectors import RowVectors, to_floats

    check_modality_name(modality)
    where, own = f"features {modality!r}", labels
    try:
        if isinstance(given, tuple):
            names, given = given
            own = [str(label).strip() for label in names]
        rows = to_floats(np.asarray(given))
    except (FeatureError, TypeError, ValueError) as error:
        raise FeatureError(f"{where}: expected vectors or (labels, vectors): {error}") from None
    if own is None:
        raise FeatureError(
            f"{where}: whose the rows are is not said; give (labels, vectors), or entities in the "
            f"order of the rows"
        )
    if rows.ndim != 2 or len(rows) != len(own) or not rows.shape[1]:
        raise FeatureError(f"{where}: shape {list(rows.shape)}; expected [{len(own)}, d]")
    if not any(label in entities for label in own):
        raise FeatureError(
            f"{where}: none of its {len(own):,} labels (the first is {own[0]!r}) is an entity of "
            f"the graph, such as {entities.labels[0]!r}"
        )
    try:
        found = assign_rows(RowVectors(rows), own, entities)
    except FeatureError as error:
        raise FeatureError(f"{where}: {error}") from None
    bad = np.flatnonzero(~np.isfinite(rows).all(axis=1))
    if len(bad):
        raise FeatureError(
            f"{where}: the vector of {own[bad[0]]!r} (row {bad[0] + 1}) holds NaN or infinity "
            f"({len(bad):,} such rows); leave out entities that have none"
        )
    manifest = FeatureManifest(modality=modality, width=rows.shape[1], encoder="given in memory")
    return Features(found.matrix, found.present, manifest, found.unmatched)
