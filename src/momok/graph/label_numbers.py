"""Labels to numbers without a loop over facts: a hash table whose operations are array passes.

A dictionary has a string made, hashed and compared for each of the three labels of a fact, with
several waits for the memory every time. Here labels stay the bytes that they are in the file, taken
eight at a time as words of 64 bits, and thousands are looked up at once.

Equal labels have equal hashes; that labels of equal hashes are equal is checked, word by word. The
few that are not, and labels too long for words, are kept in a dictionary.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["LabelNumbers"]

_LONGEST = 512  # bytes of a label that is held as words
_MASKS = np.array([(1 << 8 * count) - 1 for count in range(9)], dtype=np.uint64)
# Drawn anew by every process, so that no file can be made of labels that collide.
_FACTOR = np.uint64(secrets.randbits(64) | 1)
_HALF = np.uint64(32)


@dataclass(frozen=True)
class _Words:
    """Labels ``[n]`` as words: their lengths in bytes, and for each k the rows that have a k-th."""

    lengths: NDArray[np.int64]
    rounds: list[tuple[NDArray[np.int64] | slice, NDArray[np.uint64]]]

    def hash(self) -> NDArray[np.uint64]:
        hashes = self.lengths.astype(np.uint64) * _FACTOR
        for rows, words in self.rounds:
            mixed = (hashes[rows] ^ words) * _FACTOR
            hashes[rows] = mixed ^ (mixed >> _HALF)
        return hashes


class LabelNumbers:
    """Numbers labels 0, 1, 2, ... as they are met, in no promised order within one call."""

    def __init__(self) -> None:
        self._count = 0
        self._lengths = np.empty(1 << 10, dtype=np.int64)  # by number, as are hashes and starts
        self._hashes = np.empty(1 << 10, dtype=np.uint64)
        self._starts = np.empty(1 << 10, dtype=np.int64)  # of a label's words
        self._words = np.empty(1 << 12, dtype=np.uint64)
        self._num_words = 0
        self._slots = np.full(1 << 12, -1, dtype=np.int32)  # numbers, by the low bits of hashes
        self._others: dict[bytes, int] = {}  # numbers of labels that the table cannot hold

    def __len__(self) -> int:
        return self._count

    def number(
        self, text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Give the numbers ``[n]`` of the labels that begin at ``starts`` in UTF-8 text.

        Args:
            text: the bytes that labels are cut from.
            starts: the first byte of each label ``[n]``.
            lengths: bytes of each label ``[n]``.
        """
        numbers = np.full(len(starts), -1, dtype=np.int64)
        held = lengths <= _LONGEST
        rows = slice(None) if held.all() else np.flatnonzero(held)
        words = _cut_words(text, starts[rows], lengths[rows])
        numbers[rows] = self._number_words(words)
        for row in np.flatnonzero(numbers < 0).tolist():
            numbers[row] = self._number_other(text[starts[row] : starts[row] + lengths[row]])
        return numbers

    def list_labels(self) -> list[str]:
        """List the labels by number."""
        content = self._words[: self._num_words].tobytes()
        begins = (8 * self._starts[: self._count]).tolist()
        ends = (8 * self._starts[: self._count] + self._lengths[: self._count]).tolist()
        labels = [content[i:j].decode() for i, j in zip(begins, ends, strict=True)]
        for label, number in self._others.items():
            labels[number] = label.decode()
        return labels

    def _number_words(self, labels: _Words) -> NDArray[np.int64]:
        """Number labels; those that have the hash of another label get -1."""
        hashes = labels.hash()
        numbers = self._find(hashes)
        new = np.flatnonzero(numbers < 0)
        if len(new):
            firsts = new[np.unique(hashes[new], return_index=True)[1]]
            self._add(labels, firsts, hashes[firsts])
            numbers[new] = self._find(hashes[new])
        same = self._lengths[numbers] == labels.lengths
        starts = self._starts[numbers]
        for k, (rows, words) in enumerate(labels.rounds):
            same[rows] &= self._words[starts[rows] + k] == words
        return np.where(same, numbers, -1)

    def _number_other(self, label: bytes) -> int:
        if label not in self._others:
            self._reserve(1, 0)
            self._lengths[self._count] = 0
            self._starts[self._count] = 0
            self._others[label] = self._count
            self._count += 1
        return self._others[label]

    def _find(self, hashes: NDArray[np.uint64]) -> NDArray[np.int64]:
        """Find the numbers ``[n]`` of labels by their hashes, -1 where there is none."""
        found = np.full(len(hashes), -1, dtype=np.int64)
        last = len(self._slots) - 1
        places = (hashes & np.uint64(last)).astype(np.int64)
        rows = np.arange(len(hashes))
        while len(rows):
            numbers = self._slots[places]
            taken = numbers >= 0
            hit = taken & (self._hashes[numbers] == hashes[rows])
            found[rows[hit]] = numbers[hit]
            further = taken & ~hit
            rows, places = rows[further], (places[further] + 1) & last
        return found

    def _add(self, labels: _Words, rows: NDArray[np.int64], hashes: NDArray[np.uint64]) -> None:
        """Add labels whose hashes are all new."""
        sizes = -(-labels.lengths[rows] // 8)
        self._reserve(len(rows), int(sizes.sum()))
        begin, self._count = self._count, self._count + len(rows)
        starts = self._num_words + np.cumsum(sizes) - sizes
        self._num_words += int(sizes.sum())
        self._hashes[begin : self._count] = hashes
        self._lengths[begin : self._count] = labels.lengths[rows]
        self._starts[begin : self._count] = starts
        start_of_row = np.full(len(labels.lengths), -1, dtype=np.int64)
        start_of_row[rows] = starts
        for k, (having, words) in enumerate(labels.rounds):
            chosen = start_of_row[having] >= 0
            self._words[start_of_row[having][chosen] + k] = words[chosen]
        self._settle(np.arange(begin, self._count))

    def _settle(self, numbers: NDArray[np.int64]) -> None:
        """Give each number the first free slot from the one that its hash points to."""
        last = len(self._slots) - 1
        places = (self._hashes[numbers] & np.uint64(last)).astype(np.int64)
        while len(numbers):
            free = self._slots[places] < 0
            self._slots[places[free]] = numbers[free]
            waiting = self._slots[places] != numbers
            numbers, places = numbers[waiting], (places[waiting] + 1) & last

    def _reserve(self, labels: int, words: int) -> None:
        """Make room; behind the last word there is always as much as the longest label takes."""
        needed = self._count + labels
        if needed > len(self._lengths):
            self._lengths, self._hashes, self._starts = (
                _enlarge(array, needed) for array in (self._lengths, self._hashes, self._starts)
            )
        if self._num_words + words + _LONGEST // 8 > len(self._words):
            self._words = _enlarge(self._words, self._num_words + words + _LONGEST // 8)
        if 2 * needed > len(self._slots):
            self._slots = np.full(2 << needed.bit_length(), -1, dtype=np.int32)
            self._settle(np.delete(np.arange(self._count), list(self._others.values())))


def _cut_words(text: bytes, starts: NDArray[np.int64], lengths: NDArray[np.int64]) -> _Words:
    # A word may begin at any byte: a window on the eight bytes from each.
    windows = np.ndarray(len(text) + 1, dtype="<u8", buffer=text + bytes(8), strides=1)
    rounds: list[tuple[NDArray[np.int64] | slice, NDArray[np.uint64]]] = []
    rows: NDArray[np.int64] | slice = slice(None)
    for k in range(-(-int(lengths.max(initial=0)) // 8)):
        left = lengths[rows] - 8 * k
        if left.min() <= 0:
            rows = np.flatnonzero(lengths > 8 * k)
            left = lengths[rows] - 8 * k
        words = windows[starts[rows] + 8 * k]
        words &= _MASKS[np.minimum(left, 8)]
        rounds.append((rows, words))
    return _Words(lengths, rounds)


def _enlarge(array: NDArray[Any], least: int) -> NDArray[Any]:
    larger = np.empty(max(least, 2 * len(array)), dtype=array.dtype)
    larger[: len(array)] = array
    return larger
