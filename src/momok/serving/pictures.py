"""Pictures of entities: read from the graph's folder only, decoded and written anew.

What is served is never the file itself but what Pillow makes of it: of a fixed type, of bounded
size, without metadata. A file that is no picture, is too large or leads out of the folder (also
by a link made after the graph was read) is not served.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from pathlib import Path

from cachetools import LRUCache, cached

from momok.graph.catalog import find_entry, find_folder
from momok.graph.pictures import PictureError, encode_thumbnail
from momok.prediction import Predictor

MEDIA_TYPE = "image/webp"
SIZES = {"small": 96, "medium": 320, "large": 800}
"""Longest sides in pixels that can be asked for."""

# Less than what is learned from: strangers ask for these, several at once.
_MAX_BYTES = 32 << 20
_MAX_PIXELS = 50_000_000
_KEPT_BYTES = 24 << 20
_AT_ONCE = threading.Semaphore(2)  # decoded pictures held in memory


class PictureShelf:
    """The pictures of a graph: files of entities in its folder, outside which nothing is read."""

    def __init__(self, root: Path | None, paths: Mapping[int, Path]) -> None:
        self._root = root
        self._paths = dict(paths) if root is not None else {}
        kept: LRUCache[tuple[object, ...], bytes] = LRUCache(_KEPT_BYTES, getsizeof=len)
        self._encode_once = cached(kept, lock=threading.Lock())(self._encode)

    @staticmethod
    def open(predictor: Predictor) -> PictureShelf:
        """The pictures of the graph that a run was trained on, if it is there."""
        source = predictor.scorer.source
        place = source.state.location
        entry = find_entry(place) if place else None
        root = find_folder(entry) if entry is not None else Path(place) if place else None
        return PictureShelf(root, source.pictures)

    def __len__(self) -> int:
        return len(self._paths)

    def __contains__(self, entity: object) -> bool:
        return entity in self._paths

    def render(self, entity: int, size: str) -> bytes | None:
        """A picture as WebP in one of ``SIZES``; None where there is none that can be shown."""
        try:
            return self._encode_once(entity, SIZES[size])
        except (KeyError, PictureError):
            return None

    def _encode(self, entity: int, size: int) -> bytes:
        with _AT_ONCE:
            return encode_thumbnail(
                self._paths[entity],
                self._root,
                side=size,
                max_pixels=_MAX_PIXELS,
                max_bytes=_MAX_BYTES,
            )
