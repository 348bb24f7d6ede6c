"""One modality of a graph: a vector for some or all entities, and where the vectors come from.

On disk a modality is two files::

    <modality>.safetensors   "vectors" [n, d] float16 or float32, "present" [n] uint8
    <modality>.json          the manifest: encoder, settings, width and the n entity labels

Rows are matched to entities by label; the order of rows says nothing.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors.numpy import save

from momok.arrays import Bools, FloatMatrix, Ints
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
from momok.graph.names import Vocabulary
from momok.graph.text_files import FindingLog
from momok.storage import write_file


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
    present: Bools
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


def load_all_features(folder: Path, entities: Vocabulary, log: FindingLog) -> dict[str, Features]:
    """Read all modalities of a folder of features for these entities.

    Raises:
        FeatureError: as ``load_features``; or a row names no entity and reading is strict.
    """
    read = {m: load_features(folder, m, entities) for m in list_modalities(folder)}
    for modality, features in read.items():
        count = len(features.unmatched)
        if count and log.strict:
            raise FeatureError(
                f"{folder / modality}.json: {count} rows name no entity of the graph, "
                f"the first is {features.unmatched[0]!r}"
            )
        places = (f"features/{modality}.json: {label!r}" for label in features.unmatched)
        log.report("feature-rows", f"rows of modality {modality} name no entity", places, count)
    return read


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
    rows = load_rows(folder, modality, entities)
    matched = rows.entities >= 0
    if not matched.any():
        example = f" (the first is {rows.labels[0]!r})" if rows.labels else ""
        raise FeatureError(
            f"{folder / modality}.safetensors: none of its {len(rows.labels)} rows{example} names "
            f"an entity of the graph, such as {entities.labels[0]!r}; rows are matched by entity "
            f"label"
        )
    used = np.flatnonzero(matched & rows.present)
    vectors, owners = rows.vectors[used], rows.entities[used]
    bad = _find_non_finite(vectors)
    if len(bad):
        row = used[bad[0]]
        raise FeatureError(
            f"{folder / modality}.safetensors: the vector of {rows.labels[row]!r} (row {row}) "
            f"holds NaN or infinity ({len(bad)} such rows); mark such rows absent or encode them "
            f"again"
        )
    matrix = np.zeros((len(entities), rows.manifest.width), dtype=np.float32)
    matrix[owners] = vectors
    mask = np.zeros(len(entities), dtype=np.bool_)
    mask[owners] = True
    return Features(matrix, mask, rows.manifest, rows.unmatched)


@dataclass(frozen=True, eq=False)
class FeatureRows:
    """The rows of a modality as they lie on disk.

    Attributes:
        entities: entity id of each row ``[n]``, -1 where the label names none.
        vectors: ``[n, d]``, float16 or float32; values are not checked.
        present: rows ``[n]`` that stand for something.
    """

    manifest: FeatureManifest
    labels: list[str]
    entities: Ints
    vectors: NDArray[Any]
    present: Bools

    @property
    def unmatched(self) -> tuple[str, ...]:
        """The labels that name no entity."""
        return tuple(self.labels[row] for row in np.flatnonzero(self.entities < 0))


def load_rows(folder: Path, modality: str, entities: Vocabulary) -> FeatureRows:
    """Read a modality as it is.

    Raises:
        FeatureError: a file is missing, corrupt, or a pickle; rows, widths or labels contradict
            each other.
    """
    check_modality_name(modality)
    path = folder / f"{modality}.safetensors"
    manifest, labels, sha256 = read_manifest(folder / f"{modality}.json", modality)
    vectors, present = read_tensors(path, sha256)
    if vectors.shape != (len(labels), manifest.width):
        raise FeatureError(
            f"{path}: {vectors.shape[0]:,} vectors of width {vectors.shape[1]:,}, but "
            f"{modality}.json says {len(labels):,} rows of width {manifest.width:,}"
        )
    ids = np.array([entities.ids.get(label, -1) for label in labels], dtype=np.int64)
    return FeatureRows(manifest, labels, ids, vectors, present)


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
        **asdict(manifest),
        "sha256": hashlib.sha256(content).hexdigest(),
        "labels": [entities.labels[row] for row in rows],
    }
    write_file(folder / f"{manifest.modality}.safetensors", content)
    text = json.dumps(described, ensure_ascii=False, indent=1) + "\n"
    write_file(folder / f"{manifest.modality}.json", text.encode())


def _find_non_finite(matrix: NDArray[Any]) -> NDArray[np.intp]:
    """Find the rows of ``[n, d]`` that hold NaN or infinity."""
    return np.flatnonzero(~np.isfinite(matrix).all(axis=1))
