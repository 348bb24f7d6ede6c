"""Opening a file of vectors by its suffix: arrays, pickles, tensors, HDF5, tables."""

from __future__ import annotations

import json
import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError

from momok.errors import FeatureError
from momok.extras import import_extra
from momok.graph.feature_import.vector_tables import read_delimited, read_parquet
from momok.graph.feature_import.vectors import KeyedVectors, Vectors, interpret, name_rows

_MOST_UNPACKED = 200  # times the packed size; more is taken for a bomb
_HARMLESS = 64 << 20  # bytes that this does not apply to
_FEW = 2  # datasets of HDF5 that are looked into before it is known what the file is


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
        if reader is _open_hdf5:
            with _open_hdf5(path) as vectors:
                yield vectors
        else:
            yield reader(path)
    except FeatureError as error:
        reason = str(error)
        raise (error if str(path) in reason else FeatureError(f"{path}: {reason}")) from None
    except (ValueError, TypeError, OverflowError, RuntimeError) as error:
        raise FeatureError(f"{path}: holds what cannot be used: {_first_line(error)}") from error
    except MemoryError:
        raise FeatureError(f"{path}: does not fit into memory") from None
    except OSError as error:
        raise FeatureError(f"{path}: cannot be read: {error.strerror or error}") from error


def _read_npy(path: Path) -> Vectors:
    from momok.graph.feature_import.pickles import read_pickled_array, to_array

    try:
        with path.open("rb") as file:
            if _read_dtype(file).hasobject:
                content = to_array(read_pickled_array(file))
                # numpy.save puts a dictionary into an array of one object.
                return interpret(content[0] if len(content) == 1 else content, to_array)
        return interpret(np.load(path, mmap_mode="r", allow_pickle=False))
    except (ValueError, EOFError, SyntaxError) as error:
        raise _make_corrupt_error(".npy", error) from error


def _read_dtype(file: Any) -> np.dtype[Any]:
    formats = np.lib.format
    try:
        first = formats.read_magic(file) == (1, 0)
        read = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
        return read(file)[2]
    except tokenize.TokenError as error:  # NumPy's second try at an old header
        raise ValueError(f"a header that is none: {error}") from error


def _read_npz(path: Path) -> Vectors:
    try:
        with zipfile.ZipFile(path) as archive:
            unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > max(_HARMLESS, _MOST_UNPACKED * path.stat().st_size):
            raise FeatureError(f"would unpack to {unpacked >> 20:,} MiB: taken for a bomb")
        with np.load(path, allow_pickle=False) as arrays:
            return interpret({name: arrays[name] for name in arrays.files})
    except (zipfile.BadZipFile, ValueError, EOFError, NotImplementedError, RuntimeError) as error:
        if "Object arrays" in str(error):
            raise FeatureError("holds objects; save arrays of numbers or texts") from None
        raise _make_corrupt_error(".npz", error) from error


def _read_pickle(path: Path) -> Vectors:
    from momok.graph.feature_import.pickles import read_pickle, to_array

    return interpret(read_pickle(path), to_array)


def _read_safetensors(path: Path) -> Vectors:
    from safetensors.torch import load_file

    from momok.graph.feature_import.pickles import to_array

    try:
        tensors = load_file(path)
    except (SafetensorError, ValueError, KeyError, TypeError) as error:
        raise _make_corrupt_error("safetensors", error) from error
    if set(tensors) == {"vectors", "present"}:
        return _read_own(path, to_array(tensors["vectors"]), to_array(tensors["present"]))
    return interpret(tensors, to_array)


def _read_own(path: Path, vectors: Any, present: Any) -> KeyedVectors:
    """Read a modality that momok has written: its manifest names the rows."""
    manifest = path.with_suffix(".json")
    try:
        labels = list(map(str, json.loads(manifest.read_bytes())["labels"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise FeatureError(
            f"{path}: is a modality of momok, and {manifest.name} with its labels cannot be read"
        ) from error
    if not len(labels) == len(vectors) == len(present):
        raise FeatureError(f"{path}: {len(vectors)} vectors for {len(labels)} labels")
    rows = [row if there else None for row, there in zip(vectors, present, strict=True)]
    return name_rows(labels, rows, f"the rows are named by {manifest.name}")


@contextmanager
def _open_hdf5(path: Path) -> Iterator[Vectors]:
    """Open a file of HDF5: one matrix, a matrix and its labels, or a dataset per label.

    Links to other files, and data outside of this one, are refused.
    """
    h5py = import_extra("h5py", "hdf5", f"reading {path.name}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise _make_corrupt_error("HDF5", error) from error
    with file:
        names = list(_list_datasets(file, h5py))
        if not names:
            raise FeatureError("holds no dataset")
        if len(names) <= _FEW:
            yield interpret({name: _read_dataset(file[name]) for name in names})
        else:
            yield KeyedVectors(names, lambda name: _read_dataset(file[name]), merged_slashes=True)


def _list_datasets(file: Any, h5py: Any) -> Iterator[str]:
    """List the datasets, also those of nested groups: a label with slashes makes such."""
    groups = [("", file)]
    while groups:
        prefix, group = groups.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise FeatureError(
                    f"is refused: {prefix}{name} is a link, which may lead to another file"
                )
            member = group[name]
            if not isinstance(member, h5py.Group):
                yield f"{prefix}{name}"
            elif len(prefix) > 1000:
                raise FeatureError("is refused: its groups are nested too deeply")
            else:
                groups.append((f"{prefix}{name}/", member))


def _read_dataset(dataset: Any) -> Any:
    """Read a dataset whose numbers are in this file."""
    if dataset.is_virtual or dataset.external:
        raise FeatureError(f"is refused: the numbers of {dataset.name} are in another file")
    if dataset.dtype.kind == "O":  # texts of any length
        return [item.decode("utf-8") if isinstance(item, bytes) else item for item in dataset[()]]
    if dataset.nbytes > max(_HARMLESS, _MOST_UNPACKED * dataset.id.get_storage_size()):
        raise FeatureError(f"{dataset.name} would unpack to {dataset.nbytes >> 20:,} MiB: a bomb")
    return np.asarray(dataset[()])


def _make_corrupt_error(kind: str, error: Exception) -> FeatureError:
    return FeatureError(f"is corrupt, truncated or no {kind} file: {_first_line(error)}")


def _first_line(error: Exception) -> str:
    return str(error).splitlines()[0][:160] if str(error) else type(error).__name__


SUFFIXES: Mapping[str, Callable[[Path], Any]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    **dict.fromkeys((".pt", ".pth", ".bin", ".pkl", ".pickle"), _read_pickle),
    ".safetensors": _read_safetensors,
    **dict.fromkeys((".h5", ".hdf5"), _open_hdf5),
    **dict.fromkeys((".csv", ".tsv"), read_delimited),
    ".parquet": read_parquet,
}
"""How a file is read, by its suffix."""
