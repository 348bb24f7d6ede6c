"""Vectors in HDF5: one matrix, a matrix and its labels, or a dataset per label."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from momok.errors import FeatureError, MissingExtraError
from momok.graph.feature_import.vectors import KeyedVectors, Vectors, interpret

__all__ = ["open_hdf5"]

_FEW = 2  # datasets that are looked into before it is known what the file is


@contextmanager
def open_hdf5(path: Path) -> Iterator[Vectors]:
    """Open a file of HDF5; links to other files and data outside of it are refused.

    Raises:
        FeatureError: it is corrupt, reaches outside of itself, or holds no vectors.
        MissingExtraError: h5py is not installed.
    """
    try:
        import h5py
    except ModuleNotFoundError:
        raise MissingExtraError("h5py", "hdf5", f"reading {path.name}") from None
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise FeatureError(f"{path}: is corrupt, truncated or no HDF5 file: {error}") from error
    with file:
        names = list(_list_datasets(file, h5py))
        if not names:
            raise FeatureError("holds no dataset")
        if len(names) <= _FEW:
            yield interpret({name: _read(file[name]) for name in names})
        else:
            yield KeyedVectors(names, lambda name: _read(file[str(name)]), merged_slashes=True)


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
            if isinstance(member, h5py.Group):
                if len(prefix) > 1000:
                    raise FeatureError("is refused: its groups are nested too deeply")
                groups.append((f"{prefix}{name}/", member))
            else:
                yield f"{prefix}{name}"


def _read(dataset: Any) -> Any:
    """Read a dataset whose numbers are in this file."""
    if dataset.is_virtual or dataset.external:
        raise FeatureError(f"is refused: the numbers of {dataset.name} are in another file")
    if dataset.dtype.kind == "O":  # texts of any length
        return [item.decode("utf-8") if isinstance(item, bytes) else item for item in dataset[()]]
    if dataset.nbytes > max(64 << 20, 200 * dataset.id.get_storage_size()):
        raise FeatureError(f"{dataset.name} would unpack to {dataset.nbytes >> 20:,} MiB: a bomb")
    return np.asarray(dataset[()])
