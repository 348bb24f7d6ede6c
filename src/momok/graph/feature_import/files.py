"""Opening a file of vectors by its suffix: arrays, pickles, tensors, HDF5, tables."""

from __future__ import annotations

import tokenize
import zipfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray
from safetensors import SafetensorError

from momok.errors import DataError, FeatureError, first_line
from momok.extras import import_extra
from momok.graph.feature_import.pickles import convert, read_pickle, read_pickled_array
from momok.graph.feature_import.vectors import (
    KeyedVectors,
    RowVectors,
    Vectors,
    interpret,
    name_rows,
    read_word_vectors,
    to_floats,
)
from momok.graph.sources.raw import TableOptions
from momok.graph.sources.text_tables import LINE, read_text_table
from momok.graph.text_files import FindingLog
from momok.storage import parse_json

_MOST_UNPACKED = 200  # times the packed size; more is taken for a bomb
_HARMLESS = 64 << 20  # bytes that this does not apply to
_MOST_CELLS = 50  # of Parquet, per byte of the file
_HARMLESS_CELLS = 16 << 20
_LABEL_COLUMNS = ("label", "entity", "id", "name", "key", "uri")
# What the readers raise where a file is broken or of another kind than its suffix says.
_BROKEN = (
    *(ValueError, TypeError, KeyError, EOFError, SyntaxError, OverflowError, RuntimeError),
    *(zipfile.BadZipFile, SafetensorError, tokenize.TokenError),
)
_FEW = 2  # datasets of HDF5 that are looked into before it is known what the file is


@contextmanager
def open_vectors(path: Path) -> Iterator[Vectors]:
    """Open a file of vectors; what is read by key is read while the block runs.

    Raises:
        FeatureError: the suffix is unknown, or the file is missing, corrupt, hostile or holds no
            vectors.
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
    except MemoryError:
        raise FeatureError(f"{path}: does not fit into memory") from None
    except (*_BROKEN, OSError) as error:
        if isinstance(error, OSError) and error.strerror:
            raise FeatureError(f"{path}: cannot be read: {error.strerror}") from error
        if "Object arrays" in str(error):
            raise FeatureError(f"{path}: holds objects; save arrays of numbers or texts") from None
        raise FeatureError(
            f"{path}: is corrupt, truncated or no {path.suffix} file, or holds what cannot be "
            f"used: {first_line(error)}"
        ) from error


def _read_npy(path: Path) -> Vectors:
    with path.open("rb") as file:
        content = _read_objects(file)
    if content is None:
        return interpret(np.load(path, mmap_mode="r", allow_pickle=False))
    # numpy.save puts a dictionary into an array of one object.
    return interpret(content[0] if len(content) == 1 else content)


def _read_objects(file: Any) -> Any:
    """Read an array of objects as a list, or as a matrix or texts where it is that; else None."""
    formats = np.lib.format
    first = formats.read_magic(file) == (1, 0)
    read = formats.read_array_header_1_0 if first else formats.read_array_header_2_0
    shape, _, kind = read(file)
    if not kind.hasobject:
        return None
    content = read_pickled_array(file)
    if len(shape) == 2 and len(content) == shape[0] * shape[1]:
        return np.array(list(content), dtype=np.float64).reshape(shape)
    is_text = (
        not isinstance(content, dict)
        and len(content) > 1
        and all(isinstance(item, str) for item in content)
    )
    return np.array(list(content), dtype=np.str_) if is_text else content


def _read_npz(path: Path) -> Vectors:
    objects: dict[str, Any] = {}
    with zipfile.ZipFile(path) as archive:
        unpacked = sum(info.file_size for info in archive.infolist())
        if unpacked > max(_HARMLESS, _MOST_UNPACKED * path.stat().st_size):
            raise FeatureError(f"would unpack to {unpacked >> 20:,} MiB: taken for a bomb")
        for name in archive.namelist():
            with archive.open(name) as file:
                if name.endswith(".npy") and (content := _read_objects(file)) is not None:
                    if not isinstance(content, np.ndarray) or content.dtype.hasobject:
                        raise FeatureError("holds objects; save arrays of numbers or texts")
                    objects[name.removesuffix(".npy")] = content
    with np.load(path, allow_pickle=False) as arrays:
        plain = {name: arrays[name] for name in arrays.files if name not in objects}
    return interpret({**plain, **objects})


def _read_pickle(path: Path) -> Vectors:
    return interpret(read_pickle(path))


def _read_safetensors(path: Path) -> Vectors:
    from safetensors.torch import load_file

    arrays = convert(load_file(path))
    if set(arrays) == {"vectors", "present"}:
        return _read_own(path, arrays["vectors"], arrays["present"])
    return interpret(arrays)


def _read_own(path: Path, vectors: Any, present: Any) -> KeyedVectors:
    """Read a modality that momok has written: its manifest names the rows."""
    manifest = path.with_suffix(".json")
    try:
        labels = list(map(str, parse_json(manifest.read_bytes())["labels"]))
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
    with h5py.File(path, "r") as file:
        names = list(_list_datasets(file, h5py))
        if not names:
            raise FeatureError("holds no dataset")
        if len(names) <= _FEW:
            content = {name: _read_dataset(file[name]) for name in names}
            if len(names) == _FEW and all(np.ndim(x) == 2 and len(x) > 1 for x in content.values()):
                raise FeatureError(f"holds {_FEW} matrices, {' and '.join(names)}; keep one")
            yield interpret(content)
        else:
            # One dataset of one name in each group: the groups are what has vectors.
            ends = {name.rpartition("/")[2] for name in names if "/" in name}
            end = f"/{ends.pop()}" if len(ends) == 1 and all("/" in name for name in names) else ""
            yield KeyedVectors(
                [name.removesuffix(end) for name in names],
                lambda name: _read_dataset(file[f"{name}{end}"]),
                merged_slashes=True,
            )


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


def _read_delimited(path: Path) -> Vectors:
    """Read CSV, or TSV by its suffix: rows of numbers, with a label in front or without one.

    A first row that does not end with a number is a header. The first column are labels where it
    holds what is no number, or where the header calls it so (label, entity, id, ...).
    """
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    try:
        log = FindingLog(path, strict=True)
        frame = read_text_table(path, log, TableOptions(delimiter=delimiter), least=1).frame
    except DataError as error:
        raise FeatureError(str(error)) from None
    columns = [name for name in frame.columns if name != LINE]
    head = frame.row(0, named=True)
    is_labelled = False
    if not _is_number(head[columns[-1]]):
        is_labelled = head[columns[0]].strip().casefold() in _LABEL_COLUMNS
        frame = frame.slice(1)
    if not len(frame):
        raise FeatureError("holds no rows")
    is_labelled = is_labelled or not _is_number(frame[columns[0]][0])
    labels = frame[columns[0]].to_list() if is_labelled else None
    cells = frame.select(columns[1:] if is_labelled else columns)
    if not cells.width:
        raise FeatureError("holds labels alone and no numbers")
    numbers = cells.select(pl.all().str.strip_chars().cast(pl.Float64, strict=False))
    for name in numbers.columns:
        if numbers[name].null_count():
            row = numbers[name].is_null().arg_max()
            assert row is not None
            raise FeatureError(f"{path}:{frame[LINE][row]}: {cells[name][row][:40]!r} is no number")
    return _make_vectors(numbers.to_numpy(), labels)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_parquet(path: Path) -> Vectors:
    """Read Parquet: one column of labels or none, and columns of numbers or one of lists."""
    try:
        lazy = pl.scan_parquet(path)
        cells = lazy.select(pl.len()).collect().item() * len(lazy.collect_schema())
        if cells > max(_HARMLESS_CELLS, _MOST_CELLS * path.stat().st_size):
            raise FeatureError(f"declares {cells:,} cells in a small file: taken for a bomb")
        frame = pl.read_parquet(path)
    except FeatureError:
        raise
    except Exception as error:  # polars has no common base for what a broken file raises
        raise FeatureError(f"is corrupt or no Parquet file: {first_line(error)}") from error
    label = _find_label_column(frame)
    numbers = frame.drop(label) if label is not None else frame
    labels = frame[label].cast(pl.String).to_list() if label is not None else None
    if not numbers.width or not len(frame):
        raise FeatureError(f"holds columns {', '.join(frame.columns)} and {len(frame)} rows")
    first = numbers.to_series(0)
    if numbers.width == 1 and isinstance(first.dtype, (pl.List, pl.Array)):
        return _make_vectors(_read_lists(first), labels)
    for name, kind in numbers.schema.items():
        if not kind.is_numeric():
            raise FeatureError(f"the column {name!r} is {kind}, expected numbers")
        if numbers[name].null_count():
            raise FeatureError("has blank cells among its numbers")
    return _make_vectors(numbers.to_numpy(), labels)


def _read_lists(column: pl.Series) -> NDArray[Any] | list[Any]:
    """Read a column of lists of one width; a blank one is None."""
    filled = column.drop_nulls()
    widths = [len(row) for row in filled]
    if len(set(widths)) != 1:
        raise FeatureError(f"has rows of {len(set(widths))} widths: {sorted(set(widths))[:3]}")
    numbers = filled.explode()
    if not numbers.dtype.is_numeric():
        raise FeatureError(f"the column {column.name!r} holds other lists than those of numbers")
    matrix = numbers.to_numpy().reshape(len(filled), -1)
    if len(filled) == len(column):
        return matrix
    rows = iter(matrix)
    return [None if blank else next(rows) for blank in column.is_null()]


def _find_label_column(frame: pl.DataFrame) -> str | None:
    """Find the column that names the rows: the only one of texts, or one that is called so."""
    texts = [name for name, kind in frame.schema.items() if kind == pl.String]
    called = [name for name in frame.columns if name.casefold() in _LABEL_COLUMNS]
    if len(texts) > 1:
        named = [name for name in called if name in texts]
        if len(named) != 1:
            raise FeatureError(f"has {len(texts)} columns of texts; keep the one of labels")
        return named[0]
    return next(iter(texts or called), None)


def _make_vectors(rows: NDArray[Any] | list[Any], labels: list[str] | None) -> Vectors:
    if labels is not None:
        return name_rows(labels, rows)
    if isinstance(rows, list):
        raise FeatureError("has blank rows and no labels")
    return RowVectors(to_floats(rows))


SUFFIXES: Mapping[str, Callable[[Path], Any]] = {
    ".npy": _read_npy,
    ".npz": _read_npz,
    **dict.fromkeys((".pt", ".pth", ".bin", ".pkl", ".pickle"), _read_pickle),
    ".safetensors": _read_safetensors,
    **dict.fromkeys((".h5", ".hdf5"), _open_hdf5),
    **dict.fromkeys((".csv", ".tsv"), _read_delimited),
    **dict.fromkeys((".txt", ".vec"), read_word_vectors),
    ".parquet": _read_parquet,
}
"""How a file is read, by its suffix."""
