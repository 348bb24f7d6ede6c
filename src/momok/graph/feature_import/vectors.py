"""What a file of vectors holds, whatever its format: rows, or vectors by key."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.errors import DataError, FeatureError
from momok.graph.text_files import read_lines

Key: TypeAlias = str | int

MOST_NUMBERS = 1 << 16
"""A wider vector is taken for a mistake, as when a whole matrix stands where one row belongs."""

# Rows of a list may be one object many times over: small in a file, endless in memory.
_MOST_REPEATED = 64
_HARMLESS = 1 << 24  # numbers that this does not apply to

_NUMBERS = (int, float, np.number)


@dataclass(frozen=True)
class RowVectors:
    """A matrix ``[n, d]`` whose rows the file does not name."""

    rows: NDArray[Any]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class KeyedVectors:
    """Vectors by label, or by number.

    Attributes:
        keys: the keys, as the file has them.
        read: gives what stands under a key: a vector ``[d]``, several ``[k, d]``, or None.
        merged_slashes: keys have one slash where a label may have several.
    """

    keys: Sequence[Key]
    read: Callable[[Key], Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    merged_slashes: bool = False


Vectors: TypeAlias = RowVectors | KeyedVectors


def interpret(value: Any) -> Vectors:
    """Find the vectors in what a file holds: an array, a list of rows, or a dictionary.


    Raises:
        FeatureError: there are no vectors in it.
    """
    if isinstance(value, np.ndarray):
        return RowVectors(_check_rows(value))
    if isinstance(value, (list, tuple)):
        return RowVectors(_check_rows(_stack(value)))
    if not isinstance(value, dict) or not value:
        raise FeatureError(f"holds {_describe(value)}, expected a matrix or vectors by key")
    pair = _find_labels(value)
    if pair is not None:
        return pair
    if len(value) == 1:
        ((key, array),) = value.items()
        if isinstance(array, np.ndarray) and array.ndim == 2 and len(array) > 1:
            return RowVectors(array, (f"the matrix is the only entry, {str(key)[:40]!r}",))
    by_key = {_check_key(key): item for key, item in value.items()}
    if len(by_key) < len(value):
        raise FeatureError("a key stands twice, as text and as bytes")
    several = [item for item in by_key.values() if isinstance(item, (list, tuple))]
    _check_repeats([row for item in several for row in item if _has_length(row)])

    def read(key: Key) -> Any:
        found = by_key[key]
        return _stack(found) if isinstance(found, (list, tuple)) else found

    return KeyedVectors(list(by_key), read)


def name_rows(labels: Sequence[str], rows: Any, *notes: str) -> KeyedVectors:
    """Name each row by its label; a row may be None."""
    positions = {label: position for position, label in enumerate(labels)}
    if len(positions) < len(labels):
        twice = next(label for i, label in enumerate(labels) if positions[label] != i)
        raise FeatureError(f"has two rows for {twice[:80]!r}")
    return KeyedVectors(list(positions), lambda key: rows[positions[str(key)]], notes)


def to_floats(array: NDArray[Any]) -> NDArray[np.float32]:
    """Convert numbers to float32.

    Raises:
        FeatureError: they are no real numbers, or beyond float32.
    """
    if array.dtype.kind not in "biuf":
        raise FeatureError(f"holds {array.dtype} values, expected numbers")
    with np.errstate(over="ignore"):
        converted = array.astype(np.float32)
    if array.dtype.kind == "f" and array.dtype.itemsize > 4:
        beyond = np.isinf(converted) & np.isfinite(array)
        if beyond.any():
            raise FeatureError("holds a value beyond float32")
    return converted


def _find_labels(value: dict[Any, Any]) -> KeyedVectors | None:
    """Recognise a dictionary of two: a matrix, and the labels of its rows."""
    if len(value) != 2:
        return None
    for (name, matrix), (key, texts) in zip(value.items(), reversed(value.items()), strict=True):
        if isinstance(matrix, np.ndarray) and matrix.ndim == 2:
            labels = texts.tolist() if isinstance(texts, np.ndarray) and texts.ndim == 1 else texts
            if (
                isinstance(labels, list)
                and len(labels) == len(matrix)
                and all(isinstance(label, (str, bytes)) for label in labels)
            ):
                note = f"the rows of {str(name)[:40]!r} are named by {str(key)[:40]!r}"
                return name_rows([str(_check_key(label)) for label in labels], matrix, note)
    return None


def _check_key(key: Any) -> Key:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    if isinstance(key, str):
        return key
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return int(key)
    raise FeatureError(f"has the key {_describe(key)}, expected labels or entity numbers")


def _stack(rows: Sequence[Any]) -> NDArray[Any]:
    """Make an array of a list: of numbers ``[d]``, or of lists or arrays of them ``[n, d]``."""
    if all(isinstance(row, _NUMBERS) for row in rows):
        return np.asarray(rows)
    widths = {len(row) if _has_length(row) else -1 for row in rows}
    if len(widths) != 1 or -1 in widths:
        shown = sorted(widths - {-1})[:3] or ""
        raise FeatureError(f"holds a list whose rows are no vectors of one width {shown}")
    _check_repeats(rows)
    return np.stack([to_floats(_make_array(row)) for row in rows])


def _check_repeats(rows: Sequence[Any]) -> None:
    """Refuse rows that are few in memory and would be many as numbers."""
    numbers = sum(map(len, rows))
    if numbers > _HARMLESS and len(rows) > _MOST_REPEATED * len({id(row) for row in rows}):
        raise FeatureError(f"repeats few rows to {numbers:,} numbers: taken for a bomb")


def _has_length(row: Any) -> bool:
    return row.ndim > 0 if isinstance(row, np.ndarray) else isinstance(row, (list, tuple))


def _make_array(row: Any) -> NDArray[Any]:
    """Make an array of a list of numbers; lists within lists may be endless."""
    if not isinstance(row, np.ndarray) and not all(isinstance(item, _NUMBERS) for item in row):
        raise FeatureError("holds a list whose rows are no vectors of numbers")
    return np.asarray(row)


def _check_rows(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 3 and 1 in array.shape[1:]:  # [n, 1, d] and [n, d, 1]
        array = array.reshape(len(array), -1)
    if array.ndim != 2 or 0 in array.shape:
        raise FeatureError(f"holds an array of shape {list(array.shape)}, expected [rows, width]")
    return array


def _describe(value: Any) -> str:
    if isinstance(value, (str, bytes)):
        return f"the text {value[:40]!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return f"a {type(value).__name__}" if value else f"an empty {type(value).__name__}"


def read_word_vectors(path: Path) -> KeyedVectors:
    """Read lines of a label and numbers with blanks between them; labels may hold blanks.

    A first line of two whole numbers gives how many lines follow, and how many numbers each has.

    Raises:
        FeatureError: the file is missing or no text, or a line has another number of numbers.
    """
    try:
        lines = [line.rstrip() for line in read_lines(path) if line.strip()]
    except DataError as error:
        raise FeatureError(str(error)) from None
    if lines and re.fullmatch(r"\d+ \d+", lines[0]):
        width, lines = int(lines[0].split()[1]), lines[1:]
    else:
        width = len(lines[0].split()) - 1 if lines else 0
    if not lines or width < 1:
        raise FeatureError("holds no lines of a label and numbers")
    labels, rows = [], []
    for line in lines:
        label, *cells = line.rsplit(maxsplit=width)
        try:
            row = np.array(cells, dtype=np.float32)
        except ValueError:
            row = np.empty(0, dtype=np.float32)
        if len(row) != width:
            raise FeatureError(f"expected a label and {width} numbers, found {line[:80]!r}")
        labels.append(label)
        rows.append(row)
    return name_rows(labels, rows)
