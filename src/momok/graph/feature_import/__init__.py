"""Vectors that exist already, from the files they come in, as a modality of a graph.

``files`` opens a file, ``vectors`` says what may be in it, ``pickles`` reads pickles without
running them, ``matching`` finds whose vector is whose.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np

from momok.errors import FeatureError
from momok.graph.feature_import.files import open_vectors
from momok.graph.feature_import.matching import (
    Assignment,
    PublishedFile,
    assign_keys,
    assign_rows,
    build_resolver,
    read_labels,
    read_links,
    recognise,
)
from momok.graph.feature_import.vectors import Key, KeyedVectors, RowVectors, Vectors
from momok.graph.features import FeatureManifest, Features, check_modality_name
from momok.graph.names import Vocabulary

__all__ = ["FeatureImport", "Order", "read_features"]

Order: TypeAlias = Literal["entity2id", "labels", "keyed"]
"""How rows name their entity: in the graph's order of entities, by a list, or by keys."""


@dataclass(frozen=True)
class FeatureImport:
    """What was read.

    Attributes:
        features: the vectors and their manifest; ``unmatched`` are keys that name no entity.
        assumed: what could not be known from the file, in words.
        zero_rows: how many vectors are all zeros, and count as vectors.
        averaged: how many vectors are the mean of several.
    """

    features: Features
    assumed: tuple[str, ...]
    zero_rows: int
    averaged: int


def read_features(
    path: Path,
    entities: Vocabulary,
    *,
    modality: str | None = None,
    order: Literal["entity2id"] | None = None,
    labels: Path | None = None,
    links: Path | None = None,
    zeros_absent: bool = False,
    made_by: str = "",
    graph_name: str = "",
) -> FeatureImport:
    """Read the vectors of a graph's entities from a file.

    Args:
        path: ``.npy .npz .pt .pth .bin .pkl .safetensors .h5 .csv .tsv .parquet``.
        modality: its name, for files that are not known by theirs.
        order: rows are in the order of the graph's entities; needed where nothing names them.
        labels: a file with the label of each row, or an entity2id.txt.
        links: which key means which label, where keys are of another source.
        zeros_absent: vectors of zeros alone stand for entities without one.
        graph_name: compared with the one in a published file's name.

    Raises:
        FeatureError: the file is corrupt, hostile or does not fit; or what must be said was not.
    """
    published, named_graph = recognise(path.name) or (None, "")
    modality = _settle_modality(path, modality, published)
    if order is None:
        _check_graph(path, named_graph, graph_name)
    with open_vectors(path) as vectors:  # which puts the path before a message
        settled = _settle_order(vectors, order, labels, is_known=published is not None)
        prefix = published.key_prefix if published else ""
        found = _assign(vectors, settled, entities, labels=labels, links=links, prefix=prefix)
        _check_values(found, entities)
        has_numbers = found.matrix.any(axis=1)
        present = found.present & has_numbers if zeros_absent else found.present
        if not present.any():
            raise FeatureError("all of its vectors are zeros")
    imported, lost = int(present.sum()), len(found.unmatched)
    assumed = [*_list_assumptions(published, vectors, settled, entities)]
    with path.open("rb") as file:
        sha256 = hashlib.file_digest(file, "sha256").hexdigest()
    manifest = FeatureManifest(
        modality=modality,
        width=found.matrix.shape[1],
        encoder=made_by or (f"published by {published.origin}" if published else "imported"),
        settings={"file": path.name, "sha256": sha256, "order": settled, "assumed": assumed},
        created=date.today().isoformat(),
        counts={"entities": len(entities), "imported": imported, "unmatched": lost},
    )
    return FeatureImport(
        Features(found.matrix, present, manifest, found.unmatched),
        tuple(assumed),
        int((present & ~has_numbers).sum()),
        found.averaged,
    )


def _settle_modality(path: Path, given: str | None, published: PublishedFile | None) -> str:
    modality = given or (published.modality if published else None)
    if modality is None:
        raise FeatureError(f"{path}: what are these vectors of? Give --modality, as in image")
    check_modality_name(modality)
    return modality


def _list_assumptions(
    published: PublishedFile | None, vectors: Vectors, order: Order, entities: Vocabulary
) -> Iterator[str]:
    if published:
        yield f"a file of {published.origin}: {published.about}"
    yield from vectors.notes
    if order == "entity2id":
        first, last = entities.labels[0], entities.labels[-1]
        yield f"row 1 is {first!r}, row {len(entities):,} is {last!r}"


def _check_graph(path: Path, named: str, graph_name: str) -> None:
    """Refuse a file whose name says that it belongs to another graph: sizes alone may agree."""
    plain, own = (name.replace("_", "-").casefold() for name in (named, graph_name))
    if plain in ("", "mmkb") or not own or plain in own or own in plain:
        return
    raise FeatureError(
        f"{path}: is named after {named}, and this graph is {graph_name}; if its rows belong to "
        f"this graph all the same, say how with --order"
    )


def _settle_order(
    vectors: Vectors, order: str | None, labels: Path | None, *, is_known: bool
) -> Order:
    """Find how rows name their entity, or say what must be given."""
    if order is not None and labels is not None:
        raise FeatureError("rows are in the order of --order or of --labels; give one of them")
    if isinstance(vectors, KeyedVectors):
        numbers = any(isinstance(key, int) for key in vectors.keys)
        if numbers and order is None:
            raise FeatureError(
                "its keys are numbers; if they are ids of this graph's entities, say so with "
                "--order entity2id"
            )
        if not numbers and (order is not None or labels is not None):
            raise FeatureError("its rows have keys of their own; leave --order and --labels out")
        return "entity2id" if numbers else "keyed"
    if labels is not None:
        return "labels"
    if order is None and not is_known:
        raise FeatureError(
            f"is a matrix of {len(vectors.rows):,} rows that nothing names; say whose they are: "
            f"--order entity2id (in the order of this graph's entities) or --labels FILE"
        )
    return "entity2id"


def _assign(
    vectors: Vectors,
    order: Order,
    entities: Vocabulary,
    *,
    labels: Path | None,
    links: Path | None,
    prefix: str,
) -> Assignment:
    if isinstance(vectors, RowVectors):
        return assign_rows(vectors, read_labels(labels) if labels else entities.labels, entities)
    if order == "entity2id":
        ids: dict[Key, int] = {entity: entity for entity in range(len(entities))}
        return assign_keys(vectors, entities, ids.get)
    given = read_links(links) if links else {}
    resolve = build_resolver(entities, prefix, given, merged_slashes=vectors.merged_slashes)
    return assign_keys(vectors, entities, resolve)


def _check_values(found: Assignment, entities: Vocabulary) -> None:
    bad = np.flatnonzero(~np.isfinite(found.matrix).all(axis=1))
    if len(bad):
        raise FeatureError(
            f"the vector of {entities.labels[bad[0]]!r} holds NaN or infinity ({len(bad):,} such "
            f"vectors); where they stand for entities without one, make them zeros and give "
            f"--zeros-absent"
        )
