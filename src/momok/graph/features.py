"""One modality of a graph: a vector for some or all entities, and where the vectors come from.

On disk a modality is two files::

    <modality>.safetensors   "vectors" [n, d] float16 or float32, "present" [n] uint8
    <modality>.json          the manifest: encoder, settings, width and the n entity labels

Rows are matched to entities by label; the order of rows says nothing. A manifest may give the
``sha256`` of the tensors' file, which is then checked. Pickles are recognised and refused: opening
one can run code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load, save

from momok.arrays import Bools, FloatMatrix, Ints
from momok.errors import FeatureError
from momok.graph.names import Vocabulary
from momok.graph.text_files import FindingLog
from momok.storage import parse_json, write_file

FORMAT, VERSION = "momok-features", 1
PICKLE_SUFFIXES = (".pth", ".pt", ".pkl", ".pickle", ".bin")
# torch.save writes a zip archive (PK) or, before 1.6, a pickle (0x80 and the protocol).
_PICKLE_STARTS = (b"PK\x03\x04", b"\x80\x02", b"\x80\x03", b"\x80\x04", b"\x80\x05")
_MODALITY = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]*")
_RESERVED = ("structure", "joint", "answer")  # heads of the model that need no features


@dataclass(frozen=True, kw_only=True)
class FeatureManifest:
    """Where the vectors of a modality come from.

    Attributes:
        modality: the name of the modality.
        width: d, the numbers per entity.
        encoder: what made the vectors.
        encoder_version: its version.
        weights: the sha256 of its weights, "" where it has none or it is not known.
        settings: the settings it was given.
        created: the day, YYYY-MM-DD.
        counts: what was encoded and what could not be, by name: ``{"entities": 250, ...}``.
    """

    modality: str
    width: int
    encoder: str = ""
    encoder_version: str = ""
    weights: str = ""
    settings: Mapping[str, Any] = field(default_factory=dict)
    created: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)


def check_modality_name(modality: str) -> None:
    """Check that a modality can name files and a head of the model."""
    if not isinstance(modality, str) or not _MODALITY.fullmatch(modality):
        raise FeatureError(
            f"modality {modality!r}: a name is letters, digits, '_' and '-', as in image or text_en"
        )
    if modality in _RESERVED:
        raise FeatureError(f"modality {modality!r}: the model has a head of this name; rename it")


def read_manifest(path: Path, modality: str) -> tuple[FeatureManifest, list[str], str | None]:
    """Read where the vectors come from, the labels of rows, the sha256 of the tensors."""
    if not path.is_file():
        if not path.with_suffix(".safetensors").is_file():
            _refuse_pickle(path)
        raise FeatureError(
            f"{path}: the manifest is missing; it names the encoder, the width and the rows of "
            f"{modality}.safetensors"
        )
    try:
        read = parse_json(path.read_bytes())
    except (OSError, ValueError) as error:
        raise FeatureError(f"{path}: the manifest cannot be read as JSON: {error}") from error
    if not isinstance(read, dict) or (read.get("format"), read.get("version")) != (FORMAT, VERSION):
        raise FeatureError(f"{path}: is no manifest with format {FORMAT!r} and version {VERSION}")
    if read.get("modality") != modality:
        raise FeatureError(f"{path}: the manifest is of modality {read.get('modality')!r}")
    optional = asdict(FeatureManifest(modality=modality, width=0))
    for key, value in {**optional, "labels": []}.items():
        given = read.get(key) if key in ("width", "labels") else read.get(key, value)
        if not isinstance(given, type(value)):
            raise FeatureError(f"{path}: {key!r} must be given as {type(value).__name__}")
    manifest = FeatureManifest(**{key: read[key] for key in optional if key in read})
    seen: set[str] = set()
    for label in read["labels"]:
        if not isinstance(label, str):
            raise FeatureError(f"{path}: 'labels' holds {label!r}, expected texts")
        if label in seen:
            raise FeatureError(f"{path}: the row {label!r} appears twice; an entity has one vector")
        seen.add(label)
    return manifest, read["labels"], read.get("sha256")


def read_tensors(path: Path, sha256: str | None) -> tuple[NDArray[Any], Bools]:
    """Read vectors ``[n, d]`` (float16 or float32) and presence ``[n]``."""
    if not path.is_file():
        _refuse_pickle(path)
        raise FeatureError(f"{path}: the vectors are missing")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FeatureError(f"{path}: cannot be read: {error.strerror}") from error
    # A safetensors header begins with "{" after its length in 8 bytes, which may look like any.
    if content.startswith(_PICKLE_STARTS) and content[8:9] != b"{":
        _refuse_pickle(path, (path.suffix,))
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise FeatureError(
            f"{path}: is corrupt or truncated: its sha256 is not the one in {path.stem}.json; "
            f"copy or encode it again"
        )
    try:
        tensors = load(content)
    except (SafetensorError, KeyError, TypeError, ValueError) as error:
        raise FeatureError(
            f"{path}: is corrupt, truncated or no safetensors file ({error}); "
            f"copy or encode it again"
        ) from error
    vectors = _pick_tensor(path, tensors, "vectors", ("float16", "float32"), "[n, d]")
    present = _pick_tensor(path, tensors, "present", ("uint8", "bool"), "[n]")
    if len(vectors) != len(present):
        raise FeatureError(f"{path}: {len(vectors)} vectors, {len(present)} presence marks")
    return vectors, present != 0


def _pick_tensor(
    path: Path, tensors: Mapping[str, NDArray[Any]], name: str, kinds: tuple[str, ...], shape: str
) -> NDArray[Any]:
    if name not in tensors:
        raise FeatureError(f"{path}: has no tensor {name!r}; it has {', '.join(sorted(tensors))}")
    tensor = tensors[name]
    if tensor.ndim != shape.count(",") + 1 or tensor.dtype.name not in kinds:
        raise FeatureError(
            f"{path}: {name!r} is {tensor.dtype} {list(tensor.shape)}, "
            f"expected {' or '.join(kinds)} {shape}"
        )
    return tensor


def _refuse_pickle(path: Path, suffixes: Sequence[str] = PICKLE_SUFFIXES) -> None:
    """Refuse a pickle that stands in place of a safetensors file."""
    for file in map(path.with_suffix, suffixes):
        if file.is_file():
            raise FeatureError(
                f"{file}: is a pickle (torch.save or Python); opening one can run code, so momok "
                f"never does; where you trust it, convert it with safetensors.torch.save_file"
            )


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
    """Read a modality as it is; raises as ``load_features`` does."""
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
