"""Tensors of a file of PyTorch, read when they are looked at."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from momok.errors import FeatureError

__all__ = ["STORAGES", "LazyTensor", "Storage", "measure_item", "to_array"]

STORAGES: Mapping[str, str] = {
    "DoubleStorage": "f8",
    "FloatStorage": "f4",
    "HalfStorage": "f2",
    "BFloat16Storage": "bfloat16",
    "LongStorage": "i8",
    "IntStorage": "i4",
    "ShortStorage": "i2",
    "CharStorage": "i1",
    "ByteStorage": "u1",
    "BoolStorage": "b1",
}
"""NumPy's names for the types of PyTorch's storages; bfloat16 has none there."""

_MOST_REPEATED = 64


@dataclass(frozen=True)
class Storage:
    """The numbers behind tensors: read when a tensor is looked at."""

    dtype: str
    count: int
    read: Callable[[], bytes]

    def __setstate__(self, _state: object) -> None:
        """Nothing in a file changes it after it was made."""
        raise FeatureError("holds a state for a storage")

    def open(self) -> NDArray[Any]:
        """Read the numbers; those of bfloat16 as their bits."""
        raw = self.read()
        if len(raw) != self.count * measure_item(self.dtype):
            raise FeatureError(
                f"a storage of {self.count:,} numbers has {len(raw):,} bytes: cut off"
            )
        kind = "u2" if self.dtype == "bfloat16" else self.dtype
        return np.frombuffer(raw, dtype=np.dtype(kind).newbyteorder("<"))


@dataclass(frozen=True)
class LazyTensor:
    """A tensor of a file of PyTorch: which numbers of which storage.

    Attributes:
        shape: its shape.
    """

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]

    def __setstate__(self, _state: object) -> None:
        """Nothing in a file changes it after it was made."""
        raise FeatureError("holds a state for a tensor")

    def load(self) -> NDArray[Any]:
        """Read it.

        Raises:
            FeatureError: it reaches outside its storage.
        """
        flat = self.storage.open()
        last = self.offset + sum(
            (size - 1) * stride for size, stride in zip(self.shape, self.strides, strict=True)
        )
        count = math.prod(self.shape)
        if count and not (
            0 <= self.offset <= last < len(flat) and min(self.strides, default=0) >= 0
        ):
            raise FeatureError("a tensor reaches outside its storage")
        if count > max(len(flat), 1) * _MOST_REPEATED:  # repeated by strides of 0
            raise FeatureError(f"a tensor repeats {len(flat):,} numbers to {count:,}")
        steps = tuple(stride * flat.itemsize for stride in self.strides)
        view = np.lib.stride_tricks.as_strided(flat[self.offset :], self.shape, steps)
        if self.storage.dtype == "bfloat16":  # the upper half of a float32
            return (view.astype(np.uint32) << 16).view(np.float32)
        return np.array(view, order="C")


def to_array(value: object) -> object:
    """Load a tensor, and give anything else as it is."""
    return value.load() if isinstance(value, LazyTensor) else value


def measure_item(dtype: str) -> int:
    """Give the bytes of one number of a storage."""
    return 2 if dtype == "bfloat16" else np.dtype(dtype).itemsize
