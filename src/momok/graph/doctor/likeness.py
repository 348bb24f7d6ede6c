"""Groups of pictures that look alike, without comparing every pair.

Outlines of 64 bits that differ in at most 3 agree in at least one of 4 bands of 16 bits. The
pictures are sorted once per band, and each is compared with the few that follow it in its band
(the sorted-neighbourhood method of Hernández and Stolfo, "The Merge/Purge Problem", 1995), so that
the cost is n log n however many pictures share a band. In a crowded band a pair may be missed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["MAX_BITS", "MAX_COLOUR", "group_alike", "join_pairs"]

MAX_BITS = 3
MAX_COLOUR = 6.0  # mean difference of the 8 x 8 colours, of 255

_BANDS = 4
_WINDOW = 8
_BLOCK = 1 << 16


def group_alike(outlines: NDArray[np.uint64], colours: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Group pictures with nearly the same outline and nearly the same colours.

    Args:
        outlines: ``[n]``, 64 bits each.
        colours: ``[n, 8, 8, 3]``.

    Returns:
        The group of each picture ``[n]``, numbered from 0; likeness is passed on within a group.
    """
    flat = colours.reshape(len(colours), -1)
    brightness = flat.mean(axis=1, dtype=np.float32)
    pairs = [np.empty((2, 0), dtype=np.int64)]
    for band in range(_BANDS):
        shift = np.uint64(16 * band)
        turned = (outlines << shift) | (outlines >> (np.uint64(64) - shift) if band else 0)
        order = np.lexsort((brightness, turned))
        bands = turned[order] >> np.uint64(48)
        for step in range(1, min(_WINDOW, len(order) - 1) + 1):
            near = np.flatnonzero(bands[step:] == bands[:-step])
            first, second = order[near], order[near + step]
            alike = _count_bits(outlines[first] ^ outlines[second]) <= MAX_BITS
            first, second = first[alike], second[alike]
            kept = _differ_little(flat, first, second)
            pairs.append(np.stack([first[kept], second[kept]]))
    return join_pairs(np.concatenate(pairs, axis=1), len(outlines))


def _count_bits(values: NDArray[np.uint64]) -> NDArray[np.int64]:
    octets = np.ascontiguousarray(values).view(np.uint8).reshape(-1, 8)
    counts: NDArray[np.int64] = np.unpackbits(octets, axis=1).sum(axis=1, dtype=np.int64)
    return counts


def _differ_little(
    flat: NDArray[np.uint8], first: NDArray[np.int64], second: NDArray[np.int64]
) -> NDArray[np.bool_]:
    near = np.empty(len(first), dtype=np.bool_)
    for start in range(0, len(first), _BLOCK):
        part = slice(start, start + _BLOCK)
        difference = np.abs(flat[first[part]].astype(np.int16) - flat[second[part]])
        near[part] = difference.mean(axis=1) <= MAX_COLOUR
    return near


def join_pairs(pairs: NDArray[np.int64], size: int) -> NDArray[np.int64]:
    """Number the connected components of ``size`` points from pairs ``[2, m]``."""
    lowest = np.arange(size)
    while True:
        before = lowest.copy()
        least = np.minimum(lowest[pairs[0]], lowest[pairs[1]])
        np.minimum.at(lowest, pairs[0], least)
        np.minimum.at(lowest, pairs[1], least)
        lowest = lowest[lowest]  # halves the way to the lowest of a chain
        if np.array_equal(before, lowest):
            groups: NDArray[np.int64] = np.unique(lowest, return_inverse=True)[1]
            return groups
