"""The two files of a modality, read with suspicion: a manifest in JSON and tensors.

A manifest may give the ``sha256`` of the tensors' file, which is then checked. Pickles are
recognised and refused: opening one can run code.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load

from momok.arrays import Bools
from momok.errors import FeatureError

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
    if not _MODALITY.fullmatch(modality):
        raise FeatureError(
            f"modality {modality!r}: a name is letters, digits, '_' and '-', as in image or text_en"
        )
    if modality in _RESERVED:
        raise FeatureError(f"modality {modality!r}: the model has a head of this name; rename it")


def read_manifest(path: Path, modality: str) -> tuple[FeatureManifest, list[str], str | None]:
    """Read where the vectors come from, the labels of rows, the sha256 of the tensors."""
    if not path.is_file():
        _refuse_pickle_beside(path.with_suffix(".safetensors"))
        raise FeatureError(
            f"{path}: the manifest is missing; it names the encoder, the width and the rows of "
            f"{modality}.safetensors"
        )
    try:
        read = json.loads(path.read_bytes())
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
    return manifest, _check_labels(path, read["labels"]), read.get("sha256")


def read_tensors(path: Path, sha256: str | None) -> tuple[NDArray[Any], Bools]:
    """Read vectors ``[n, d]`` (float16 or float32) and presence ``[n]``."""
    if not path.is_file():
        _refuse_pickle_beside(path)
        raise FeatureError(f"{path}: the vectors are missing")
    try:
        content = path.read_bytes()
    except OSError as error:
        raise FeatureError(f"{path}: cannot be read: {error.strerror}") from error
    # A safetensors header begins with "{" after its length in 8 bytes, which may look like any.
    if content.startswith(_PICKLE_STARTS) and content[8:9] != b"{":
        raise FeatureError(_describe_pickle(path))
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


def _check_labels(path: Path, labels: list[Any]) -> list[str]:
    seen: set[str] = set()
    for label in labels:
        if not isinstance(label, str):
            raise FeatureError(f"{path}: 'labels' holds {label!r}, expected texts")
        if label in seen:
            raise FeatureError(f"{path}: the row {label!r} appears twice; an entity has one vector")
        seen.add(label)
    return labels


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


def _refuse_pickle_beside(path: Path) -> None:
    """Say so where a missing safetensors file has a pickle of the same name beside it."""
    for suffix in PICKLE_SUFFIXES:
        if not path.is_file() and path.with_suffix(suffix).is_file():
            raise FeatureError(_describe_pickle(path.with_suffix(suffix)))


def _describe_pickle(path: Path) -> str:
    return (
        f"{path}: is a pickle (torch.save or Python); opening one can run code, so momok never "
        f"does; where you trust it, convert it with safetensors.torch.save_file"
    )
