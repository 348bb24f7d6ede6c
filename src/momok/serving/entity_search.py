"""Finding entities by what people type: any script, without marks, with mistakes.

All names (display names, labels, and columns of further names) lie in one block of UTF-8 text,
entities with many facts first. A search is three scans for exact bytes: beginnings of names,
beginnings of words, anywhere (scripts without blanks between words need that). The first hits are
those of the best-known entities, so a scan stops early. Where nothing is found, trigrams
propose and rapidfuzz decides.
"""

from __future__ import annotations

import re
import threading
import unicodedata
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from rapidfuzz import fuzz

from momok.graph import MultimodalGraph

__all__ = ["Hit", "NameIndex", "fold"]

_NAME_COLUMN = re.compile(r"name|alias|title|label", re.IGNORECASE)
_LONGEST = 300  # characters of a name that are searched
_END = b"\n"  # before and after every name; folded names have none
_BUCKETS = 1 << 18  # of trigrams
_PROPOSED = 300  # names that rapidfuzz compares
_LIKENESS = 62.0  # of 100, under which a name is not what was meant
_SCANNED = 400  # hits that one scan looks at


@dataclass(frozen=True)
class Hit:
    """An entity that was found.

    Attributes:
        entity: its id.
        text: the name that matched.
        exact: whether the whole name is what was typed.
        near: whether it is only like what was typed.
    """

    entity: int
    text: str
    exact: bool = False
    near: bool = False


def fold(text: str) -> str:
    """A text as it is compared: compatible forms, case, marks and runs of blanks made equal.

    >>> fold("  Ｓara   DÄBRITZ ")
    'sara dabritz'
    """
    text = unicodedata.normalize("NFKC", text).casefold()
    if not text.isascii():
        parts = unicodedata.normalize("NFKD", text)
        text = "".join(c for c in parts if unicodedata.category(c) not in ("Mn", "Cf"))
    return " ".join(text.split())


class NameIndex:
    """All names of a graph's entities, to be searched."""

    def __init__(self, graph: MultimodalGraph) -> None:
        degree = np.bincount(
            np.concatenate([graph.facts(s)[:, [0, 2]].ravel() for s in ("train", "valid", "test")]),
            minlength=graph.num_entities,
        )
        order = np.argsort(-degree, kind="stable")
        self._entities, self._texts = _collect_names(graph, order)
        folded = [fold(text).encode("utf-8", "replace") for text in self._texts]
        lengths = np.fromiter((len(f) + 1 for f in folded), dtype=np.int64, count=len(folded))
        self._starts: list[int] = np.concatenate([[0], np.cumsum(lengths)[:-1]]).tolist()
        self._block = _END + _END.join(folded) + _END
        self._trigrams: _Trigrams | None = None
        self._lock = threading.Lock()

    def __len__(self) -> int:
        return len(self._texts)

    def search(self, text: str, limit: int = 10) -> list[Hit]:
        """The entities whose names have this text, best first; else those with names like it."""
        wanted = fold(text[: 2 * _LONGEST])[:_LONGEST].encode("utf-8", "replace")
        if not wanted:
            return []
        found: dict[int, Hit] = {}
        for needle, exact in (
            (_END + wanted + _END, True),
            (_END + wanted, False),
            (b" " + wanted, False),
            (wanted, False),
        ):
            for name in self._scan(needle):
                entity = self._entities[name]
                if entity not in found:
                    found[entity] = Hit(entity, self._texts[name], exact=exact)
                if len(found) >= limit:
                    return list(found.values())
        return list(found.values()) or self.search_like(text, limit)

    def search_like(self, text: str, limit: int = 10) -> list[Hit]:
        """The entities whose names look like this text, most alike first."""
        wanted = fold(text[: 2 * _LONGEST])[:_LONGEST]
        names = self.prepare().propose(wanted)
        ranked = sorted(
            ((_compare(wanted, fold(self._texts[name])), -name) for name in names.tolist()),
            reverse=True,
        )
        found: dict[int, Hit] = {}
        for likeness, negative in ranked:
            if likeness < _LIKENESS or len(found) >= limit:
                break
            entity = self._entities[-negative]
            found.setdefault(entity, Hit(entity, self._texts[-negative], near=True))
        return list(found.values())

    def prepare(self) -> _Trigrams:
        """Make what ``search_like`` needs, once: seconds where there are a million names."""
        with self._lock:
            if self._trigrams is None:
                self._trigrams = _Trigrams(self._block)
            return self._trigrams

    def _scan(self, needle: bytes) -> Iterator[int]:
        """Positions of names that hold some bytes, each once, the first ``_SCANNED``."""
        place, shift = -1, 1 if needle[:1] == _END else 0
        for _ in range(_SCANNED):
            place = self._block.find(needle, place + 1)
            if place < 0:
                return
            name = bisect_right(self._starts, place + shift - 1) - 1
            yield name
            place = self._block.find(_END, place + 1) - 1  # on to the next name


def _collect_names(graph: MultimodalGraph, order: NDArray[np.int64]) -> tuple[list[int], list[str]]:
    """(entity ids, names), in the order of the entities; a name of an entity appears once."""
    columns: list[Sequence[str]] = [graph.entity_names]
    columns += [v for key, v in graph.attributes.items() if _NAME_COLUMN.search(key)]
    columns.append(graph.entities.labels)
    entities: list[int] = []
    texts: list[str] = []
    for entity in order.tolist():
        for text in dict.fromkeys(column[entity] for column in columns):
            if text:
                entities.append(entity)
                texts.append(text[:_LONGEST])
    return entities, texts


def _compare(wanted: str, name: str) -> float:
    """How alike a name is to what was typed, 0 to 100; what was typed may be a part of it."""
    whole = max(fuzz.ratio(wanted, name), 0.95 * fuzz.token_sort_ratio(wanted, name))
    part = 0.9 * fuzz.partial_ratio(wanted, name) if len(name) > len(wanted) else 0.0
    return max(whole, part)


class _Trigrams:
    """Which names have which three bytes in a row, hashed into buckets."""

    def __init__(self, block: bytes) -> None:
        codes = np.frombuffer(block, dtype=np.uint8)
        ends = np.flatnonzero(codes == _END[0])
        self._num_names = len(ends) - 1
        hashed = _hash_trigrams(codes)
        name = np.cumsum(codes == _END[0], dtype=np.int32)[: len(hashed)] - 1
        inside = codes[1 : len(hashed) + 1] != _END[0]  # none that spans two names
        hashed, name = hashed[inside], name[inside]
        order = np.argsort(hashed, kind="stable")
        self._names = name[order]
        self._ends = np.searchsorted(hashed[order], np.arange(_BUCKETS + 1))
        self._lengths = np.diff(ends).astype(np.float64)

    def propose(self, text: str) -> NDArray[np.int64]:
        """The names that share most trigrams with a text, relative to their length."""
        codes = np.frombuffer(_END + text.encode("utf-8", "replace") + _END, dtype=np.uint8)
        buckets = np.unique(_hash_trigrams(codes))
        if not len(buckets):
            return np.empty(0, dtype=np.int64)
        parts = [self._names[self._ends[b] : self._ends[b + 1]] for b in buckets]
        shared = np.bincount(np.concatenate(parts), minlength=self._num_names)
        likeness = shared / (self._lengths + len(codes))
        best = np.argpartition(-likeness, min(_PROPOSED, len(likeness) - 1))[:_PROPOSED]
        return best[shared[best] > 0].astype(np.int64)


def _hash_trigrams(codes: NDArray[np.uint8]) -> NDArray[np.int64]:
    wide = codes.astype(np.int64)
    joined = (wide[:-2] << 16) | (wide[1:-1] << 8) | wide[2:]
    return (joined * 2_654_435_761 >> 7) % _BUCKETS
