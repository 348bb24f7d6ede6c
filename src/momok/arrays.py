"""The types of numpy arrays that the packages hand each other, and of whole numbers."""

from __future__ import annotations

from operator import index
from typing import SupportsIndex, TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.int64]
Bools: TypeAlias = NDArray[np.bool_]
Floats: TypeAlias = NDArray[np.float64]
FloatMatrix: TypeAlias = NDArray[np.float32]


def find_whole_number(given: object) -> int | None:
    """A whole number of Python or NumPy; None for anything else, as for True and False."""
    is_number = isinstance(given, SupportsIndex) and not isinstance(given, bool | np.bool_)
    try:
        return index(given) if is_number else None  # type: ignore[arg-type]
    except TypeError:  # an array of several
        return None
