"""Opening a file of vectors by its suffix: arrays, pickles, tensors, tables."""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import safetensors
from numpy.typing import NDArray
from safetensors import SafetensorError

from momok.errors import FeatureError
from momok.graph.feature_import.hierarchies import open_hdf5
from momok.graph.feature_import.pickles import read_pickle, read_pickled_array
from momok.graph.feature_import.tensors import to_array
from momok.graph.feature_import.vector_tables import read_delimited, read_parquet
from momok.graph.feature_import.vectors import KeyedVectors, Vectors, interpret

__all__ = ["SUFFIXES", "open_vectors"]

_MOST_UNPACKED = 200  # times the packed size; more is taken for a bomb
_HARMLESS = 64 << 20  # bytes that this does not apply to


@contextmanager
def open_vectors(path: Path) -> Iterator[Vectors]:
    """Open a file of vectors; what is read by key is read while the block runs.

    Raises:
        FeatureError: the suffix is unknown, or the file is missing, corrupt, hostile or holds no
            vectors.
        MissingExtraError: the format needs a package that is not installed.
    """
    if not path.is_file():
        raise FeatureError(f"{path}: there is no such file")
    reader = SUFFIXES.get(path.suffix.lower())
    if reader is None:
        raise FeatureError(
            f"{path}: vectors are not read from {path.suffix or 'files without a suffix'}; "
            f"expected {', '.join(SUFFIXES)}"
        )
    try:
        if reader is open_hdf5:
            with open_hdf5(path) as vectors:
                yield vectors
        else:
            yield reader(path)
    except FeatureError as error:
        said = str(error)
        raise (error if str(path) in said else FeatureError(f"{path}: {said}")) from None
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise FeatureError(f"{path}: holds what cannot be used: {_first_line(error)}") from error
    except MemoryError:
        raise FeatureError(f"{path}: does not fit into memory") from None
    except OSError as error:
        raise FeatureError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_npy(path: Path) -> Vectors:
    try:
        with path.open("rb") as file:
            _, dtype = _read_header(file)
            if dtype.hasobject:
                return interpret(_unwrap(read_pickled_array(path, file)), to_array)
        return interpret(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, SyntaxError) as error:
        raise FeatureError(
            f"is corrupt, truncated or no .npy file: {_first_line(error)}"
        ) from error


def _unwrap(value: Any) -> Any:
    """Take a dictionary out of the array that numpy.save has put it into."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def _read_header(file: Any) -> tuple[tuple[int, ...], np.dtype[Any]]:
    formats = np.lib.format
    try:
        first = formats.read_magic(file) == (1, 0)
        read = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
        shape, _, dtype = read(file)
    except tokenize.TokenError as error:  # NumPy's second try at an old header
        raise ValueError(f"a header that is none: {error}") from error
    return shape, dtype


def _read_npz(path: Path) -> Vectors:
    try:
        with zipfile.ZipFile(path) as archive:
            infos = archive.infolist()
            unpacked = sum(info.file_size for info in infos)
            if unpacked > max(_HARMLESS, _MOST_UNPACKED * path.stat().st_size):
                raise FeatureError(f"would unpack to {unpacked >> 20:,} MiB: taken for a bomb")
            arrays = {
                info.filename.removesuffix(".npy"): _read_member(archive, info) for info in infos
            }
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        raise FeatureError(
            f"is corrupt, truncated or no .npz file: {_first_line(error)}"
        ) from error
    return interpret(arrays)


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> NDArray[Any]:
    with archive.open(info) as file:
        shape, dtype = _read_header(file)
        if dtype.hasobject:
            raise FeatureError(f"{info.filename!r} holds objects; save arrays of numbers or texts")
        declared = math.prod(shape) * dtype.itemsize
        if declared > info.file_size:
            raise FeatureError(f"{info.filename!r} is cut off: {info.file_size:,} bytes")
    with archive.open(info) as file:
        array: NDArray[Any] = np.lib.format.read_array(file, allow_pickle=False)
        return array


def _read_pickle(path: Path) -> Vectors:
    return interpret(read_pickle(path), to_array)


_SAFETENSORS_DTYPES: Mapping[str, str] = {
    "F64": "<f8", "F32": "<f4", "F16": "<f2", "I64": "<i8", "I32": "<i4", "I16": "<i2",
    "I8": "i1", "U8": "u1", "BOOL": "?",
}  # fmt: skip


def _read_safetensors(path: Path) -> Vectors:
    deserialize: Callable[[bytes], Any] = safetensors.deserialize
    content = path.read_bytes()
    try:
        tensors = {name: _decode(name, spec) for name, spec in deserialize(content)}
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        said = _first_line(error)
        raise FeatureError(f"is corrupt, truncated or no safetensors file: {said}") from error
    if set(tensors) == {"vectors", "present"}:
        return _read_own(path, tensors["vectors"], tensors["present"])
    return interpret(tensors)


def _decode(name: str, spec: Mapping[str, Any]) -> NDArray[Any]:
    raw, shape, dtype = spec["data"], spec["shape"], spec["dtype"]
    if dtype == "BF16":  # the upper half of a float32
        wide = np.frombuffer(raw, dtype="<u2").astype(np.uint32) << 16
        return wide.view(np.float32).reshape(shape)
    if dtype not in _SAFETENSORS_DTYPES:
        raise FeatureError(f"the tensor {name[:40]!r} is {dtype}; save it as F32")
    return np.frombuffer(raw, dtype=_SAFETENSORS_DTYPES[dtype]).reshape(shape)


def _read_own(path: Path, vectors: NDArray[Any], present: NDArray[Any]) -> KeyedVectors:
    """Read a modality that momok has written: its manifest names the rows."""
    manifest = path.with_suffix(".json")
    try:
        labels = json.loads(manifest.read_bytes())["labels"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(
            f"{path}: is a modality of momok, and {manifest.name} with its labels cannot be read"
        ) from error
    if not len(labels) == len(vectors) == len(present):
        raise FeatureError(f"{path}: {len(vectors)} vectors for {len(labels)} labels")
    rows = {str(label): row for row, label in enumerate(labels)}
    note = f"the rows are named by {manifest.name}"
    return KeyedVectors(
        list(rows),
        lambda key: vectors[rows[str(key)]] if present[rows[str(key)]] else None,
        (note,),
    )


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


SUFFIXES: Mapping[str, Callable[[Path], Any]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    ".pt": _read_pickle,
    ".pth": _read_pickle,
    ".bin": _read_pickle,
    ".pkl": _read_pickle,
    ".pickle": _read_pickle,
    ".safetensors": _read_safetensors,
    ".h5": open_hdf5,
    ".hdf5": open_hdf5,
    ".csv": read_delimited,
    ".tsv": read_delimited,
    ".parquet": read_parquet,
}
"""How a file is read, by its suffix."""
