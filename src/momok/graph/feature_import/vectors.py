"""What a file of vectors holds, whatever its format: rows, or vectors by key."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from momok.errors import FeatureError

__all__ = ["MOST_NUMBERS", "Key", "KeyedVectors", "RowVectors", "Vectors", "interpret", "to_floats"]

Key: TypeAlias = str | int

MOST_NUMBERS = 1 << 16
"""A wider vector is taken for a mistake, as when a whole matrix stands where one row belongs."""


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
        notes: what was assumed in reading.
        merged_slashes: keys have one slash where a label may have several.
    """

    keys: Sequence[Key]
    read: Callable[[Key], Any] = field(repr=False)
    notes: tuple[str, ...] = ()
    merged_slashes: bool = False


Vectors: TypeAlias = RowVectors | KeyedVectors


def interpret(value: Any, load: Callable[[Any], Any] = lambda item: item) -> Vectors:
    """Find the vectors in what a file holds: an array, a list of rows, or a dictionary.

    Args:
        value: the content.
        load: turns a part of it that is not an array yet into one.

    Raises:
        FeatureError: there are no vectors in it.
    """
    value = load(value)
    if isinstance(value, np.ndarray):
        return RowVectors(_check_rows(value))
    if isinstance(value, (list, tuple)):
        return RowVectors(_check_rows(_stack_rows([load(item) for item in value])))
    if not isinstance(value, dict) or not value:
        raise FeatureError(f"holds {_describe(value)}, expected a matrix or vectors by key")
    pair = _find_labels(value, load)
    if pair is not None:
        return pair
    if len(value) == 1:
        ((key, alone),) = value.items()
        array = load(alone)
        if isinstance(array, np.ndarray) and array.ndim == 2 and len(array) > 1:
            return RowVectors(array, (f"the matrix is the only entry, {str(key)[:40]!r}",))
    keys = [_check_key(key) for key in value]
    by_key = dict(zip(keys, value.values(), strict=True))
    if len(by_key) < len(keys):
        raise FeatureError("a key stands twice, as text and as bytes")
    return KeyedVectors(keys, lambda key: load(by_key[key]))


def _find_labels(value: dict[Any, Any], load: Callable[[Any], Any]) -> KeyedVectors | None:
    """Recognise a dictionary of two: a matrix, and the labels of its rows."""
    if len(value) != 2:
        return None
    loaded = {key: load(item) for key, item in value.items()}
    matrices = {k: v for k, v in loaded.items() if isinstance(v, np.ndarray) and v.ndim == 2}
    others = [(k, _list_texts(v)) for k, v in loaded.items() if k not in matrices]
    if len(matrices) != 1 or len(others) != 1:
        return None
    ((name, matrix),) = matrices.items()
    key, labels = others[0]
    if labels is None or len(labels) != len(matrix):
        return None
    rows = {label: row for row, label in enumerate(labels)}
    if len(rows) < len(labels):
        raise FeatureError(f"the labels in {str(key)[:40]!r} are not distinct")
    notes = (f"the rows of {str(name)[:40]!r} are named by {str(key)[:40]!r}",)
    return KeyedVectors(labels, lambda label: matrix[rows[str(label)]], notes)


def _list_texts(value: Any) -> list[str] | None:
    items = value.tolist() if isinstance(value, np.ndarray) and value.ndim == 1 else value
    if not isinstance(items, list) or not all(isinstance(item, (str, bytes)) for item in items):
        return None
    return [_check_key(item) for item in items]  # type: ignore[misc]


def _check_key(key: Any) -> Key:
    if isinstance(key, bytes):
        return key.decode("utf-8", "backslashreplace")
    if isinstance(key, str):
        return key
    if isinstance(key, (int, np.integer)) and not isinstance(key, bool):
        return int(key)
    raise FeatureError(f"has the key {_describe(key)}, expected labels or entity numbers")


def _stack_rows(rows: list[Any]) -> NDArray[Any]:
    if not rows:
        raise FeatureError("holds an empty list")
    # Rows of one list may be one object many times over: small in the file, endless in memory.
    widths = {
        len(row) for row in rows if isinstance(row, (list, tuple, np.ndarray)) and np.ndim(row)
    }
    if len(widths) != 1 or not all(isinstance(row, (list, tuple, np.ndarray)) for row in rows):
        shown = sorted(widths)[:3]
        raise FeatureError(f"holds a list whose rows are no vectors of one width {shown or ''}")
    if widths.pop() > MOST_NUMBERS:
        raise FeatureError(f"holds a list of rows wider than {MOST_NUMBERS:,}")
    return np.stack([to_floats(np.asarray(row)) for row in rows])


def _check_rows(array: NDArray[Any]) -> NDArray[Any]:
    if array.ndim == 3 and 1 in array.shape[1:]:  # [n, 1, d] and [n, d, 1]
        array = array.reshape(len(array), -1)
    if array.ndim != 2 or 0 in array.shape:
        raise FeatureError(f"holds an array of shape {list(array.shape)}, expected [rows, width]")
    return array


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


def _describe(value: Any) -> str:
    if isinstance(value, (str, bytes)):
        return f"the text {value[:40]!r}"
    if isinstance(value, (int, float)):
        return f"the number {value}"
    return f"a {type(value).__name__}" if value else f"an empty {type(value).__name__}"
