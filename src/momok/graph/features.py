"""One modality of a graph: a vector for some or all entities, and where the vectors come from.

On disk a modality is two files::

    <modality>.safetensors   "vectors" [n, d] float16 or float32, "present" [n] uint8
    <modality>.json          the manifest: encoder, settings, width and the n entity labels

Rows are matched to entities by label; the order of rows says nothing. A manifest may give the
``sha256`` of the tensors' file, which is then checked.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from momok.errors import FeatureError
from momok.graph.feature_files import (
    FORMAT,
    PICKLE_SUFFIXES,
    VERSION,
    FeatureManifest,
    check_modality_name,
    read_manifest,
    read_tensors,
)
from momok.graph.reductions import l2_normalise, pool
from momok.graph.vocabulary import Vocabulary
from momok.storage import write_file

__all__ = [
    "FeatureManifest",
    "Features",
    "l2_normalise",
    "list_modalities",
    "load_features",
    "pool",
    "save_features",
]

FloatMatrix: TypeAlias = NDArray[np.float32]
BoolVector: TypeAlias = NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Features:
    """One modality of N entities.

    Attributes:
        matrix: vectors ``[N, d]``; zeros where the entity has none.
        present: which entities have a vector ``[N]``.
        manifest: where the vectors come from.
        unmatched: row labels of the file that name no entity of the graph.

    Raises:
        FeatureError: shapes that contradict each other, or a value that is no number.
    """

    matrix: FloatMatrix
    present: BoolVector
    manifest: FeatureManifest
    unmatched: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check shapes and values."""
        where, width = f"features {self.manifest.modality!r}", self.manifest.width
        if self.matrix.ndim != 2 or self.matrix.shape[1] != width:
            raise FeatureError(
                f"{where}: shape {self.matrix.shape}, the manifest says [N, {width}]"
            )
        if self.present.shape != self.matrix.shape[:1] or self.present.dtype != np.bool_:
            raise FeatureError(f"{where}: present must be {len(self.matrix)} booleans")
        if self.matrix.dtype != np.float32:
            raise FeatureError(f"{where}: {self.matrix.dtype} vectors, expected float32")
        bad = _find_non_finite(self.matrix)
        if len(bad):
            raise FeatureError(
                f"{where}: row {bad[0]} holds NaN or infinity ({len(bad)} such rows)"
            )


def list_modalities(folder: Path) -> list[str]:
    """List the modalities that have a file in a folder of features, by name."""
    suffixes = (".safetensors", ".json", *PICKLE_SUFFIXES)
    if not folder.is_dir():
        return []
    files = (path for path in folder.iterdir() if not path.name.startswith("."))
    return sorted({path.stem for path in files if path.suffix in suffixes})


def load_features(folder: Path, modality: str, entities: Vocabulary) -> Features:
    """Read ``<folder>/<modality>.safetensors`` and its manifest for these entities.

    Args:
        folder: the folder that holds the two files (the ``features`` folder of a graph).
        modality: the name of the modality.
        entities: the entities of the graph; those without a row are absent.

    Raises:
        FeatureError: a file is missing, corrupt, or a pickle; rows, widths or labels contradict
            each other; no row names an entity; a present value is NaN or infinite.
    """
    check_modality_name(modality)
    path, manifest_path = folder / f"{modality}.safetensors", folder / f"{modality}.json"
    manifest, labels, sha256 = read_manifest(manifest_path, modality)
    vectors, present = read_tensors(path, sha256)
    if vectors.shape != (len(labels), manifest.width):
        raise FeatureError(
            f"{path}: {vectors.shape[0]} vectors of width {vectors.shape[1]}, but "
            f"{manifest_path.name} says {len(labels)} rows of width {manifest.width}"
        )
    ids = np.array([entities.ids.get(label, -1) for label in labels], dtype=np.int64)
    matched = ids >= 0
    if not matched.any():
        example = f" (the first is {labels[0]!r})" if labels else ""
        raise FeatureError(
            f"{path}: none of its {len(labels)} rows{example} names an entity of the graph, such "
            f"as {entities.labels[0]!r}; rows are matched by entity label"
        )
    used = np.flatnonzero(matched & present)
    bad = used[_find_non_finite(vectors[used])]
    if len(bad):
        raise FeatureError(
            f"{path}: the vector of {labels[bad[0]]!r} (row {bad[0]}) holds NaN or infinity "
            f"({len(bad)} such rows); mark such rows absent or encode them again"
        )
    matrix = np.zeros((len(entities), manifest.width), dtype=np.float32)
    matrix[ids[used]] = vectors[used]
    mask = np.zeros(len(entities), dtype=np.bool_)
    mask[ids[used]] = True
    return Features(matrix, mask, manifest, tuple(labels[i] for i in np.flatnonzero(~matched)))


def save_features(
    folder: Path, features: Features, entities: Vocabulary, *, half: bool = False
) -> None:
    """Write a modality into a folder of features; absent entities get no row.

    Args:
        folder: the folder for the two files; made if need be.
        features: what to write; its manifest names the modality.
        entities: the entities, in the order of the matrix.
        half: write float16 (half the size, three digits).

    Raises:
        FeatureError: no entity has a vector, or a value is beyond float16.
        StorageError: the disk refused; each file is the old or the new one.
    """
    manifest = features.manifest
    where = f"features {manifest.modality!r}"
    check_modality_name(manifest.modality)
    if len(entities) != len(features.matrix):
        raise FeatureError(f"{where}: {len(features.matrix)} rows for {len(entities)} entities")
    rows = np.flatnonzero(features.present)
    if not len(rows):
        raise FeatureError(f"{where}: no entity has a vector to save")
    vectors: NDArray[Any] = features.matrix[rows]
    if half:
        if np.abs(vectors).max(initial=0.0) > np.finfo(np.float16).max:
            raise FeatureError(f"{where}: values beyond the reach of float16; save as float32")
        vectors = vectors.astype(np.float16)
    content = save({"vectors": vectors, "present": np.ones(len(rows), dtype=np.uint8)})
    described = {
        "format": FORMAT,
        "version": VERSION,
        "modality": manifest.modality,
        "encoder": manifest.encoder,
        "encoder_version": manifest.encoder_version,
        "weights": manifest.weights,
        "settings": dict(manifest.settings),
        "created": manifest.created,
        "counts": dict(manifest.counts),
        "width": manifest.width,
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": [entities.labels[row] for row in rows],
    }
    write_file(folder / f"{manifest.modality}.safetensors", content)
    text = json.dumps(described, ensure_ascii=False, indent=1) + "\n"
    write_file(folder / f"{manifest.modality}.json", text.encode())


def _find_non_finite(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Find the rows of ``[n, d]`` that hold NaN or infinity."""
    return np.flatnonzero(~np.isfinite(matrix).all(axis=1))
